/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SubmitCampaign: every envelope is checked as SubmitCommand does, then all together
 * (check_campaign); one write makes campaign, commands and hosts durable, and the engine starts
 * from what the store then has (campaigns_add).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/campaign/campaigns.h"
#include "aggregator/campaign/check.h"
#include "aggregator/commands.h"
#include "aggregator/envelope_check.h"
#include "aggregator/fleet.h"
#include "aggregator/submit.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"
#include "proto/kind.h"

/* What is said about one command. */
struct submit_text {
	char target[300], key_ids[160], detail[1100];
	struct store_audit audit;
};

struct submit_campaign {
	size_t n;	/* envelopes that were unpacked */
	size_t n_hosts; /* of all */
	size_t bytes;
	Pathbell__V1__SignedCommand **envelopes;
	Pathbell__V1__Command **commands;
	struct store_new_command *writes;
	struct store_target *targets;
	struct submit_text *texts;
	uint8_t *policy;
	size_t policy_size;
};

void submit_campaign_free(struct submit_campaign *campaign)
{
	if (!campaign)
		return;
	for (size_t i = 0; i < campaign->n; i++) {
		protobuf_c_message_free_unpacked(&campaign->envelopes[i]->base, NULL);
		protobuf_c_message_free_unpacked(&campaign->commands[i]->base, NULL);
	}
	free(campaign->envelopes);
	free(campaign->commands);
	free(campaign->writes);
	free(campaign->targets);
	free(campaign->texts);
	free(campaign->policy);
	free(campaign);
}

static struct submit_campaign *submit_campaign_new(size_t n)
{
	struct submit_campaign *campaign = calloc(1, sizeof(*campaign));

	if (!campaign)
		return NULL;
	campaign->envelopes = calloc(n + 1, sizeof(Pathbell__V1__SignedCommand *));
	campaign->commands = calloc(n + 1, sizeof(Pathbell__V1__Command *));
	campaign->writes = calloc(n + 1, sizeof(*campaign->writes));
	campaign->targets = calloc(n + 1, sizeof(*campaign->targets));
	campaign->texts = calloc(n + 1, sizeof(*campaign->texts));
	if (campaign->envelopes && campaign->commands && campaign->writes && campaign->targets &&
	    campaign->texts)
		return campaign;
	submit_campaign_free(campaign);
	return NULL;
}

static const Pathbell__V1__SubmitCampaignRequest *submit_request(const struct fleet_call *call)
{
	return (const Pathbell__V1__SubmitCampaignRequest *)call->request;
}

/* ---- what goes into the store ---- */

static void submit_campaign_target(const Pathbell__V1__Command *command,
				   struct store_target *ret_target)
{
	const Pathbell__V1__CommandTarget *target = submit_target_of(command);

	ret_target->nqn = target ? target->nqn : "";
	ret_target->address = target ? target->transport_address : "";
	ret_target->map_uuid = target ? target->map_uuid : "";
	ret_target->wwid = target ? target->path_wwid : "";
}

static void submit_campaign_command(struct fleet_call *call, size_t i)
{
	struct submit_campaign *campaign = call->campaign_sent;
	const ProtobufCBinaryData *envelope = &submit_request(call)->envelopes[i];
	const Pathbell__V1__Command *from = campaign->commands[i];
	struct store_new_command *to = &campaign->writes[i];
	struct submit_text *text = &campaign->texts[i];

	submit_target(from, text->target, sizeof(text->target));
	submit_key_ids(campaign->envelopes[i], text->key_ids, sizeof(text->key_ids));
	submit_audit(from, envelope, text->target, text->detail, sizeof(text->detail));
	submit_campaign_target(from, &campaign->targets[i]);
	memcpy(to->id, from->id.data, 16);
	to->envelope = envelope->data;
	to->envelope_size = envelope->len;
	to->verb = command_verb_name(from->verb);
	to->issuer = from->issuer;
	to->submitted_by = call->caller.name;
	to->reason = from->reason;
	to->target = text->target;
	to->not_before_unix_ns = from->not_before_unix_ms * CLOCK_NS_PER_MS;
	to->expires_unix_ns = from->expires_unix_ms * CLOCK_NS_PER_MS;
	to->host_ids = (const char *const *)from->host_ids;
	to->n_hosts = from->n_host_ids;
	text->audit = (struct store_audit){ .action = "command.submit",
					    .key_ids = text->key_ids,
					    .detail = text->detail,
					    .command_id = to->id,
					    .campaign_id = from->campaign->id.data };
	to->audit = &text->audit;
}

/* The campaign's window is what all of its commands share. */
static void submit_campaign_window(const struct submit_campaign *campaign,
				   struct store_new_campaign *to)
{
	to->expires_unix_ns = UINT64_MAX;
	for (size_t i = 0; i < campaign->n; i++) {
		const Pathbell__V1__Command *command = campaign->commands[i];
		uint64_t from = command->not_before_unix_ms * CLOCK_NS_PER_MS;
		uint64_t until = command->expires_unix_ms * CLOCK_NS_PER_MS;
		uint64_t timeout = command->timeout_ms * CLOCK_NS_PER_MS;

		to->not_before_unix_ns =
			from > to->not_before_unix_ns ? from : to->not_before_unix_ns;
		to->expires_unix_ns = until < to->expires_unix_ns ? until : to->expires_unix_ns;
		to->timeout_ns = timeout > to->timeout_ns ? timeout : to->timeout_ns;
	}
}

static void submit_campaign_fill(struct fleet_call *call)
{
	struct submit_campaign *campaign = call->campaign_sent;
	const Pathbell__V1__Command *first = campaign->commands[0];
	struct store_new_campaign *to = &call->write.write.campaign;
	struct engine_policy policy;

	engine_policy_from(first->campaign, &policy);
	memcpy(to->id, first->campaign->id.data, 16);
	to->name = first->campaign->name;
	to->verb = command_verb_name(first->verb);
	to->issuer = first->issuer;
	to->submitted_by = call->caller.name;
	to->reason = first->reason;
	to->policy = campaign->policy;
	to->policy_size = campaign->policy_size;
	to->wave_size = policy.canary;
	to->commands = campaign->writes;
	to->targets = campaign->targets;
	to->n_commands = campaign->n;
	to->n_hosts = campaign->n_hosts;
	submit_campaign_window(campaign, to);
}

static int submit_campaign_policy(struct submit_campaign *campaign)
{
	const Pathbell__V1__CommandCampaign *policy = campaign->commands[0]->campaign;

	campaign->policy_size = pathbell__v1__command_campaign__get_packed_size(policy);
	campaign->policy = malloc(campaign->policy_size + 1);
	if (!campaign->policy)
		return -ENOMEM;
	pathbell__v1__command_campaign__pack(policy, campaign->policy);
	return 0;
}

/* ---- and back ---- */

static void submit_campaign_begin_engine(struct fleet_call *call)
{
	const struct store_new_campaign *stored = &call->write.write.campaign;
	char id[ID_TEXT_SIZE];
	int r = 0;

	counter_add(&call->aggregator->metrics.campaigns_submitted, 1);
	id_format(stored->id, id);
	log_notice("campaign stored id=%s verb=%s commands=%zu hosts=%zu operator=%s reason=\"%s\"",
		   id, stored->verb, stored->n_commands, stored->n_hosts, call->caller.name,
		   stored->reason);
	for (size_t i = 0; r == 0 && i < stored->n_commands; i++)
		r = commands_add_kept(call->aggregator->commands, &stored->commands[i]);
	if (r == 0)
		campaigns_add(call->aggregator->campaigns, stored->id);
	else
		log_error("no memory for a campaign; it begins after the next start");
}

static void submit_campaign_stored(struct fleet_call *call, int outcome)
{
	char text[256];

	switch (outcome) {
	case 0:
		submit_campaign_begin_engine(call);
		fleet_read(call);
		return;
	case STORE_E_UNKNOWN_HOST:
		snprintf(text, sizeof(text), "command.host_ids: no host \"%s\" was ever seen here",
			 call->write.write.campaign.ret_detail);
		fleet_fail(call, RPC_NOT_FOUND, text);
		return;
	default:
		fleet_fail(call, RPC_ALREADY_EXISTS,
			   "command.campaign.id or command.id: is here already");
		return;
	}
}

static void submit_campaign_done(struct writer_job *job)
{
	struct fleet_call *call = fleet_of(job);

	call->is_busy = false;
	if (job->error < 0)
		fleet_write_failed(call, job->error);
	else
		submit_campaign_stored(call, job->write.ret_outcome);
	if (!call->is_busy)
		fleet_release(call);
}

/* ---- the request ---- */

/* NULL, or what is wrong. */
static const char *submit_campaign_unpack(struct fleet_call *call, struct errmsg *err)
{
	const Pathbell__V1__SubmitCampaignRequest *request = submit_request(call);
	struct submit_campaign *campaign = call->campaign_sent;
	uint64_t now_ms = clock_realtime_ns() / CLOCK_NS_PER_MS;

	for (size_t i = 0; i < request->n_envelopes; i++) {
		if (envelope_check(request->envelopes[i].data, request->envelopes[i].len, now_ms,
				   &campaign->envelopes[i], &campaign->commands[i], err) < 0)
			return err->text;
		campaign->n++;
		campaign->n_hosts += campaign->commands[i]->n_host_ids;
		campaign->bytes += request->envelopes[i].len;
	}
	switch (check_campaign(campaign->commands, campaign->n, err)) {
	case 0:
		break;
	case -ENOMEM:
		return "no memory";
	default:
		return err->text;
	}
	if (strcmp(campaign->commands[0]->issuer, call->caller.name) != 0)
		return "command.issuer: not the operator of the certificate";
	return NULL;
}

static void submit_campaign_write(struct fleet_call *call)
{
	struct submit_campaign *campaign = call->campaign_sent;

	for (size_t i = 0; i < campaign->n; i++)
		submit_campaign_command(call, i);
	submit_campaign_fill(call);
	call->write.bytes = 2 * campaign->bytes;
	call->audit.campaign_id = call->write.write.campaign.id;
	snprintf(call->key_ids, sizeof(call->key_ids), "%s", campaign->texts[0].key_ids);
	snprintf(call->audit_detail, sizeof(call->audit_detail),
		 "verb=%s commands=%zu hosts=%zu name=\"%s\" reason=\"%s\"",
		 call->write.write.campaign.verb, campaign->n, campaign->n_hosts,
		 call->write.write.campaign.name, call->write.write.campaign.reason);
	fleet_write(call, STORE_CAMPAIGN, "campaign.submit", submit_campaign_done);
}

static int submit_campaign_begin(struct fleet_call *call, const char **ret_details)
{
	struct errmsg err = { 0 };
	const char *wrong;

	call->campaign_sent = submit_campaign_new(submit_request(call)->n_envelopes);
	if (!call->campaign_sent) {
		*ret_details = "no memory";
		return RPC_RESOURCE_EXHAUSTED;
	}
	wrong = submit_campaign_unpack(call, &err);
	if (wrong) {
		fleet_fail(call, RPC_INVALID_ARGUMENT, wrong);
		return RPC_OK;
	}
	if (!campaigns_have_room(call->aggregator->campaigns) ||
	    !commands_have_room(call->aggregator->commands, call->campaign_sent->n_hosts,
				call->campaign_sent->bytes)) {
		*ret_details = "too many campaigns or commands wait (commands.max_campaigns, "
			       "max_pending, max_bytes)";
		return RPC_RESOURCE_EXHAUSTED;
	}
	if (submit_campaign_policy(call->campaign_sent) < 0) {
		*ret_details = "no memory";
		return RPC_RESOURCE_EXHAUSTED;
	}
	submit_campaign_write(call);
	return RPC_OK;
}

static int submit_campaign_read(struct fleet_call *call, struct store *store)
{
	return fleet_read_campaign(call, store, call->write.write.campaign.id);
}

const struct fleet_method fleet_submit_campaign = {
	.name = "SubmitCampaign",
	.request = &pathbell__v1__submit_campaign_request__descriptor,
	.limits = &scan_limits_stream,
	.is_change = true,
	.begin = submit_campaign_begin,
	.read = submit_campaign_read,
	.answer = fleet_answer_campaign,
};
