/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <grpc/grpc_security.h>

#include "rpc/rpc.h"

/* PEM texts of a set of files, checked. */
struct rpc_pem {
	char *ca, *certificate, *key;
};
int rpc_pem_load(const struct rpc_credentials *files, struct rpc_pem *ret_pem, struct errmsg *err);
void rpc_pem_deinit(struct rpc_pem *pem);
/* The leaf of PEM text; false when it is none. */
bool rpc_certificate_parse(const char *pem, size_t size, struct rpc_certificate *ret_certificate);

/*
 * Server credentials that follow the files. A handshake on one of gRPC's threads may look at them
 * later than the server's end: the memory goes with the rpc. @report takes @error, NULL = fine
 * again.
 */
struct rpc_files;
struct rpc_files *rpc_files_new(struct rpc *rpc, const struct rpc_credentials *files,
				void (*report)(void *data, char *error), void *data);
grpc_server_credentials *rpc_files_server(struct rpc_files *files);
void rpc_files_mute(struct rpc_files *files); /* no report any more */
void rpc_files_free_all(struct rpc_files *files);
