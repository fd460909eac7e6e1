/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/errmsg.h"
#include "rpc/call.h"
#include "rpc/certificate.h"
#include "rpc/status.h"

/*
 * gRPC C core behind a small face; nothing outside rpc/ sees its headers. One gRPC thread owns the
 * completion queue and every call ("owner" shape: handing each tag to the loop costs 2 to 5 times,
 * a callback queue does not work on Linux; facts: grpc-core 1). ALL callbacks below run on the gRPC
 * thread and ALL functions that take a channel, server or call are for that thread only, except
 * those marked [any thread]. Other threads get there by rpc_post, and back to a libev loop by a
 * mailbox (rpc/mailbox.h).
 *
 * rpc_start sets the environment that gRPC reads (experiments, poller, no proxy, TLS 1.3 only
 * through an OpenSSL configuration in memory), blocks all signals in gRPC's threads and takes over
 * its log.
 */
struct rpc;
struct rpc_channel;
struct rpc_server;

int rpc_start(struct rpc **ret_rpc, struct errmsg *err);
/* [any thread] Runs @fn(data) on the gRPC thread, in order of posting. Cheap: one wake-up for a
 * burst. */
void rpc_post(struct rpc *rpc, void (*fn)(void *data), void *data);
/* [any thread but the gRPC one] Closes what is left (cancel, drain), ends the thread. Returns NULL.
 */
struct rpc *rpc_stop(struct rpc *rpc);
/* Runs @fn(data) on the gRPC thread once, at or after @delay_ms. Cancel with the returned handle
 * (NULL after it ran). */
struct rpc_timer;
struct rpc_timer *rpc_timer_start(struct rpc *rpc, uint32_t delay_ms, void (*fn)(void *data),
				  void *data);
void rpc_timer_cancel(struct rpc_timer *timer);

/* ---- client ---- */

struct rpc_channel_options {
	const char *target;	 /* host:port */
	const char *server_name; /* name to check in the certificate; NULL = host of target */
	struct rpc_credentials credentials;
	uint64_t keepalive_ns, keepalive_timeout_ns;
	const char *http_proxy; /* NULL: never any, whatever the environment says */
	uint32_t max_message;	/* bytes received; 0 = 4 MiB */
};
/* Reads the files now. No connection yet. 0 or -errno with @err. */
int rpc_channel_new(struct rpc *rpc, const struct rpc_channel_options *options,
		    struct rpc_channel **ret_channel, struct errmsg *err);
struct rpc_channel *
rpc_channel_free(struct rpc_channel *channel); /* cancels its calls; their on_closed still comes */
/* Starts a call; fails fast with RPC_UNAVAILABLE when no connection can be made. A channel that
 * failed stays so for a while by gRPC's own backoff: take a new one for each attempt (backoff.h).
 * @deadline_ms 0 = none. */
int rpc_call_new(struct rpc_channel *channel, const char *method, uint32_t deadline_ms,
		 const struct rpc_call_ops *ops, void *data, struct rpc_call **ret_call);
/* Why the last connection attempt failed, as far as gRPC tells (TLS and socket errors); "" if
 * unknown. */
const char *rpc_channel_last_error(const struct rpc_channel *channel);

/* ---- server ---- */

struct rpc_server_options {
	const char *listen;		    /* host:port; port 0 = any free one */
	struct rpc_credentials credentials; /* re-read at each handshake when the files have
					       changed; a bad new pair keeps the old one */
	uint32_t max_message;		    /* bytes; 0 = 1 MiB */
	void *data;
	/* Every call, known or not, comes here once its headers are read. Set *ret_ops and
	 * *ret_data and return RPC_OK, or return a status to refuse with *ret_details (static or
	 * owned by data). */
	int (*on_call)(struct rpc_call *call, void *data, const struct rpc_call_ops **ret_ops,
		       void **ret_data, const char **ret_details);
	/* A handshake's credentials could not be renewed, or are fine again (@error NULL). May be
	 * NULL. */
	void (*on_credentials)(void *data, const char *error);
};
/* Binds; no SO_REUSEPORT, so a second server on the port is refused (-EADDRINUSE with @err).
 * [before or on the gRPC thread; waits for the outcome] */
int rpc_server_new(struct rpc *rpc, const struct rpc_server_options *options,
		   struct rpc_server **ret_server, struct errmsg *err);
uint16_t rpc_server_port(const struct rpc_server *server);
/* No new calls, streams cancelled, then freed. [any thread but the gRPC one; waits] */
struct rpc_server *rpc_server_free(struct rpc_server *server);
