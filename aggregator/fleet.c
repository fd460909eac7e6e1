/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/fleet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/audit.h"
#include "core/clock.h"
#include "core/log.h"

#define FLEET_ARENA_MAX (64u << 20)

static const struct fleet_method *const fleet_methods[] = {
	&fleet_list_hosts,	 &fleet_get_host,     &fleet_query_events,
	&fleet_submit_command,	 &fleet_get_command,  &fleet_list_commands,
	&fleet_cancel_command,	 &fleet_query_audit,  &fleet_plan_campaign,
	&fleet_submit_campaign,	 &fleet_get_campaign, &fleet_list_campaigns,
	&fleet_control_campaign,
};

static void fleet_free(struct fleet_call *call)
{
	if (!call)
		return;
	if (call->is_open || call->is_busy)
		return;
	if (call->request)
		protobuf_c_message_free_unpacked(call->request, NULL);
	if (call->envelope)
		protobuf_c_message_free_unpacked(&call->envelope->base, NULL);
	if (call->command_sent)
		protobuf_c_message_free_unpacked(&call->command_sent->base, NULL);
	submit_campaign_free(call->campaign_sent);
	arena_free(call->arena);
	buf_deinit(&call->answer);
	free(call);
}

void fleet_release(struct fleet_call *call)
{
	call->is_busy = false;
	fleet_free(call);
}

/* A local call ends with its reply; whoever called us frees it (fleet_release, fleet_local). */
static void fleet_end(struct fleet_call *call, int status, const char *details, const void *data,
		      size_t size)
{
	if (!call->is_open || call->is_finished)
		return;
	call->is_finished = true;
	if (call->reply) {
		call->is_open = false;
		call->reply(call->reply_data, status, details, data, size);
		return;
	}
	if (status == RPC_OK)
		rpc_call_enqueue(call->call, data, size, SIZE_MAX);
	rpc_call_finish(call->call, status, details);
}

void fleet_fail(struct fleet_call *call, int status, const char *details)
{
	if (call->method->is_change && !call->is_finished && audit_is_worth(status))
		audit_refused(call->aggregator, &call->caller, call->method->name, status, details);
	fleet_end(call, status, details, NULL, 0);
}

void fleet_answer_bytes(struct fleet_call *call, const void *data, size_t size)
{
	fleet_end(call, RPC_OK, "", data, size);
}

void fleet_answer(struct fleet_call *call, const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *bytes = malloc(size + 1);

	if (!bytes) {
		fleet_fail(call, RPC_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	protobuf_c_message_pack(message, bytes);
	fleet_answer_bytes(call, bytes, size);
	free(bytes);
}

/* ---- changes ---- */

struct fleet_call *fleet_of(struct writer_job *job)
{
	return (struct fleet_call *)((char *)job - offsetof(struct fleet_call, write));
}

void fleet_write(struct fleet_call *call, enum store_write_type type, const char *action,
		 void (*done)(struct writer_job *job))
{
	call->actor = audit_actor(&call->caller);
	call->audit.action = action;
	call->audit.key_ids = call->key_ids;
	call->audit.detail = call->audit_detail;
	call->write.write.type = type;
	call->write.write.now_unix_ns = clock_realtime_ns();
	call->write.write.actor = &call->actor;
	call->write.write.audit = &call->audit;
	call->write.bytes += sizeof(*call);
	call->write.done = done;
	call->is_busy = true;
	writer_put(call->aggregator->writer, &call->write);
}

void fleet_write_failed(struct fleet_call *call, int error)
{
	if (error == -ECANCELED) {
		fleet_fail(call, RPC_UNAVAILABLE, "the aggregator stops; nothing was changed");
		return;
	}
	counter_add(&call->aggregator->metrics.audit_failures, 1);
	fleet_fail(call, RPC_INTERNAL,
		   "the change and its audit record could not be stored; nothing was changed");
}

/* ---- the reader's job ---- */

static int fleet_run(struct reader_job *job, struct store *store)
{
	struct fleet_call *call = (struct fleet_call *)job;

	return call->method->read(call, store);
}

static void fleet_done(struct reader_job *job)
{
	static struct log_limit limit;
	struct fleet_call *call = (struct fleet_call *)job;

	if (job->error == 0) {
		call->method->answer(call);
	} else if (job->error == -ENOBUFS || job->error == -ENOMEM) {
		fleet_fail(call, RPC_RESOURCE_EXHAUSTED, "the answer is too large; ask for less");
	} else {
		log_limited(&limit, LOG_LEVEL_ERROR, "query failed method=%s error=\"%s\"",
			    call->method->name, log_errno(job->error));
		fleet_fail(call, RPC_UNAVAILABLE, "the store cannot be read now");
	}
	fleet_release(call);
}

bool fleet_read(struct fleet_call *call)
{
	call->is_busy = true;
	call->read.home = READER_GRPC;
	call->read.run = fleet_run;
	call->read.done = fleet_done;
	if (reader_put(call->aggregator->reader, &call->read))
		return true;
	call->is_busy = false;
	fleet_fail(call, RPC_RESOURCE_EXHAUSTED, "too many queries wait");
	return false;
}

/* ---- the call ---- */

static void fleet_on_message(struct rpc_call *rpc_call, void *data, const uint8_t *message,
			     size_t size)
{
	struct fleet_call *call = data;
	struct errmsg err = { 0 };
	const char *details = NULL;
	int status;

	if (call->is_finished)
		return;
	if (call->request) {
		fleet_fail(call, RPC_INVALID_ARGUMENT, "a second request");
		return;
	}
	call->request =
		codec_unpack(call->method->request,
			     call->method->limits ? call->method->limits : &scan_limits_request,
			     NULL, message, size, &err);
	if (!call->request) {
		fleet_fail(call, RPC_INVALID_ARGUMENT, err.text);
		return;
	}
	status = call->method->begin(call, &details);
	if (status != RPC_OK)
		fleet_fail(call, status, details);
}

static void fleet_on_end(struct rpc_call *rpc_call, void *data)
{
	struct fleet_call *call = data;

	if (!call->request)
		fleet_fail(call, RPC_INVALID_ARGUMENT, "no request");
}

static void fleet_on_closed(struct rpc_call *rpc_call, void *data, int status, const char *details)
{
	struct fleet_call *call = data;

	call->call = NULL;
	call->is_open = false;
	fleet_free(call);
}

static const struct rpc_call_ops fleet_ops = {
	.on_message = fleet_on_message,
	.on_end = fleet_on_end,
	.on_closed = fleet_on_closed,
};

static const struct fleet_method *fleet_find(const char *name)
{
	for (size_t i = 0; i < sizeof(fleet_methods) / sizeof(fleet_methods[0]); i++)
		if (strcmp(fleet_methods[i]->name, name) == 0)
			return fleet_methods[i];
	return NULL;
}

static struct fleet_call *fleet_call_new(struct aggregator *aggregator, const struct caller *caller,
					 const char *name)
{
	struct fleet_call *call = calloc(1, sizeof(*call));

	if (!call || arena_new(&call->arena, FLEET_ARENA_MAX) < 0) {
		free(call);
		return NULL;
	}
	call->aggregator = aggregator;
	call->caller = *caller;
	call->method = fleet_find(name);
	call->is_open = true;
	return call;
}

void fleet_local(struct aggregator *aggregator, const char *method, const struct caller *caller,
		 ProtobufCMessage *request, fleet_reply *reply, void *data)
{
	struct fleet_call *call = fleet_call_new(aggregator, caller, method);
	const char *details = NULL;
	int status;

	if (!call || !call->method) {
		fleet_free(call);
		protobuf_c_message_free_unpacked(request, NULL);
		reply(data, RPC_RESOURCE_EXHAUSTED, "no memory", NULL, 0);
		return;
	}
	call->request = request;
	call->reply = reply;
	call->reply_data = data;
	status = call->method->begin(call, &details);
	if (status != RPC_OK)
		fleet_fail(call, status, details);
	fleet_free(call); /* if it has ended already */
}

int fleet_on_call(struct aggregator *aggregator, struct rpc_call *rpc_call,
		  const struct caller *caller, const struct rpc_call_ops **ret_ops, void **ret_data,
		  const char **ret_details)
{
	const char *name = strrchr(rpc_call_method(rpc_call), '/') + 1;
	struct fleet_call *call = fleet_call_new(aggregator, caller, name);

	if (!call) {
		*ret_details = "no memory";
		return RPC_RESOURCE_EXHAUSTED;
	}
	call->call = rpc_call;
	*ret_ops = &fleet_ops;
	*ret_data = call;
	return RPC_OK;
}

const char *fleet_filter(const Pathbell__V1__EventFilter *from, struct store_filter *ret_filter)
{
	memset(ret_filter, 0, sizeof(*ret_filter));
	if (!from)
		return NULL;
	if (from->n_host_ids > 64)
		return "filter.host_ids: more than 64";
	if (strlen(from->kind_glob) > 128)
		return "filter.kind_glob: longer than 128 bytes";
	if (strlen(from->subject_id) > 256)
		return "filter.subject_id: longer than 256 bytes";
	if (from->until_unix_ns != 0 && from->until_unix_ns <= from->since_unix_ns)
		return "filter.until_unix_ns: not behind since_unix_ns";
	ret_filter->host_ids = (const char *const *)from->host_ids;
	ret_filter->n_hosts = from->n_host_ids;
	ret_filter->kind_glob = from->kind_glob[0] ? from->kind_glob : NULL;
	ret_filter->min_severity = from->min_severity;
	ret_filter->since_unix_ns = from->since_unix_ns;
	ret_filter->until_unix_ns = from->until_unix_ns;
	ret_filter->subject_id = from->subject_id[0] ? from->subject_id : NULL;
	return NULL;
}
