/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/errmsg.h"

/*
 * gRPC C core behind a small face; nothing outside rpc/ sees its headers. One gRPC thread owns the
 * completion queue and every call ("owner" shape: handing each tag to the loop costs 2 to 5 times, a
 * callback queue does not work on Linux; facts: grpc-core 1). ALL callbacks below run on the gRPC thread and ALL
 * functions that take a channel, server or call are for that thread only, except those marked [any thread]. Other
 * threads get there by rpc_post, and back to a libev loop by a mailbox (rpc/mailbox.h).
 *
 * rpc_start sets the environment that gRPC reads (experiments, poller, no proxy, TLS 1.3 only through an
 * OpenSSL configuration in memory), blocks all signals in gRPC's threads and takes over its log.
 */
struct rpc;
struct rpc_channel;
struct rpc_server;
struct rpc_call;

int rpc_start(struct rpc **ret_rpc, struct errmsg *err);
/* [any thread] Runs @fn(data) on the gRPC thread, in order of posting. Cheap: one wake-up for a burst. */
void rpc_post(struct rpc *rpc, void (*fn)(void *data), void *data);
/* [any thread but the gRPC one] Closes what is left (cancel, drain), ends the thread. Returns NULL. */
struct rpc *rpc_stop(struct rpc *rpc);
/* Runs @fn(data) on the gRPC thread once, at or after @delay_ms. Cancel with the returned handle (NULL after it ran). */
struct rpc_timer;
struct rpc_timer *rpc_timer_start(struct rpc *rpc, uint32_t delay_ms, void (*fn)(void *data), void *data);
void rpc_timer_cancel(struct rpc_timer *timer);

/* gRPC status codes, the ones we use (same numbers). */
enum rpc_status {
	RPC_OK = 0, RPC_CANCELLED = 1, RPC_UNKNOWN = 2, RPC_INVALID_ARGUMENT = 3, RPC_DEADLINE_EXCEEDED = 4, RPC_NOT_FOUND = 5,
	RPC_ALREADY_EXISTS = 6, RPC_PERMISSION_DENIED = 7, RPC_RESOURCE_EXHAUSTED = 8, RPC_FAILED_PRECONDITION = 9, RPC_ABORTED = 10,
	RPC_OUT_OF_RANGE = 11, RPC_UNIMPLEMENTED = 12, RPC_INTERNAL = 13, RPC_UNAVAILABLE = 14, RPC_DATA_LOSS = 15, RPC_UNAUTHENTICATED = 16,
};
const char *rpc_status_name(int status);

/* Why a call failed, from its status and details; UNAVAILABLE has no reason but its text. Pure. */
enum rpc_failure {
	RPC_FAILURE_NONE, RPC_FAILURE_REFUSED, RPC_FAILURE_TIMEOUT, RPC_FAILURE_TLS, RPC_FAILURE_AUTH, RPC_FAILURE_PROTOCOL,
	RPC_FAILURE_BUSY, RPC_FAILURE_LOST, /* lost: the connection broke without a reason */
};
enum rpc_failure rpc_classify_failure(int status, const char *details);
const char *rpc_failure_name(enum rpc_failure failure); /* refused, timeout, ... as in frame_session_state.cause */

/* PEM files. ECDSA P-256 expected; RSA is refused. Verification cannot be switched off. */
struct rpc_credentials {
	const char *ca_file, *certificate_file, *key_file;
};

/* What a peer's certificate proves. */
struct rpc_peer {
	char uri[512];	      /* the one URI SAN, e.g. spiffe://td/host/h1; empty = none or several */
	char address[128];    /* transport address, not authenticated */
	uint64_t not_after_unix_ns;
};

/* Splits spiffe://TRUST-DOMAIN/KIND/NAME; false if it is not of that form (name: 1 to 128 of [A-Za-z0-9._-]). Pure. */
struct rpc_spiffe {
	char trust_domain[256], kind[32], name[129];
};
bool rpc_spiffe_parse(const char *uri, struct rpc_spiffe *ret_id);

/* Reads the leaf of a PEM file: URI SAN, notBefore, notAfter, key type. For checks before use and for alarms. 0 or -errno/-EBADMSG with @err. [any thread] */
struct rpc_certificate {
	char uri[512];
	uint64_t not_before_unix_ns, not_after_unix_ns;
	bool is_ecdsa_p256;
};
int rpc_certificate_read(const char *path, struct rpc_certificate *ret_certificate, struct errmsg *err);
/* Certificate and key belong together and both can be read. 0 or -errno with @err. [any thread] */
int rpc_credentials_check(const struct rpc_credentials *credentials, struct errmsg *err);

/* ---- calls, both sides ---- */

struct rpc_call_ops {
	/* A message came. @data is contiguous and borrowed for the call. With rpc_call_hold the next one waits. */
	void (*on_message)(struct rpc_call *call, void *data, const uint8_t *message, size_t size);
	/* The send that was outstanding has left for the transport (not: was delivered). May be NULL. */
	void (*on_sent)(struct rpc_call *call, void *data);
	/* Client: headers came (the server has accepted). Server: never. May be NULL. */
	void (*on_headers)(struct rpc_call *call, void *data);
	/* Peer will send nothing more (server side: half-close; client side: followed by on_closed). May be NULL. */
	void (*on_end)(struct rpc_call *call, void *data);
	/* Last callback; the call is freed after it. Client: the server's status. Server: RPC_OK, or RPC_CANCELLED when the peer went away. */
	void (*on_closed)(struct rpc_call *call, void *data, int status, const char *details);
};

/* One message may be outstanding. 0; RPC_E_BUSY: wait for on_sent; RPC_E_CLOSED. Bytes are copied. */
#define RPC_E_BUSY 1
#define RPC_E_CLOSED 2
int rpc_call_send(struct rpc_call *call, const struct iovec *parts, int n_parts);
/* Like send, but queues (copies) up to @max_bytes of messages per call; -ENOBUFS above. For servers' small messages. */
int rpc_call_enqueue(struct rpc_call *call, const void *message, size_t size, size_t max_bytes);
size_t rpc_call_queued(const struct rpc_call *call);
void rpc_call_hold(struct rpc_call *call, bool hold); /* stop reading: back-pressure through HTTP/2 */
/* Client: half-close. Server: ends the call with a status after what is queued. */
void rpc_call_finish(struct rpc_call *call, int status, const char *details);
void rpc_call_cancel(struct rpc_call *call);
void *rpc_call_data(const struct rpc_call *call);
const struct rpc_peer *rpc_call_peer(const struct rpc_call *call);
const char *rpc_call_method(const struct rpc_call *call);

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
int rpc_channel_new(struct rpc *rpc, const struct rpc_channel_options *options, struct rpc_channel **ret_channel, struct errmsg *err);
struct rpc_channel *rpc_channel_free(struct rpc_channel *channel); /* cancels its calls; their on_closed still comes */
/* Starts a call; fails fast with RPC_UNAVAILABLE when no connection can be made (reconnecting is the caller's: backoff.h). @deadline_ms 0 = none. */
int rpc_call_new(struct rpc_channel *channel, const char *method, uint32_t deadline_ms, const struct rpc_call_ops *ops, void *data, struct rpc_call **ret_call);
/* Why the last connection attempt failed, as far as gRPC tells (TLS and socket errors); "" if unknown. */
const char *rpc_channel_last_error(const struct rpc_channel *channel);

/* ---- server ---- */

struct rpc_server_options {
	const char *listen; /* host:port; port 0 = any free one */
	struct rpc_credentials credentials; /* re-read at each handshake when the files have changed; a bad new pair keeps the old one */
	uint32_t max_message; /* bytes; 0 = 1 MiB */
	void *data;
	/* Every call, known or not, comes here once its headers are read. Set *ret_ops and *ret_data and return RPC_OK, or return a status to refuse with *ret_details (static or owned by data). */
	int (*on_call)(struct rpc_call *call, void *data, const struct rpc_call_ops **ret_ops, void **ret_data, const char **ret_details);
	/* A handshake's credentials could not be renewed, or are fine again (@error NULL). May be NULL. */
	void (*on_credentials)(void *data, const char *error);
};
/* Binds; no SO_REUSEPORT, so a second server on the port is refused (-EADDRINUSE with @err). [before or on the gRPC thread; waits for the outcome] */
int rpc_server_new(struct rpc *rpc, const struct rpc_server_options *options, struct rpc_server **ret_server, struct errmsg *err);
uint16_t rpc_server_port(const struct rpc_server *server);
/* No new calls, streams cancelled, then freed. [any thread but the gRPC one; waits] */
struct rpc_server *rpc_server_free(struct rpc_server *server);
