/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/reconnect.h"

#include <errno.h>
#include <string.h>

#include "core/clock.h"
#include "core/errmsg.h"
#include "ctl/campaign.h"
#include "ctl/confirm.h"
#include "ctl/registry.h"
#include "ctl/where.h"
#include "proto/envelope.h"
#include "proto/kind.h"
#include "rpc/rpc.h"

/*
 * 1. --where becomes a selector; the aggregator resolves it to exact hosts (PlanCampaign). 2. Hosts
 * are grouped by target and a command is built for each group: what is wrong with the options shows
 * here. 3. The list is shown and confirmed. 4. Only now the key is used: every command names its
 * hosts and has the same campaign id and policy. 5. The envelopes go to a file, or are submitted
 * and followed.
 *
 * Nothing is signed that was not shown: between 1 and 4 the plan is not asked for again.
 */

struct reconnect {
	struct cli *cli;
	const struct verb *verb; /* NULL: only the plan is shown */
	struct request request;
	struct where where;
	Pathbell__V1__CommandCampaign policy;
	uint8_t id[ID_SIZE];
	Pathbell__V1__PlanCampaignResponse *plan;
	struct reconnect_groups groups;
	struct reconnect_sign sign;
	struct rpc_spiffe operator_id;
};

#define RECONNECT_MAX_WHERE 32

static int reconnect_where(struct reconnect *work)
{
	const char *texts[RECONNECT_MAX_WHERE];
	size_t n = cli_get_all(work->cli, "where", texts, RECONNECT_MAX_WHERE);
	struct errmsg err = { 0 };

	if (n > RECONNECT_MAX_WHERE)
		return cli_fail(CLI_USAGE, "more than %d --where", RECONNECT_MAX_WHERE);
	for (size_t i = 0; i < n; i++) {
		if (where_add(&work->where, texts[i], &err) != 0)
			return cli_fail(CLI_USAGE, "--where: %s", err.text);
	}
	if (where_is_empty(&work->where))
		return cli_fail(CLI_USAGE,
				"which hosts? --where target=NQN, array=GLOB or host=GLOB "
				"(host='*' is the whole fleet)");
	return CLI_OK;
}

static int reconnect_ask_plan(struct reconnect *work)
{
	Pathbell__V1__PlanCampaignRequest request = PATHBELL__V1__PLAN_CAMPAIGN_REQUEST__INIT;
	Pathbell__V1__PlanCampaignResponse *plan = NULL;
	int code;

	request.selector = &work->where.selector;
	if (work->verb)
		request.verb = (Pathbell__V1__CommandVerb)work->verb->number;
	code = client_call(work->request.client, "/pathbell.v1.Fleet/PlanCampaign", &request.base,
			   &pathbell__v1__plan_campaign_response__descriptor, (void **)&plan);
	if (code != CLI_OK)
		return code;
	work->plan = plan;
	if (plan->n_hosts == 0)
		return cli_fail(CLI_NOT_FOUND, "no host fits%s%s", *plan->reason ? ": " : "",
				plan->reason);
	return CLI_OK;
}

/* Step 2: with work->sign.key still NULL nothing is signed. */
static int reconnect_check(struct reconnect *work)
{
	bool by_target =
		work->verb->need != VERB_NEEDS_NOTHING && !command_target_is_given(work->cli);
	struct envelope_file nothing = { 0 };
	int code = CLI_OK;
	int r = reconnect_group(work->plan, by_target, &work->groups);

	if (r == -E2BIG)
		return cli_fail(CLI_FAILED,
				"the hosts have more than %d different targets; select fewer, or "
				"name the target (--nqn, --map, ...)",
				RECONNECT_MAX_ENVELOPES);
	if (r != 0)
		return cli_fail(CLI_FAILED, "out of memory");
	if (work->plan->not_shown)
		return cli_fail(CLI_FAILED, "%u hosts more fit; a campaign has at most %zu",
				work->plan->not_shown, work->plan->n_hosts);
	work->sign = (struct reconnect_sign){
		.verb = work->verb,
		.issuer = command_issuer(&work->request.settings, &work->operator_id),
		.campaign = &work->policy,
		.now_ns = clock_realtime_ns(),
	};
	code = reconnect_sign(work->cli, &work->sign, &work->groups, &nothing);
	envelope_file_deinit(&nothing);
	return code;
}

static int reconnect_confirm(struct reconnect *work)
{
	const struct cli *cli = work->cli;
	char question[512];
	char count[24];

	if (!cli->out.json)
		campaign_show_policy(work->cli, &work->policy);
	snprintf(count, sizeof(count), "%zu", work->plan->n_hosts);
	snprintf(question, sizeof(question), "%s%s on the %s host%s above, step by step%s.",
		 command_verb_name(work->verb->number), cli_has(cli, "dry-run") ? " (dry run)" : "",
		 count, work->plan->n_hosts == 1 ? "" : "s",
		 cli_has(cli, "override-last-path")
			 ? "; the LAST usable path may be taken, and the data with it"
			 : "");
	return confirm(cli, question, count);
}

static int reconnect_write(struct reconnect *work, const struct envelope_file *file,
			   const char *path)
{
	struct cli *cli = work->cli;
	char id[ID_TEXT_SIZE];
	int code = envelope_file_write(file, path);

	id_format(work->id, id);
	if (code == CLI_OK && !cli->out.json)
		output_line(&cli->out,
			    "campaign %s (%zu commands, %zu hosts) written to %s; a second signer: "
			    "pathbell command sign %s; send it with: pathbell campaign submit %s",
			    id, file->n, envelope_file_n_hosts(file), path, path, path);
	return code;
}

/* Steps 4 and 5. */
static int reconnect_send(struct reconnect *work)
{
	const char *path = cli_get(work->cli, "envelope-out");
	struct envelope_file file = { 0 };
	struct envelope_key *key = NULL;
	int code = command_signing_key(&work->request.settings, &key);

	work->sign.key = key;
	work->sign.now_ns = clock_realtime_ns(); /* the answer may have taken its time */
	if (code == CLI_OK)
		code = reconnect_sign(work->cli, &work->sign, &work->groups, &file);
	if (code == CLI_OK && path)
		code = reconnect_write(work, &file, path);
	else if (code == CLI_OK)
		code = campaign_send(work->cli, work->request.client, &work->request.settings,
				     &file);
	envelope_key_free(key);
	envelope_file_deinit(&file);
	return code;
}

static int reconnect_go(struct reconnect *work)
{
	struct cli *cli = work->cli;
	bool only_plan = !work->verb || cli_has(cli, "plan");
	struct output err;
	int code = reconnect_where(work);

	if (code == CLI_OK && work->verb)
		code = reconnect_policy(cli, &work->policy);
	work->policy.id = (ProtobufCBinaryData){ ID_SIZE, work->id };
	if (code == CLI_OK)
		code = request_begin(cli, &work->request);
	if (code == CLI_OK)
		code = reconnect_ask_plan(work);
	if (code == CLI_OK && work->verb)
		code = reconnect_check(work);
	if (code != CLI_OK)
		return code;
	/* JSON on standard output is of the campaign; people are shown the list all the same */
	output_init(&err, stderr);
	reconnect_show(cli, cli->out.json && !only_plan ? &err : &cli->out, work->plan);
	if (only_plan || !work->verb)
		return CLI_OK;
	code = reconnect_confirm(work);
	return code == CLI_OK ? reconnect_send(work) : code;
}

static int reconnect_do(struct cli *cli, const struct verb *verb)
{
	struct reconnect work = { .cli = cli, .verb = verb };
	int code;

	id_new(work.id);
	where_init(&work.where);
	pathbell__v1__command_campaign__init(&work.policy);
	code = reconnect_go(&work);
	if (work.plan)
		protobuf_c_message_free_unpacked(&work.plan->base, NULL);
	reconnect_groups_deinit(&work.groups);
	where_deinit(&work.where);
	request_end(&work.request);
	return code;
}

int reconnect_verb_run(struct cli *cli)
{
	return reconnect_do(cli, cli->command->data);
}

/* Without a verb: what a selector means. */
static int reconnect_run(struct cli *cli)
{
	if (cli->n_operands)
		return cli_fail(CLI_USAGE, "'%s' is no verb; pathbell reconnect --help lists them",
				cli->operands[0]);
	if (!cli_has(cli, "plan"))
		return cli_fail(CLI_USAGE, "a verb is missing (pathbell reconnect --help lists "
					   "them); --plan only shows which hosts fit");
	return reconnect_do(cli, NULL);
}

const struct cli_command reconnect_command = {
	.path = "reconnect",
	.summary = "Carry out a verb on many hosts, step by step (a campaign)",
	.operands = "VERB",
	.max_operands = 1,
	.options = reconnect_options,
	.help = "Verbs: probe, resync, uplink-reconnect, nvme-connect, nvme-discover, nvme-reset, "
		"nvme-rescan,\nnvme-disconnect, multipath-reinstate, multipath-fail, "
		"multipath-switch-group, scsi-rescan, diag, halt, resume.\nTheir options: pathbell "
		"reconnect VERB --help",
	.run = reconnect_run,
};
