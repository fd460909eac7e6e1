/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "pki.h"
#include "rpc/rpc.h"

/* A server on an ephemeral port with real certificates, and clients that a test drives from its own
 * thread. */
struct fixture {
	struct pki pki;
	struct rpc *rpc;
	struct rpc_server *server;
	char target[64];

	pthread_mutex_t lock; /* the rest */
	pthread_cond_t changed;
	struct rpc_peer peer;			  /* of the last call */
	unsigned calls, ended, cancelled, served; /* server side */
	bool open_gate;				  /* /t/Hold reads on */
	struct rpc_call *held;
	unsigned credentials_bad, credentials_good;
	char credentials_error[512];
};

struct client {
	struct fixture *fixture;
	struct rpc_channel *channel;
	struct rpc_call *call; /* NULL when closed */
	char method[64], target[64], certificate[64], ca[64], server_name[64], proxy[64];
	uint32_t deadline_ms;
	bool headers, ended, closed;
	unsigned messages, sent;
	size_t last_size;
	uint8_t last[64];
	int status;
	char details[1024];
	struct rpc_peer peer;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
int fixture_start_server(struct fixture *f, const char *listen, const char *certificate,
			 struct rpc_server **ret_server, struct errmsg *err);
/* Runs @fn(data) on the gRPC thread and waits for its end. */
void fixture_run(struct fixture *f, void (*fn)(void *data), void *data);

struct client *client_new(struct fixture *f, const char *certificate, const char *method,
			  uint32_t deadline_ms);
void client_start(struct client *c);
struct client *client_open(struct fixture *f, const char *certificate, const char *method,
			   uint32_t deadline_ms);
void client_send(struct client *c, const void *data, size_t size); /* waits while busy */
void client_wait_messages(struct client *c, unsigned n);
void client_wait_closed(struct client *c);
void client_finish(struct client *c);
void client_cancel(struct client *c);
void client_close(struct client *c); /* frees the channel, waits for the end of the call */
