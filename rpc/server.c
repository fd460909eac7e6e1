/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server. Only the unregistered path is used: with registered methods alone, a call of an
 * unknown method would hang until its deadline, without bound (pitfall 10). One request for the
 * next call is always posted; each call that comes is shown to on_call with the identity of its
 * peer.
 *
 * Shutdown (pitfall 2): shutdown_and_notify, cancel all calls, take every tag, then destroy; the
 * queue itself is shut down last, by rpc_stop.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/support/alloc.h>
#include <grpc/support/time.h>

#include "rpc/internal.h"

#define SERVER_MAX_MESSAGE	 (1024 * 1024)
#define SERVER_MAX_METADATA	 (8 * 1024)
#define SERVER_MAX_STREAMS	 64 /* of one connection */
#define SERVER_HANDSHAKE_MS	 30000
#define SERVER_MIN_PING_MS	 10000 /* must stay below every client's keepalive */
#define SERVER_KEEPALIVE_MS	 60000
#define SERVER_KEEPALIVE_TIMEOUT 20000
#define SERVER_IDLE_MS		 300000 /* a connection without a call */

struct rpc_server {
	struct rpc *rpc;
	LIST_ENTRY(rpc_server) link;
	grpc_server *server;
	struct rpc_files *files;
	uint16_t port;
	void *data;
	int (*on_call)(struct rpc_call *call, void *data, const struct rpc_call_ops **ret_ops,
		       void **ret_data, const char **ret_details);
	void (*on_credentials)(void *data, const char *error);

	/* The next call */
	struct rpc_tag request_tag, shutdown_tag;
	grpc_call *call;
	grpc_call_details details;
	grpc_metadata_array metadata;
	bool stopping;

	/* rpc_server_free waits here */
	pthread_mutex_t lock;
	pthread_cond_t gone_cond;
	bool gone, waited;
};

/* ---- calls ---- */

static void server_call_tag_done(struct rpc_tag *tag, bool ok)
{
	(void)ok;
	rpc_call_unref((struct rpc_call *)((char *)tag - offsetof(struct rpc_call, headers_tag)));
}

static void server_call_ended(struct rpc_tag *tag, bool ok)
{
	struct rpc_call *call =
		(struct rpc_call *)((char *)tag - offsetof(struct rpc_call, end_tag));

	(void)ok;
	call->ended = true;
	rpc_call_unref(call);
}

static void server_refuse(struct rpc_call *call, int status, const char *details)
{
	call->ops = NULL;
	rpc_call_finish(call, status, details);
}

static void server_offer(struct rpc_server *server, struct rpc_call *call)
{
	struct rpc_certificate certificate;
	const struct rpc_call_ops *ops = NULL;
	const char *details = NULL;
	void *data = NULL;
	int status;

	rpc_call_read_peer(call, &certificate);
	if (!certificate.is_ecdsa_p256) {
		server_refuse(call, RPC_UNAUTHENTICATED,
			      "the client certificate's key is not ECDSA P-256 (RSA is refused)");
		return;
	}
	status = server->on_call(call, server->data, &ops, &data, &details);
	if (status != RPC_OK) {
		server_refuse(call, status, details);
		return;
	}
	call->ops = ops;
	call->data = data;
	if (!call->finished && !call->finishing)
		rpc_call_headers(call);
	rpc_call_receive(call);
}

static struct rpc_call *server_take(struct rpc_server *server)
{
	struct rpc_call *call = rpc_call_alloc(server->rpc, true);
	grpc_op close = { .op = GRPC_OP_RECV_CLOSE_ON_SERVER };

	call->call = server->call;
	call->method = grpc_slice_to_c_string(server->details.method);
	call->headers_tag.done = server_call_tag_done;
	call->end_tag.done = server_call_ended;
	rpc_call_ref(call); /* until offered */
	close.data.recv_close_on_server.cancelled = &call->cancelled;
	rpc_call_batch(call, &close, 1, &call->end_tag);
	return call;
}

static void server_request(struct rpc_server *server)
{
	if (server->stopping)
		return;
	grpc_call_details_init(&server->details);
	grpc_metadata_array_init(&server->metadata);
	server->call = NULL;
	rpc_tag_start(server->rpc, &server->request_tag);
	if (grpc_server_request_call(server->server, &server->call, &server->details,
				     &server->metadata, server->rpc->cq, server->rpc->cq,
				     &server->request_tag) != GRPC_CALL_OK)
		abort(); /* only for a queue that the server does not know */
}

static void server_requested(struct rpc_tag *tag, bool ok)
{
	struct rpc_server *server =
		(struct rpc_server *)((char *)tag - offsetof(struct rpc_server, request_tag));
	struct rpc_call *call = NULL;

	if (ok)
		call = server_take(server);
	grpc_call_details_destroy(&server->details);
	grpc_metadata_array_destroy(&server->metadata);
	if (ok)
		server_request(server);
	if (call) {
		server_offer(server, call);
		rpc_call_unref(call);
	}
}

/* ---- life ---- */

static void server_free_now(struct rpc_server *server)
{
	pthread_cond_destroy(&server->gone_cond);
	pthread_mutex_destroy(&server->lock);
	gpr_free(server);
}

/* Behind all reports of handshakes: posted functions run in order. */
static void server_gone_now(void *data)
{
	struct rpc_server *server = data;
	bool waited;

	pthread_mutex_lock(&server->lock);
	server->gone = true;
	waited = server->waited;
	pthread_cond_signal(&server->gone_cond);
	pthread_mutex_unlock(&server->lock);
	if (!waited)
		server_free_now(server);
}

static void server_gone(struct rpc_tag *tag, bool ok)
{
	struct rpc_server *server =
		(struct rpc_server *)((char *)tag - offsetof(struct rpc_server, shutdown_tag));

	(void)ok;
	LIST_REMOVE(server, link);
	grpc_server_destroy(server->server);
	rpc_files_mute(server->files);
	rpc_post(server->rpc, server_gone_now, server);
}

static void server_stop(struct rpc_server *server)
{
	if (server->stopping)
		return;
	server->stopping = true;
	rpc_tag_start(server->rpc, &server->shutdown_tag);
	grpc_server_shutdown_and_notify(server->server, server->rpc->cq, &server->shutdown_tag);
	grpc_server_cancel_all_calls(server->server);
}

void rpc_server_stop_all(struct rpc *rpc)
{
	struct rpc_server *server;

	LIST_FOREACH (server, &rpc->servers, link)
		server_stop(server);
}

static void server_begin(void *data)
{
	struct rpc_server *server = data;

	LIST_INSERT_HEAD(&server->rpc->servers, server, link);
	if (server->rpc->stopping)
		server_stop(server);
	else
		server_request(server);
}

struct server_report {
	struct rpc_server *server;
	char *error;
};

static void server_report_now(void *data)
{
	struct server_report *report = data;

	report->server->on_credentials(report->server->data, report->error);
	gpr_free(report->error);
	gpr_free(report);
}

/* From a handshake, on any of gRPC's threads. The server cannot be gone before: it is freed from
 * the queue too. */
static void server_credentials(void *data, char *error)
{
	struct rpc_server *server = data;
	struct server_report *report;

	if (!server->on_credentials) {
		gpr_free(error);
		return;
	}
	report = gpr_malloc(sizeof(*report));
	*report = (struct server_report){ .server = server, .error = error };
	rpc_post(server->rpc, server_report_now, report);
}

static grpc_server *server_make(uint32_t max_message)
{
	const struct {
		const char *key;
		int value;
	} ints[] = {
		{ GRPC_ARG_ALLOW_REUSEPORT, 0 },			   /* pitfall 11 */
		{ GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 }, /* grpc-core 0.8 */
		{ GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH, (int)max_message },
		{ GRPC_ARG_MAX_METADATA_SIZE, SERVER_MAX_METADATA },
		{ GRPC_ARG_MAX_CONCURRENT_STREAMS, SERVER_MAX_STREAMS },
		{ GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, SERVER_HANDSHAKE_MS }, /* pitfall 14 */
		{ GRPC_ARG_MAX_CONNECTION_IDLE_MS, SERVER_IDLE_MS },
		/* Keepalive works only with all of these (pitfall 15). */
		{ GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, SERVER_MIN_PING_MS },
		{ GRPC_ARG_KEEPALIVE_TIME_MS, SERVER_KEEPALIVE_MS },
		{ GRPC_ARG_KEEPALIVE_TIMEOUT_MS, SERVER_KEEPALIVE_TIMEOUT },
		{ GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1 },
		{ GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0 },
	};
	enum { N = sizeof(ints) / sizeof(ints[0]) };
	grpc_arg args[N];

	for (size_t i = 0; i < N; i++)
		args[i] = (grpc_arg){ .type = GRPC_ARG_INTEGER,
				      .key = (char *)ints[i].key,
				      .value.integer = ints[i].value };
	return grpc_server_create(&(grpc_channel_args){ .num_args = N, .args = args }, NULL);
}

/* gRPC gives no errno, only a line in its log. */
static int server_bind_error(const char *listen, const char *log, struct errmsg *err)
{
	static const struct {
		const char *text;
		int error;
	} known[] = {
		{ "Address already in use", EADDRINUSE },
		{ "Permission denied", EACCES },
		{ "Cannot assign requested address", EADDRNOTAVAIL },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (!strstr(log, known[i].text))
			continue;
		errmsg_set(err, "cannot listen on %s: %s", listen, known[i].text);
		return -known[i].error;
	}
	errmsg_set(err, "cannot listen on %s (is it host:port?)", listen);
	return -EINVAL;
}

static int server_bind(struct rpc_server *server, const char *listen, struct errmsg *err)
{
	grpc_server_credentials *credentials = rpc_files_server(server->files);
	char log[4096] = "";
	int port;

	rpc_log_capture(log, sizeof(log));
	port = grpc_server_add_http2_port(server->server, listen, credentials);
	rpc_log_capture(NULL, 0);
	grpc_server_credentials_release(credentials);
	if (port <= 0)
		return server_bind_error(listen, log, err);
	server->port = (uint16_t)port;
	return 0;
}

static struct rpc_server *server_alloc(struct rpc *rpc, const struct rpc_server_options *options)
{
	struct rpc_server *server = gpr_zalloc(sizeof(*server));

	server->rpc = rpc;
	server->data = options->data;
	server->on_call = options->on_call;
	server->on_credentials = options->on_credentials;
	server->request_tag.done = server_requested;
	server->shutdown_tag.done = server_gone;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->gone_cond, NULL);
	return server;
}

static int server_open(struct rpc_server *server, const struct rpc_server_options *options,
		       struct errmsg *err)
{
	int r;

	server->files =
		rpc_files_new(server->rpc, &options->credentials, server_credentials, server);
	server->server =
		server_make(options->max_message ? options->max_message : SERVER_MAX_MESSAGE);
	grpc_server_register_completion_queue(server->server, server->rpc->cq, NULL);
	r = server_bind(server, options->listen, err);
	if (r == 0)
		grpc_server_start(server->server);
	else
		grpc_server_destroy(server->server);
	if (r < 0)
		rpc_files_mute(server->files);
	return r;
}

int rpc_server_new(struct rpc *rpc, const struct rpc_server_options *options,
		   struct rpc_server **ret_server, struct errmsg *err)
{
	struct rpc_server *server;
	struct rpc_pem pem;
	sigset_t old;
	int r;

	r = rpc_pem_load(&options->credentials, &pem,
			 err); /* a clear text now, not a refusal later */
	if (r < 0)
		return r;
	rpc_pem_deinit(&pem);
	server = server_alloc(rpc, options);
	rpc_block_signals(&old);
	r = server_open(server, options, err);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r < 0) {
		server_free_now(server);
		return r;
	}
	rpc_post(rpc, server_begin, server);
	*ret_server = server;
	return 0;
}

uint16_t rpc_server_port(const struct rpc_server *server)
{
	return server->port;
}

static void server_stop_posted(void *data)
{
	server_stop(data);
}

struct rpc_server *rpc_server_free(struct rpc_server *server)
{
	if (!server)
		return NULL;
	pthread_mutex_lock(&server->lock);
	server->waited = true;
	pthread_mutex_unlock(&server->lock);
	rpc_post(server->rpc, server_stop_posted, server);
	pthread_mutex_lock(&server->lock);
	while (!server->gone)
		pthread_cond_wait(&server->gone_cond, &server->lock);
	pthread_mutex_unlock(&server->lock);
	server_free_now(server);
	return NULL;
}
