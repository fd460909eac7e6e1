/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/health.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "grpc/health/v1/health.pb-c.h"
#include "proto/codec.h"

#define HEALTH_SEND_MAX	    4096
#define HEALTH_MAX_WATCHERS 1024

struct health_call {
	struct aggregator *aggregator;
	bool is_watch, is_asked, is_known, is_finished;
	int last; /* status told */
	struct rpc_call *call;
	LIST_ENTRY(health_call) link; /* watches */
};

struct health {
	LIST_HEAD(, health_call) watches;
	size_t n_watches;
};

struct health *health_new(void)
{
	return calloc(1, sizeof(struct health));
}

struct health *health_free(struct health *health)
{
	free(health);
	return NULL;
}

static bool health_knows(const char *service)
{
	static const char *const services[] = { "", "pathbell.v1.Ingest", "pathbell.v1.Fleet" };

	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
		if (strcmp(service, services[i]) == 0)
			return true;
	return false;
}

static int health_status(const struct health_call *call)
{
	if (!call->is_known)
		return GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN;
	return call->aggregator->is_ready && !call->aggregator->is_stopping
		       ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
		       : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
}

static void health_answer(struct health_call *call)
{
	Grpc__Health__V1__HealthCheckResponse response =
		GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	uint8_t bytes[16];
	size_t size;

	response.status = health_status(call);
	if (call->is_watch && call->last == (int)response.status)
		return;
	size = grpc__health__v1__health_check_response__pack(&response, bytes);
	/* Not taken: on_sent tries again with what is true then. */
	if (rpc_call_enqueue(call->call, bytes, size, HEALTH_SEND_MAX) == 0)
		call->last = (int)response.status;
}

static void health_finish(struct health_call *call, int status, const char *details)
{
	call->is_finished = true;
	rpc_call_finish(call->call, status, details);
}

static void health_on_message(struct rpc_call *rpc_call, void *data, const uint8_t *message,
			      size_t size)
{
	struct health_call *call = data;
	struct errmsg err = { 0 };
	Grpc__Health__V1__HealthCheckRequest *request;

	if (call->is_finished)
		return;
	request = codec_unpack(&grpc__health__v1__health_check_request__descriptor,
			       &scan_limits_request, NULL, message, size, &err);
	if (!request || call->is_asked) {
		health_finish(call, RPC_INVALID_ARGUMENT, request ? "a second request" : err.text);
	} else {
		call->is_asked = true;
		call->is_known = health_knows(request->service);
		if (call->is_watch || call->is_known)
			health_answer(call);
		if (!call->is_watch)
			health_finish(call, call->is_known ? RPC_OK : RPC_NOT_FOUND,
				      call->is_known ? "" : "no such service");
	}
	if (request)
		protobuf_c_message_free_unpacked(&request->base, NULL);
}

static void health_on_sent(struct rpc_call *rpc_call, void *data)
{
	struct health_call *call = data;

	if (call->is_watch && call->is_asked && !call->is_finished)
		health_answer(call);
}

static void health_on_closed(struct rpc_call *rpc_call, void *data, int status, const char *details)
{
	struct health_call *call = data;

	if (call->is_watch) {
		LIST_REMOVE(call, link);
		call->aggregator->health->n_watches--;
	}
	free(call);
}

static const struct rpc_call_ops health_ops = {
	.on_message = health_on_message,
	.on_sent = health_on_sent,
	.on_closed = health_on_closed,
};

static int health_on_call(struct aggregator *aggregator, struct rpc_call *rpc_call, bool is_watch,
			  void **ret_data, const char **ret_details)
{
	struct health_call *call;

	if (is_watch && aggregator->health->n_watches >= HEALTH_MAX_WATCHERS) {
		*ret_details = "too many health watches";
		return RPC_RESOURCE_EXHAUSTED;
	}
	call = calloc(1, sizeof(*call));
	if (!call) {
		*ret_details = "no memory";
		return RPC_RESOURCE_EXHAUSTED;
	}
	call->aggregator = aggregator;
	call->call = rpc_call;
	call->is_watch = is_watch;
	call->last = -1;
	if (is_watch) {
		LIST_INSERT_HEAD(&aggregator->health->watches, call, link);
		aggregator->health->n_watches++;
	}
	*ret_data = call;
	return RPC_OK;
}

int health_on_check(struct aggregator *aggregator, struct rpc_call *call,
		    const struct caller *caller, const struct rpc_call_ops **ret_ops,
		    void **ret_data, const char **ret_details)
{
	*ret_ops = &health_ops;
	return health_on_call(aggregator, call, false, ret_data, ret_details);
}

int health_on_watch(struct aggregator *aggregator, struct rpc_call *call,
		    const struct caller *caller, const struct rpc_call_ops **ret_ops,
		    void **ret_data, const char **ret_details)
{
	*ret_ops = &health_ops;
	return health_on_call(aggregator, call, true, ret_data, ret_details);
}

void health_changed(struct aggregator *aggregator)
{
	struct health_call *call;

	LIST_FOREACH (call, &aggregator->health->watches, link) {
		if (call->is_asked && !call->is_finished)
			health_answer(call);
		if (aggregator->is_stopping && !call->is_finished)
			health_finish(call, RPC_UNAVAILABLE, "the aggregator stops");
	}
}
