/* SPDX-License-Identifier: Apache-2.0 */
/* CancelCommand and QueryAudit. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/campaign/campaigns.h"
#include "aggregator/commands.h"
#include "aggregator/fleet.h"
#include "aggregator/view.h"
#include "core/clock.h"
#include "core/log.h"

#define CANCEL_MAX_REASON 512

/* ---- CancelCommand ---- */

static const Pathbell__V1__CancelCommandRequest *cancel_request(const struct fleet_call *call)
{
	return (const Pathbell__V1__CancelCommandRequest *)call->request;
}

static void cancel_done(struct writer_job *job)
{
	struct fleet_call *call = fleet_of(job);
	struct aggregator *aggregator = call->aggregator;
	const uint8_t *id = job->write.cancel.id;

	call->is_busy = false;
	if (job->error < 0) {
		commands_withdraw(aggregator->commands, id, false);
		fleet_write_failed(call, job->error);
	} else if (job->write.ret_outcome != 0) {
		fleet_fail(call, RPC_NOT_FOUND, "command_id: no such command");
	} else {
		counter_add(&aggregator->metrics.commands_cancelled,
			    job->write.cancel.ret_cancelled);
		commands_on_cancelled(aggregator->commands, id);
		campaigns_on_cancelled(aggregator->campaigns, id);
		fleet_read(call);
	}
	if (!call->is_busy)
		fleet_release(call);
}

static int cancel_begin(struct fleet_call *call, const char **ret_details)
{
	const Pathbell__V1__CancelCommandRequest *request = cancel_request(call);
	struct store_cancel *cancel = &call->write.write.cancel;

	if (request->command_id.len != 16) {
		*ret_details = "command_id: not 16 bytes";
		return RPC_INVALID_ARGUMENT;
	}
	if (strlen(request->reason) > CANCEL_MAX_REASON) {
		*ret_details = "reason: longer than 512 bytes";
		return RPC_INVALID_ARGUMENT;
	}
	memcpy(cancel->id, request->command_id.data, 16);
	snprintf(call->reason, sizeof(call->reason), "cancelled by %s", call->caller.name);
	snprintf(call->audit_detail, sizeof(call->audit_detail), "reason=\"%s\"", request->reason);
	cancel->detail = call->reason;
	call->audit.command_id = cancel->id;
	/* From here on nothing is delivered: what is QUEUED in the store stays so until the write.
	 */
	commands_withdraw(call->aggregator->commands, cancel->id, true);
	campaigns_on_withdraw(call->aggregator->campaigns, cancel->id);
	log_notice("command cancelled operator=%s reason=\"%s\"", call->caller.name,
		   request->reason);
	fleet_write(call, STORE_CANCEL, "command.cancel", cancel_done);
	return RPC_OK;
}

static bool cancel_row(void *data, const struct store_command *command)
{
	struct fleet_call *call = data;

	call->command = view_command(call->arena, command);
	call->read.error = call->command ? 0 : -ENOMEM;
	return false;
}

static int cancel_read(struct fleet_call *call, struct store *store)
{
	struct store_command_query query = { .id = cancel_request(call)->command_id.data,
					     .limit = 1 };
	int r;

	call->read.error = 0;
	call->command = NULL;
	r = store_commands(store, &query, cancel_row, call);
	return r < 0 ? r : call->read.error;
}

static void cancel_answer(struct fleet_call *call)
{
	Pathbell__V1__CancelCommandResponse response = PATHBELL__V1__CANCEL_COMMAND_RESPONSE__INIT;

	response.cancelled = call->write.write.cancel.ret_cancelled;
	response.too_late = call->write.write.cancel.ret_too_late;
	response.command = call->command;
	fleet_answer(call, &response.base);
}

const struct fleet_method fleet_cancel_command = {
	.name = "CancelCommand",
	.request = &pathbell__v1__cancel_command_request__descriptor,
	.is_change = true,
	.begin = cancel_begin,
	.read = cancel_read,
	.answer = cancel_answer,
};

/* ---- QueryAudit ---- */

static const Pathbell__V1__QueryAuditRequest *audit_request(const struct fleet_call *call)
{
	return (const Pathbell__V1__QueryAuditRequest *)call->request;
}

static int query_audit_begin(struct fleet_call *call, const char **ret_details)
{
	const Pathbell__V1__QueryAuditRequest *request = audit_request(call);

	*ret_details = NULL;
	if (!fleet_page(request->page_size, 500, 5000, &call->max_results))
		*ret_details = "page_size: above 5000";
	else if (request->command_id.len != 0 && request->command_id.len != 16)
		*ret_details = "command_id: not 16 bytes";
	else if (request->campaign_id.len != 0 && request->campaign_id.len != 16)
		*ret_details = "campaign_id: not 16 bytes";
	if (*ret_details)
		return RPC_INVALID_ARGUMENT;
	pathbell__v1__query_audit_response__init(&call->audits);
	call->audits.records = arena_alloc(call->arena, call->max_results * sizeof(void *));
	if (!call->audits.records) {
		*ret_details = "no memory";
		return RPC_RESOURCE_EXHAUSTED;
	}
	fleet_read(call);
	return RPC_OK;
}

static bool query_audit_row(void *data, const struct store_audit_record *record)
{
	struct fleet_call *call = data;
	Pathbell__V1__AuditRecord *message;

	if (arena_used(call->arena) > FLEET_ANSWER_MAX)
		return false; /* the page is full: an encoded record is smaller */
	message = view_audit(call->arena, record);
	if (!message) {
		call->read.error = -ENOMEM;
		return false;
	}
	call->audits.records[call->audits.n_records++] = message;
	return true;
}

static int query_audit_read(struct fleet_call *call, struct store *store)
{
	const Pathbell__V1__QueryAuditRequest *request = audit_request(call);
	struct store_audit_query query = {
		.after_seq = request->after_seq,
		.limit = (uint32_t)call->max_results,
		.command_id = request->command_id.len ? request->command_id.data : NULL,
		.campaign_id = request->campaign_id.len ? request->campaign_id.data : NULL,
		.host_id = request->host_id[0] ? request->host_id : NULL,
		.deadline_ns = clock_monotonic_ns() + READER_QUERY_NS,
	};
	int r;

	call->read.error = 0;
	r = store_audits(store, &query, query_audit_row, call);
	call->audits.next_after_seq = query.ret_more ? query.ret_last_seq : 0;
	call->audits.head_seq = query.ret_head_seq;
	call->audits.head_hash.data = arena_alloc(call->arena, sizeof(query.ret_head_hash));
	if (!call->audits.head_hash.data)
		return -ENOMEM;
	memcpy(call->audits.head_hash.data, query.ret_head_hash, sizeof(query.ret_head_hash));
	call->audits.head_hash.len = sizeof(query.ret_head_hash);
	return r < 0 ? r : call->read.error;
}

static void query_audit_answer(struct fleet_call *call)
{
	fleet_answer(call, &call->audits.base);
}

const struct fleet_method fleet_query_audit = {
	.name = "QueryAudit",
	.request = &pathbell__v1__query_audit_request__descriptor,
	.begin = query_audit_begin,
	.read = query_audit_read,
	.answer = query_audit_answer,
};
