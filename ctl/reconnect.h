/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/command.h"
#include "ctl/envelope_file.h"
#include "ctl/verb.h"
#include "pathbell/v1/fleet.pb-c.h"

/*
 * `reconnect --where SELECTOR VERB`: the selector is resolved to exact hosts by the aggregator
 * (PlanCampaign), the operator sees them, and what he signs names them.
 */
#define RECONNECT_MAX_ENVELOPES 1024	    /* SubmitCampaignRequest.envelopes */
#define RECONNECT_MAX_COMMAND	(60 * 1024) /* SignedCommand.command has at most 64 KiB */
#define RECONNECT_MAX_HOSTS	1000 /* of one command: hosts scan lists up to 1024 elements */

extern const struct cli_option reconnect_options[];

#define RECONNECT_HELP                                                                          \
	"Without an identity among the options (--nqn, --map, --path, ...) each host gets the " \
	"target "                                                                               \
	"that the plan found\nthere. Exit status 0 only when every host SUCCEEDED, 3 when no "  \
	"host "                                                                                 \
	"fits, 6 when the campaign ended otherwise\nor an interrupt detached from it: it goes on."

int reconnect_verb_run(struct cli *cli); /* the row is cli->command->data */

/* reconnect_policy.c: CommandCampaign from the options, without the id. CLI_OK or printed. */
int reconnect_policy(const struct cli *cli, Pathbell__V1__CommandCampaign *ret_policy);

/* ---- reconnect_build.c ---- */

/* Hosts with one target, in the order of the plan: one command each. */
struct reconnect_group {
	const Pathbell__V1__CommandTarget *target; /* NULL: none, or that of the options */
	char **host_ids;			   /* borrowed texts */
	size_t n;
	size_t size; /* bytes that they take in a Command */
};

struct reconnect_groups {
	struct reconnect_group *groups;
	size_t n;
};

/*
 * @by_target: hosts that the plan gave different targets go into different groups. A full group is
 * followed by another one. 0; -E2BIG above RECONNECT_MAX_ENVELOPES; -ENOMEM. Points into @plan.
 */
int reconnect_group(const Pathbell__V1__PlanCampaignResponse *plan, bool by_target,
		    struct reconnect_groups *ret_groups);
void reconnect_groups_deinit(struct reconnect_groups *groups);

struct reconnect_sign {
	const struct verb *verb;
	const char *issuer;
	const struct envelope_key *key; /* NULL: only build and check */
	Pathbell__V1__CommandCampaign *campaign;
	uint64_t now_ns;
};
/* Builds and signs a command for each group into *ret_file (envelope_file_deinit). CLI_OK or
 * printed. */
int reconnect_sign(const struct cli *cli, const struct reconnect_sign *sign,
		   const struct reconnect_groups *groups, struct envelope_file *ret_file);

/* ---- reconnect_show.c ---- */

/* The hosts as a table (or JSON objects), and one line of counts. */
void reconnect_show(struct cli *cli, struct output *output,
		    const Pathbell__V1__PlanCampaignResponse *plan);
/* "200 hosts, 3 without a usable path, 7 not connected; 2 storage targets" */
void reconnect_count(const Pathbell__V1__PlanCampaignResponse *plan, char *ret_text, size_t size);
