/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/campaign.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "ctl/command.h"
#include "ctl/envelope_file.h"
#include "ctl/registry.h"
#include "ctl/table.h"
#include "ctl/when.h"

#define CAMPAIGN_PAGE  100
#define CAMPAIGN_LIMIT 50

static const char *const campaign_titles[] = { "CAMPAIGN", "SUBMITTED", "NAME", "VERB",	 "STATE",
					       "ENDED",	   "FAILED",	"BY",	"REASON" };
#define CAMPAIGN_WHOLE 0x11 /* CAMPAIGN, STATE */

static int campaign_id(const struct cli *cli, uint8_t ret_id[ID_SIZE])
{
	if (id_parse(cli->operands[0], ret_id))
		return CLI_OK;
	return cli_fail(CLI_USAGE,
			"'%s' is not a campaign id (a UUID, as pathbell campaign list shows them)",
			cli->operands[0]);
}

static void campaign_row(struct table *table, const Pathbell__V1__Campaign *campaign)
{
	char id[ID_TEXT_SIZE] = "?";
	char when[WHEN_TEXT_SIZE];

	if (campaign->campaign_id.len == ID_SIZE)
		id_format(campaign->campaign_id.data, id);
	when_format_age(campaign->submitted_unix_ns, clock_realtime_ns(), when);
	table_cell(table, "%s", id);
	table_cell(table, "%s", when);
	table_cell(table, "%s", *campaign->name ? campaign->name : "-");
	table_cell(table, "%s", campaign->verb);
	table_cell(table, "%s", campaign_state_name(campaign->state));
	table_cell(table, "%u of %u", campaign->succeeded + campaign->failed + campaign->cancelled,
		   campaign->total);
	table_cell(table, "%u", campaign->failed);
	table_cell(table, "%s", campaign->submitted_by);
	table_cell(table, "%s", campaign->reason);
}

static int campaign_pages(struct cli *cli, struct client *client, size_t limit, struct table *table)
{
	Pathbell__V1__ListCampaignsRequest request = PATHBELL__V1__LIST_CAMPAIGNS_REQUEST__INIT;
	char token[1024] = "";
	size_t shown = 0;
	int code;

	request.unfinished_only = cli_has(cli, "unfinished");
	do {
		Pathbell__V1__ListCampaignsResponse *page = NULL;
		size_t left = limit - shown;

		request.page_token = token;
		request.page_size = (uint32_t)(left < CAMPAIGN_PAGE ? left : CAMPAIGN_PAGE);
		code = client_call(client, "/pathbell.v1.Fleet/ListCampaigns", &request.base,
				   &pathbell__v1__list_campaigns_response__descriptor,
				   (void **)&page);
		if (code != CLI_OK)
			return code;
		for (size_t i = 0; i < page->n_campaigns && shown < limit; i++, shown++) {
			if (cli->out.json)
				output_message(&cli->out, &page->campaigns[i]->base);
			else
				campaign_row(table, page->campaigns[i]);
		}
		snprintf(token, sizeof(token), "%s", page->next_page_token);
		protobuf_c_message_free_unpacked(&page->base, NULL);
	} while (*token && shown < limit);
	return CLI_OK;
}

static int campaign_list_run(struct cli *cli)
{
	struct request request;
	struct table table;
	size_t limit = 0;
	int code;

	if (!cli_get_number(cli, "limit", CAMPAIGN_LIMIT, 1, 100000, &limit))
		return CLI_USAGE;
	code = request_begin(cli, &request);
	table_init(&table, campaign_titles, sizeof(campaign_titles) / sizeof(campaign_titles[0]));
	table.whole = CAMPAIGN_WHOLE;
	if (code == CLI_OK)
		code = campaign_pages(cli, request.client, limit, &table);
	if (code == CLI_OK && !cli->out.json)
		table_print(&table, &cli->out);
	table_deinit(&table);
	request_end(&request);
	return code;
}

static int campaign_print(struct cli *cli, const Pathbell__V1__Campaign *campaign)
{
	if (cli->out.json)
		return output_message(&cli->out, &campaign->base) == 0 ? CLI_OK : CLI_FAILED;
	campaign_show(cli, campaign);
	return CLI_OK;
}

/* A call that answers with the campaign, shown. */
static int campaign_call(struct cli *cli, const char *method, const ProtobufCMessage *message)
{
	Pathbell__V1__Campaign *campaign = NULL;
	struct request request;
	int code = request_begin(cli, &request);

	if (code == CLI_OK)
		code = client_call(request.client, method, message,
				   &pathbell__v1__campaign__descriptor, (void **)&campaign);
	if (code == CLI_OK)
		code = campaign_print(cli, campaign);
	if (campaign)
		protobuf_c_message_free_unpacked(&campaign->base, NULL);
	request_end(&request);
	return code;
}

static int campaign_show_run(struct cli *cli)
{
	Pathbell__V1__GetCampaignRequest get = PATHBELL__V1__GET_CAMPAIGN_REQUEST__INIT;
	uint8_t id[ID_SIZE];
	int code = campaign_id(cli, id);

	get.campaign_id = (ProtobufCBinaryData){ ID_SIZE, id };
	return code == CLI_OK ? campaign_call(cli, "/pathbell.v1.Fleet/GetCampaign", &get.base)
			      : code;
}

static int campaign_control(struct cli *cli, Pathbell__V1__CampaignAction action)
{
	Pathbell__V1__ControlCampaignRequest control = PATHBELL__V1__CONTROL_CAMPAIGN_REQUEST__INIT;
	const char *reason = cli_get(cli, "reason") ?: "";
	uint8_t id[ID_SIZE];
	int code = campaign_id(cli, id);

	if (code != CLI_OK)
		return code;
	if (strlen(reason) > COMMAND_MAX_REASON)
		return cli_fail(CLI_USAGE, "--reason is longer than %d bytes", COMMAND_MAX_REASON);
	control.campaign_id = (ProtobufCBinaryData){ ID_SIZE, id };
	control.action = action;
	control.reason = (char *)reason;
	return campaign_call(cli, "/pathbell.v1.Fleet/ControlCampaign", &control.base);
}

static int campaign_pause_run(struct cli *cli)
{
	return campaign_control(cli, PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_PAUSE);
}

static int campaign_resume_run(struct cli *cli)
{
	return campaign_control(cli, PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_RESUME);
}

static int campaign_halt_run(struct cli *cli)
{
	return campaign_control(cli, PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_HALT);
}

static uint64_t campaign_timeout_ns(const struct cli *cli, const struct settings *settings)
{
	return cli_has(cli, "timeout") ? settings->timeout_ns : 0;
}

static int campaign_watch_run(struct cli *cli)
{
	struct request request;
	uint8_t id[ID_SIZE];
	int code = campaign_id(cli, id);

	if (code != CLI_OK)
		return code;
	code = request_begin(cli, &request);
	if (code == CLI_OK)
		code = campaign_watch(cli, request.client, id,
				      campaign_timeout_ns(cli, &request.settings));
	request_end(&request);
	return code;
}

/* ---- submitting ---- */

int campaign_submit(struct cli *cli, struct client *client, const struct envelope_file *file,
		    uint8_t ret_id[ID_SIZE])
{
	Pathbell__V1__SubmitCampaignRequest request = PATHBELL__V1__SUBMIT_CAMPAIGN_REQUEST__INIT;
	ProtobufCBinaryData *list = calloc(file->n, sizeof(*list));
	Pathbell__V1__Campaign *campaign = NULL;
	int code;

	if (!list)
		return cli_fail(CLI_FAILED, "out of memory");
	for (size_t i = 0; i < file->n; i++)
		list[i] = (ProtobufCBinaryData){ file->items[i].size, file->items[i].data };
	request.envelopes = list;
	request.n_envelopes = file->n;
	code = client_call(client, "/pathbell.v1.Fleet/SubmitCampaign", &request.base,
			   &pathbell__v1__campaign__descriptor, (void **)&campaign);
	free(list);
	if (code != CLI_OK)
		return code;
	memcpy(ret_id, file->items[0].command->campaign->id.data, ID_SIZE);
	if (campaign->campaign_id.len != ID_SIZE ||
	    memcmp(campaign->campaign_id.data, ret_id, ID_SIZE) != 0)
		code = cli_fail(CLI_FAILED, "the aggregator answers with another campaign");
	else if (cli_has(cli, "no-wait"))
		code = campaign_print(cli, campaign);
	protobuf_c_message_free_unpacked(&campaign->base, NULL);
	return code;
}

int campaign_send(struct cli *cli, struct client *client, const struct settings *settings,
		  const struct envelope_file *file)
{
	uint8_t id[ID_SIZE];
	int code = campaign_submit(cli, client, file, id);

	if (code == CLI_OK && !cli_has(cli, "no-wait"))
		code = campaign_watch(cli, client, id, campaign_timeout_ns(cli, settings));
	return code;
}

static int campaign_submit_run(struct cli *cli)
{
	const char *path = cli->operands[0];
	struct envelope_file file = { 0 };
	struct request request = { 0 };
	int code = envelope_file_read(path, &file);

	if (code == CLI_OK && !file.campaign)
		code = cli_fail(CLI_USAGE, "%s holds one command: pathbell command submit %s", path,
				path);
	if (code == CLI_OK)
		code = request_begin(cli, &request);
	if (code == CLI_OK)
		code = campaign_send(cli, request.client, &request.settings, &file);
	request_end(&request);
	envelope_file_deinit(&file);
	return code;
}

static const struct cli_option campaign_list_options[] = {
	{ "limit", "N", "the newest N (default 50)", 'n', false },
	{ "unfinished", NULL, "only those that have not ended", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

static const struct cli_option campaign_control_options[] = {
	{ "reason", "TEXT", "why, for the audit; at most 512 bytes", 'r', false },
	{ NULL, NULL, NULL, 0, false },
};

static const struct cli_option campaign_submit_options[] = {
	{ "wait", NULL, "show the progress until the end (default)", 0, false },
	{ "no-wait", NULL, "return as soon as the aggregator has stored it", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

#define CAMPAIGN_HELP                                                                              \
	"Exit status 0 only when the campaign is FINISHED and every host SUCCEEDED; 6 otherwise, " \
	"also when an\ninterrupt detaches from a campaign that goes on."

const struct cli_command campaign_list_command = {
	.path = "campaign list",
	.summary = "List campaigns, newest first",
	.operands = "",
	.options = campaign_list_options,
	.run = campaign_list_run,
};

const struct cli_command campaign_show_command = {
	.path = "campaign show",
	.summary = "Show a campaign with its policy and failures",
	.operands = "ID",
	.min_operands = 1,
	.max_operands = 1,
	.run = campaign_show_run,
};

const struct cli_command campaign_watch_command = {
	.path = "campaign watch",
	.summary = "Follow a campaign until it ends",
	.operands = "ID",
	.min_operands = 1,
	.max_operands = 1,
	.help = CAMPAIGN_HELP,
	.run = campaign_watch_run,
};

const struct cli_command campaign_pause_command = {
	.path = "campaign pause",
	.summary = "Dispatch nothing more until it is resumed",
	.operands = "ID",
	.min_operands = 1,
	.max_operands = 1,
	.options = campaign_control_options,
	.run = campaign_pause_run,
};

const struct cli_command campaign_resume_command = {
	.path = "campaign resume",
	.summary = "Go on with a campaign that was paused or has stopped; the budget counts anew",
	.operands = "ID",
	.min_operands = 1,
	.max_operands = 1,
	.options = campaign_control_options,
	.run = campaign_resume_run,
};

const struct cli_command campaign_halt_command = {
	.path = "campaign halt",
	.summary = "End a campaign for good; what no host has received is cancelled",
	.operands = "ID",
	.min_operands = 1,
	.max_operands = 1,
	.options = campaign_control_options,
	.run = campaign_halt_run,
};

const struct cli_command campaign_submit_command = {
	.path = "campaign submit",
	.summary = "Send a campaign that was signed elsewhere (--envelope-out), and follow it",
	.operands = "FILE",
	.min_operands = 1,
	.max_operands = 1,
	.options = campaign_submit_options,
	.help = CAMPAIGN_HELP,
	.run = campaign_submit_run,
};
