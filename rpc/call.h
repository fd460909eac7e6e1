/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "rpc/certificate.h"

/* A bidi call, of either side. All functions are for the gRPC thread (rpc.h). */
struct rpc_call;

/* What a peer's certificate proves. */
struct rpc_peer {
	char uri[512];	   /* the one URI SAN, e.g. spiffe://td/host/h1; empty = none or several */
	char address[128]; /* transport address, not authenticated */
	uint64_t not_after_unix_ns;
	char fingerprint[RPC_FINGERPRINT_SIZE]; /* of the certificate; "" = none */
};

struct rpc_call_ops {
	/* A message came. @data is contiguous and borrowed for the call. With rpc_call_hold the
	 * next one waits. */
	void (*on_message)(struct rpc_call *call, void *data, const uint8_t *message, size_t size);
	/* The send that was outstanding has left for the transport (not: was delivered). May be
	 * NULL. */
	void (*on_sent)(struct rpc_call *call, void *data);
	/* Client: headers came. A server that refuses at once sends its status in them: on_closed
	 * follows. Server: never. May be NULL. */
	void (*on_headers)(struct rpc_call *call, void *data);
	/* Peer will send nothing more (server side: half-close; client side: followed by
	 * on_closed). May be NULL. */
	void (*on_end)(struct rpc_call *call, void *data);
	/* Last callback; the call is freed after it. Client: the server's status. Server: RPC_OK,
	 * or RPC_CANCELLED when the peer went away. */
	void (*on_closed)(struct rpc_call *call, void *data, int status, const char *details);
};

/* One message may be outstanding. 0; RPC_E_BUSY: wait for on_sent; RPC_E_CLOSED. Bytes are copied.
 */
#define RPC_E_BUSY   1
#define RPC_E_CLOSED 2
int rpc_call_send(struct rpc_call *call, const struct iovec *parts, int n_parts);
/* Like send, but queues (copies) up to @max_bytes of messages per call; -ENOBUFS above. For
 * servers' small messages. */
int rpc_call_enqueue(struct rpc_call *call, const void *message, size_t size, size_t max_bytes);
size_t rpc_call_queued(const struct rpc_call *call);
void rpc_call_hold(struct rpc_call *call,
		   bool hold); /* stop reading: back-pressure through HTTP/2 */
/* Client: half-close. Server: ends the call with a status after what is queued. */
void rpc_call_finish(struct rpc_call *call, int status, const char *details);
void rpc_call_cancel(struct rpc_call *call);
void *rpc_call_data(const struct rpc_call *call);
const struct rpc_peer *rpc_call_peer(const struct rpc_call *call);
const char *rpc_call_method(const struct rpc_call *call);
