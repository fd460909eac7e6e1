/* SPDX-License-Identifier: Apache-2.0 */
/* GetCampaign, ListCampaigns, ControlCampaign. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/campaign/campaigns.h"
#include "aggregator/fleet.h"
#include "aggregator/token.h"
#include "aggregator/view.h"
#include "core/log.h"

#define FLEET_MAX_REASON 512

static bool campaign_row(void *data, const struct store_campaign *campaign)
{
	struct fleet_call *call = data;

	call->campaign = view_campaign(call->arena, campaign);
	call->read.error = call->campaign ? 0 : -ENOMEM;
	return false;
}

int fleet_read_campaign(struct fleet_call *call, struct store *store, const uint8_t id[16])
{
	struct store_campaign_query query = { .id = id, .limit = 1 };
	int r;

	call->read.error = 0;
	call->campaign = NULL;
	r = store_campaigns(store, &query, campaign_row, call);
	return r < 0 ? r : call->read.error;
}

void fleet_answer_campaign(struct fleet_call *call)
{
	if (call->campaign)
		fleet_answer(call, &call->campaign->base);
	else
		fleet_fail(call, RPC_NOT_FOUND, "campaign_id: no such campaign");
}

/* ---- GetCampaign ---- */

static int get_campaign_begin(struct fleet_call *call, const char **ret_details)
{
	if (((const Pathbell__V1__GetCampaignRequest *)call->request)->campaign_id.len != 16) {
		*ret_details = "campaign_id: not 16 bytes";
		return RPC_INVALID_ARGUMENT;
	}
	fleet_read(call);
	return RPC_OK;
}

static int get_campaign_read(struct fleet_call *call, struct store *store)
{
	return fleet_read_campaign(
		call, store,
		((const Pathbell__V1__GetCampaignRequest *)call->request)->campaign_id.data);
}

const struct fleet_method fleet_get_campaign = {
	.name = "GetCampaign",
	.request = &pathbell__v1__get_campaign_request__descriptor,
	.begin = get_campaign_begin,
	.read = get_campaign_read,
	.answer = fleet_answer_campaign,
};

/* ---- ListCampaigns ---- */

static int list_campaigns_begin(struct fleet_call *call, const char **ret_details)
{
	const Pathbell__V1__ListCampaignsRequest *request =
		(const Pathbell__V1__ListCampaignsRequest *)call->request;

	if (!fleet_page(request->page_size, 50, 500, &call->max_results)) {
		*ret_details = "page_size: above 500";
		return RPC_INVALID_ARGUMENT;
	}
	if (!token_parse(TOKEN_CAMPAIGNS, request->page_token, call->position)) {
		*ret_details = "page_token: not one of ListCampaigns";
		return RPC_INVALID_ARGUMENT;
	}
	pathbell__v1__list_campaigns_response__init(&call->campaigns);
	call->campaigns.campaigns = arena_alloc(call->arena, call->max_results * sizeof(void *));
	if (!call->campaigns.campaigns) {
		*ret_details = "no memory";
		return RPC_RESOURCE_EXHAUSTED;
	}
	fleet_read(call);
	return RPC_OK;
}

static bool list_campaigns_row(void *data, const struct store_campaign *campaign)
{
	struct fleet_call *call = data;
	Pathbell__V1__ListCampaignsResponse *response = &call->campaigns;
	Pathbell__V1__Campaign *message;
	char token[TOKEN_TEXT_SIZE];

	if (response->n_campaigns == call->max_results) {
		token_make(TOKEN_CAMPAIGNS, call->position, token);
		response->next_page_token = arena_strdup(call->arena, token);
		call->read.error = response->next_page_token ? 0 : -ENOMEM;
		return false;
	}
	message = view_campaign(call->arena, campaign);
	if (!message) {
		call->read.error = -ENOMEM;
		return false;
	}
	response->campaigns[response->n_campaigns++] = message;
	snprintf(call->position, sizeof(call->position), "%" PRIu64, campaign->ordinal);
	if (protobuf_c_message_get_packed_size(&response->base) > FLEET_ANSWER_MAX)
		call->max_results = response->n_campaigns; /* the page is full */
	return true;
}

static int list_campaigns_read(struct fleet_call *call, struct store *store)
{
	struct store_campaign_query query = {
		.open = ((const Pathbell__V1__ListCampaignsRequest *)call->request)
				->unfinished_only,
		.limit = (uint32_t)call->max_results + 1,
	};
	int r;

	sscanf(call->position, "%" SCNu64, &query.before_ordinal);
	call->read.error = 0;
	r = store_campaigns(store, &query, list_campaigns_row, call);
	return r < 0 ? r : call->read.error;
}

static void list_campaigns_answer(struct fleet_call *call)
{
	fleet_answer(call, &call->campaigns.base);
}

const struct fleet_method fleet_list_campaigns = {
	.name = "ListCampaigns",
	.request = &pathbell__v1__list_campaigns_request__descriptor,
	.begin = list_campaigns_begin,
	.read = list_campaigns_read,
	.answer = list_campaigns_answer,
};

/* ---- ControlCampaign ---- */

static const char *control_campaign_name(int action)
{
	switch (action) {
	case PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_PAUSE:
		return "pause";
	case PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_RESUME:
		return "resume";
	case PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_HALT:
		return "halt";
	default:
		return NULL;
	}
}

static void control_campaign_done(struct writer_job *job)
{
	struct fleet_call *call = fleet_of(job);
	const Pathbell__V1__ControlCampaignRequest *request =
		(const Pathbell__V1__ControlCampaignRequest *)call->request;
	bool resume = request->action == PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_RESUME;

	call->is_busy = false;
	campaigns_on_controlled(call->aggregator->campaigns, request->campaign_id.data,
				(int)request->action, call->caller.name, job->error);
	if (job->error == 0)
		fleet_read(call);
	else if (resume)
		fleet_write_failed(call, job->error);
	else
		fleet_fail(call, RPC_INTERNAL, "in effect, but it could not be recorded");
	if (!call->is_busy)
		fleet_release(call);
}

static void control_campaign_write(struct fleet_call *call, struct campaign *campaign)
{
	const Pathbell__V1__ControlCampaignRequest *request =
		(const Pathbell__V1__ControlCampaignRequest *)call->request;
	int r = campaign_control(campaign, (int)request->action, call->caller.name, call->reason,
				 &call->write.write.campaign_state);

	if (r == ENGINE_E_STATE) {
		fleet_fail(call, RPC_FAILED_PRECONDITION,
			   "action: not possible in the campaign's present state");
		return;
	}
	snprintf(call->audit_detail, sizeof(call->audit_detail), "action=%s reason=\"%s\"",
		 control_campaign_name((int)request->action), request->reason);
	call->audit.campaign_id = request->campaign_id.data;
	log_notice("campaign %s operator=%s reason=\"%s\"",
		   control_campaign_name((int)request->action), call->caller.name, request->reason);
	fleet_write(call, STORE_CAMPAIGN_STATE, "campaign.control", control_campaign_done);
}

static int control_campaign_begin(struct fleet_call *call, const char **ret_details)
{
	const Pathbell__V1__ControlCampaignRequest *request =
		(const Pathbell__V1__ControlCampaignRequest *)call->request;
	struct campaign *campaign;

	*ret_details = NULL;
	if (request->campaign_id.len != 16)
		*ret_details = "campaign_id: not 16 bytes";
	else if (!control_campaign_name((int)request->action))
		*ret_details = "action: none that is known";
	else if (strlen(request->reason) > FLEET_MAX_REASON)
		*ret_details = "reason: longer than 512 bytes";
	if (*ret_details)
		return RPC_INVALID_ARGUMENT;
	campaign = campaigns_find(call->aggregator->campaigns, request->campaign_id.data);
	if (campaign) {
		control_campaign_write(call, campaign);
		return RPC_OK;
	}
	call->position[0] = 'x'; /* not open: only the reason for the refusal is read */
	fleet_read(call);
	return RPC_OK;
}

static int control_campaign_read(struct fleet_call *call, struct store *store)
{
	return fleet_read_campaign(
		call, store,
		((const Pathbell__V1__ControlCampaignRequest *)call->request)->campaign_id.data);
}

static void control_campaign_answer(struct fleet_call *call)
{
	if (call->position[0] && call->campaign &&
	    call->campaign->state <= PATHBELL__V1__CAMPAIGN_STATE__CAMPAIGN_STATE_STOPPED)
		fleet_fail(call, RPC_UNAVAILABLE, "the campaign is just beginning; ask again");
	else if (call->position[0] && call->campaign)
		fleet_fail(call, RPC_FAILED_PRECONDITION, "campaign_id: the campaign has ended");
	else
		fleet_answer_campaign(call);
}

const struct fleet_method fleet_control_campaign = {
	.name = "ControlCampaign",
	.request = &pathbell__v1__control_campaign_request__descriptor,
	.is_change = true,
	.begin = control_campaign_begin,
	.read = control_campaign_read,
	.answer = control_campaign_answer,
};
