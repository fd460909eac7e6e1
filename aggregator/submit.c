/* SPDX-License-Identifier: Apache-2.0 */
/* SubmitCommand: check, store durably as QUEUED, offer to the hosts, answer with the record. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/commands.h"
#include "aggregator/envelope_check.h"
#include "aggregator/fleet.h"
#include "aggregator/submit.h"
#include "aggregator/view.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"
#include "proto/chain.h"
#include "proto/kind.h"

const Pathbell__V1__CommandTarget *submit_target_of(const Pathbell__V1__Command *command)
{
	if (!command->target && command->args_case == PATHBELL__V1__COMMAND__ARGS_PROBE)
		return command->probe->target;
	return command->target;
}

void submit_target(const Pathbell__V1__Command *command, char *ret_text, size_t size)
{
	const Pathbell__V1__CommandTarget *target = submit_target_of(command);
	const char *parts[] = { target ? target->id : "",
				target ? target->name : "",
				target ? target->map_name : "",
				target ? target->map_uuid : "",
				target ? target->path_wwid : "",
				target ? target->nqn : "",
				target ? target->transport_address : "" };

	ret_text[0] = '\0';
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !ret_text[0]; i++)
		snprintf(ret_text, size, "%s", parts[i]);
}

void submit_key_ids(const Pathbell__V1__SignedCommand *envelope, char *ret_text, size_t size)
{
	size_t used = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < envelope->n_signatures && used < size; i++) {
		int n = snprintf(ret_text + used, size - used, "%s%.40s", i ? " " : "",
				 envelope->signatures[i]->key_id);

		used += n > 0 ? (size_t)n : 0;
	}
}

void submit_audit(const Pathbell__V1__Command *command, const ProtobufCBinaryData *envelope,
		  const char *target, char *ret_text, size_t size)
{
	char digest[2 * CHAIN_HASH_SIZE + 1] = "";

	chain_digest(envelope->data, envelope->len, digest);
	snprintf(ret_text, size,
		 "verb=%s hosts=%zu envelope_sha256=%s dry_run=%d issuer=\"%s\" target=\"%s\" "
		 "reason=\"%s\"",
		 command_verb_name(command->verb), command->n_host_ids, digest, command->dry_run,
		 command->issuer, target, command->reason);
}

static void submit_log(const struct fleet_call *call)
{
	const struct store_new_command *command = &call->write.write.command;
	char id[ID_TEXT_SIZE];

	id_format(command->id, id);
	log_notice("command stored id=%s verb=%s hosts=%zu operator=%s issuer=%s reason=\"%s\"", id,
		   command->verb, command->n_hosts, call->caller.name, command->issuer,
		   command->reason);
}

/* The store has it, or knew it: read the record back. */
static void submit_stored(struct fleet_call *call, int outcome)
{
	const struct store_new_command *command = &call->write.write.command;
	char text[256];

	switch (outcome) {
	case 0:
		counter_add(&call->aggregator->metrics.commands_submitted, 1);
		submit_log(call);
		if (commands_add(call->aggregator->commands, command) < 0)
			log_error("no memory for a command; it is delivered after the next start");
		fleet_read(call);
		return;
	case STORE_E_SAME:
		fleet_read(call);
		return;
	case STORE_E_UNKNOWN_HOST:
		snprintf(text, sizeof(text), "command.host_ids: no host \"%s\" was ever seen here",
			 command->ret_detail);
		fleet_fail(call, RPC_NOT_FOUND, text);
		return;
	default:
		fleet_fail(call, RPC_ALREADY_EXISTS, "command.id: another command has this id");
		return;
	}
}

static void submit_done(struct writer_job *job)
{
	struct fleet_call *call = fleet_of(job);

	call->is_busy = false;
	if (job->error < 0)
		fleet_write_failed(call, job->error);
	else
		submit_stored(call, job->write.ret_outcome);
	if (!call->is_busy) /* fleet_read has not made it so again */
		fleet_release(call);
}

static void submit_write(struct fleet_call *call)
{
	const Pathbell__V1__SubmitCommandRequest *request =
		(const Pathbell__V1__SubmitCommandRequest *)call->request;
	const Pathbell__V1__Command *from = call->command_sent;
	struct store_new_command *to = &call->write.write.command;

	memcpy(to->id, from->id.data, 16);
	to->envelope = request->envelope.data;
	to->envelope_size = request->envelope.len;
	to->verb = command_verb_name(from->verb);
	to->issuer = from->issuer;
	to->submitted_by = call->caller.name;
	to->reason = from->reason;
	to->target = call->target;
	to->not_before_unix_ns = from->not_before_unix_ms * CLOCK_NS_PER_MS;
	to->expires_unix_ns = from->expires_unix_ms * CLOCK_NS_PER_MS;
	to->host_ids = (const char *const *)from->host_ids;
	to->n_hosts = from->n_host_ids;
	call->write.bytes = to->envelope_size;
	submit_key_ids(call->envelope, call->key_ids, sizeof(call->key_ids));
	submit_audit(from, &request->envelope, call->target, call->audit_detail,
		     sizeof(call->audit_detail));
	call->audit.command_id = to->id;
	fleet_write(call, STORE_COMMAND, "command.submit", submit_done);
}

static int submit_begin(struct fleet_call *call, const char **ret_details)
{
	const Pathbell__V1__SubmitCommandRequest *request =
		(const Pathbell__V1__SubmitCommandRequest *)call->request;
	struct errmsg err = { 0 };

	if (envelope_check(request->envelope.data, request->envelope.len,
			   clock_realtime_ns() / CLOCK_NS_PER_MS, &call->envelope,
			   &call->command_sent, &err) < 0) {
		fleet_fail(call, RPC_INVALID_ARGUMENT, err.text);
		return RPC_OK;
	}
	if (call->command_sent->campaign) {
		*ret_details = "command.campaign: a campaign is submitted with SubmitCampaign";
		return RPC_INVALID_ARGUMENT;
	}
	if (!commands_have_room(call->aggregator->commands, call->command_sent->n_host_ids,
				request->envelope.len)) {
		*ret_details =
			"too many commands wait for their hosts (commands.max_pending, max_bytes)";
		return RPC_RESOURCE_EXHAUSTED;
	}
	submit_target(call->command_sent, call->target, sizeof(call->target));
	submit_write(call);
	return RPC_OK;
}

static bool submit_row(void *data, const struct store_command *command)
{
	struct fleet_call *call = data;

	call->command = view_command(call->arena, command);
	call->read.error = call->command ? 0 : -ENOMEM;
	return false;
}

static int submit_read(struct fleet_call *call, struct store *store)
{
	struct store_command_query query = { .id = call->command_sent->id.data, .limit = 1 };
	int r;

	call->read.error = 0;
	call->command = NULL;
	r = store_commands(store, &query, submit_row, call);
	return r < 0 ? r : call->read.error;
}

static void submit_answer(struct fleet_call *call)
{
	Pathbell__V1__SubmitCommandResponse response = PATHBELL__V1__SUBMIT_COMMAND_RESPONSE__INIT;

	response.command = call->command;
	fleet_answer(call, &response.base);
}

const struct fleet_method fleet_submit_command = {
	.name = "SubmitCommand",
	.is_change = true,
	.request = &pathbell__v1__submit_command_request__descriptor,
	.begin = submit_begin,
	.read = submit_read,
	.answer = submit_answer,
};
