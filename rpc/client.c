/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/support/alloc.h>
#include <grpc/support/string_util.h>
#include <grpc/support/time.h>

#include "core/clock.h"
#include "rpc/internal.h"

#define CLIENT_MAX_MESSAGE  (4u * 1024 * 1024)
#define CLIENT_MAX_METADATA (8 * 1024)
#define CLIENT_MAX_ARGS	    24

struct client_args {
	grpc_arg args[CLIENT_MAX_ARGS];
	size_t n_args;
};

static void client_arg_int(struct client_args *args, const char *key, int value)
{
	args->args[args->n_args++] =
		(grpc_arg){ .type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value };
}

static void client_arg_string(struct client_args *args, const char *key, const char *value)
{
	args->args[args->n_args++] = (grpc_arg){ .type = GRPC_ARG_STRING,
						 .key = (char *)key,
						 .value.string = (char *)value };
}

static int client_ms(uint64_t ns)
{
	uint64_t ms = ns / CLOCK_NS_PER_MS;

	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void client_fill_args(struct client_args *args, const struct rpc_channel_options *options)
{
	client_arg_int(args, GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
		       (int)(options->max_message ? options->max_message : CLIENT_MAX_MESSAGE));
	client_arg_int(args, GRPC_ARG_MAX_METADATA_SIZE, CLIENT_MAX_METADATA);
	/* Only identity: a small compressed message grows before the limit is looked at (grpc-core
	 * 0.8). */
	client_arg_int(args, GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1);
	client_arg_int(args, GRPC_ARG_ENABLE_RETRIES, 0);
	client_arg_int(args, GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, INT_MAX);
	client_arg_int(args, GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
	client_arg_int(args, GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
	/* The minimum is also the floor of the connect time-out: with the default of 20 s, 10 000
	 * clients at once never finish their handshakes (grpc-core 0.6). */
	client_arg_int(args, GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 500);
	client_arg_int(args, GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 120000);
	client_arg_int(args, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 30000);
	if (options->keepalive_ns) {
		/* All of them together, or pings stop silently (pitfall 15). */
		client_arg_int(args, GRPC_ARG_KEEPALIVE_TIME_MS, client_ms(options->keepalive_ns));
		client_arg_int(args, GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
			       client_ms(options->keepalive_timeout_ns));
		client_arg_int(args, GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
	}
	if (options->server_name && *options->server_name)
		client_arg_string(args, GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, options->server_name);
	/* Never from the environment (pitfall 25). */
	client_arg_int(args, GRPC_ARG_ENABLE_HTTP_PROXY, options->http_proxy != NULL);
	if (options->http_proxy)
		client_arg_string(args, GRPC_ARG_HTTP_PROXY, options->http_proxy);
}

/* The leaf of the server: our chains are ECDSA P-256 only. */
static int client_verify_peer(const char *target_name, const char *peer_pem, void *data)
{
	struct rpc_certificate certificate;

	(void)target_name;
	(void)data;
	if (!rpc_certificate_parse(peer_pem, strlen(peer_pem), &certificate))
		return 1;
	return certificate.is_ecdsa_p256 ? 0 : 1;
}

static grpc_channel_credentials *client_credentials(const struct rpc_pem *pem)
{
	grpc_ssl_pem_key_cert_pair pair = { .private_key = pem->key,
					    .cert_chain = pem->certificate };
	grpc_ssl_verify_peer_options verify = { .verify_peer_callback = client_verify_peer };

	return grpc_ssl_credentials_create_ex(pem->ca, &pair, &verify, NULL);
}

int rpc_channel_new(struct rpc *rpc, const struct rpc_channel_options *options,
		    struct rpc_channel **ret_channel, struct errmsg *err)
{
	struct client_args args = { .n_args = 0 };
	grpc_channel_credentials *credentials;
	struct rpc_channel *channel;
	struct rpc_pem pem;
	int r;

	if (rpc->stopping)
		return -ESHUTDOWN;
	r = rpc_pem_load(&options->credentials, &pem, err);
	if (r < 0)
		return r;
	client_fill_args(&args, options);
	credentials = client_credentials(&pem);
	rpc_pem_deinit(&pem);
	channel = gpr_zalloc(sizeof(*channel));
	channel->rpc = rpc;
	channel->channel = grpc_channel_create(
		options->target, credentials,
		&(grpc_channel_args){ .num_args = args.n_args, .args = args.args });
	grpc_channel_credentials_release(credentials);
	LIST_INSERT_HEAD(&rpc->channels, channel, link);
	*ret_channel = channel;
	return 0;
}

void rpc_channel_shut(struct rpc_channel *channel)
{
	struct rpc_call *call;

	LIST_FOREACH (call, &channel->rpc->calls, link) {
		if (call->channel == channel)
			rpc_call_cancel(call);
	}
	if (channel->channel)
		grpc_channel_destroy(channel->channel);
	channel->channel = NULL;
}

struct rpc_channel *rpc_channel_free(struct rpc_channel *channel)
{
	struct rpc_call *call;

	if (!channel)
		return NULL;
	rpc_channel_shut(channel);
	LIST_FOREACH (call, &channel->rpc->calls, link) {
		if (call->channel == channel)
			call->channel = NULL;
	}
	LIST_REMOVE(channel, link);
	gpr_free(channel);
	return NULL;
}

const char *rpc_channel_last_error(const struct rpc_channel *channel)
{
	return channel->last_error;
}

/* ---- calls ---- */

static void client_headers(struct rpc_tag *tag, bool ok)
{
	struct rpc_call *call =
		(struct rpc_call *)((char *)tag - offsetof(struct rpc_call, headers_tag));
	struct rpc_certificate certificate;

	/* Also completes, with nothing in it, when the call failed. */
	if (ok && !call->ended && !grpc_call_failed_before_recv_message(call->call)) {
		rpc_call_read_peer(call, &certificate);
		if (call->ops->on_headers)
			call->ops->on_headers(call, call->data);
	}
	rpc_call_unref(call);
}

static void client_ended(struct rpc_tag *tag, bool ok)
{
	struct rpc_call *call =
		(struct rpc_call *)((char *)tag - offsetof(struct rpc_call, end_tag));
	char *details;

	(void)ok; /* always: the status says what happened */
	call->ended = true;
	if (call->channel && call->status != GRPC_STATUS_OK) {
		details = grpc_slice_to_c_string(call->status_details);
		rpc_failure_text(details, call->channel->last_error,
				 sizeof(call->channel->last_error));
		gpr_free(details);
	}
	rpc_call_unref(call);
}

static void client_start(struct rpc_call *call)
{
	grpc_op start[2] = { { .op = GRPC_OP_SEND_INITIAL_METADATA },
			     { .op = GRPC_OP_RECV_STATUS_ON_CLIENT } };
	grpc_op headers = { .op = GRPC_OP_RECV_INITIAL_METADATA };

	call->headers_sent = true;
	call->end_tag.done = client_ended;
	call->headers_tag.done = client_headers;
	start[1].data.recv_status_on_client.trailing_metadata = &call->trailing_metadata;
	start[1].data.recv_status_on_client.status = &call->status;
	start[1].data.recv_status_on_client.status_details = &call->status_details;
	start[1].data.recv_status_on_client.error_string = &call->error_string;
	rpc_call_batch(call, start, 2, &call->end_tag);
	headers.data.recv_initial_metadata.recv_initial_metadata = &call->initial_metadata;
	rpc_call_batch(call, &headers, 1, &call->headers_tag);
	rpc_call_receive(call);
}

int rpc_call_new(struct rpc_channel *channel, const char *method, uint32_t deadline_ms,
		 const struct rpc_call_ops *ops, void *data, struct rpc_call **ret_call)
{
	gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
	struct rpc_call *call;
	grpc_slice path;

	if (!channel->channel)
		return -ESHUTDOWN;
	if (deadline_ms)
		deadline = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
					gpr_time_from_millis(deadline_ms, GPR_TIMESPAN));
	call = rpc_call_alloc(channel->rpc, false);
	call->channel = channel;
	call->ops = ops;
	call->data = data;
	call->method = gpr_strdup(method);
	path = grpc_slice_from_copied_string(method);
	call->call = grpc_channel_create_call(channel->channel, NULL, 0, channel->rpc->cq, path,
					      NULL, deadline, NULL);
	grpc_slice_unref(path);
	client_start(call);
	*ret_call = call;
	return 0;
}
