/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/clock.h"
#include "core/config.h"
#include "ctl/reconnect.h"

#define POLICY_MAX_HOSTS     10000
#define POLICY_MAX_GROWTH    100
#define POLICY_MAX_JITTER_NS (3600 * CLOCK_NS_PER_S)
#define POLICY_MAX_STORM     10000000
#define POLICY_MAX_NAME	     128

static bool policy_number(const struct cli *cli, const char *option, size_t min, size_t max,
			  uint32_t *ret_number)
{
	size_t number = 0;

	if (!cli_get_number(cli, option, 0, min, max, &number))
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

static int policy_jitter(const struct cli *cli, uint32_t *ret_ms)
{
	const char *text = cli_get(cli, "jitter");
	struct errmsg err = { 0 };
	uint64_t ns = 0;

	if (text && config_parse_duration(text, &ns, &err) != 0)
		return cli_fail(CLI_USAGE, "--jitter: %s", err.text);
	if (ns > POLICY_MAX_JITTER_NS)
		return cli_fail(CLI_USAGE, "--jitter: more than an hour");
	*ret_ms = (uint32_t)(ns / CLOCK_NS_PER_MS);
	return CLI_OK;
}

int reconnect_policy(const struct cli *cli, Pathbell__V1__CommandCampaign *ret_policy)
{
	Pathbell__V1__CommandCampaign *policy = ret_policy;

	pathbell__v1__command_campaign__init(policy);
	policy->name = (char *)(cli_get(cli, "name") ?: "");
	if (strlen(policy->name) > POLICY_MAX_NAME)
		return cli_fail(CLI_USAGE, "--name is longer than %d bytes", POLICY_MAX_NAME);
	/* 0 is left to mean the default: whoever types 0 means something else */
	if (!policy_number(cli, "canary", 1, POLICY_MAX_HOSTS, &policy->canary) ||
	    !policy_number(cli, "growth", 1, POLICY_MAX_GROWTH, &policy->growth) ||
	    !policy_number(cli, "max-parallel", 1, POLICY_MAX_HOSTS, &policy->max_parallel) ||
	    !policy_number(cli, "max-parallel-percent", 1, 100, &policy->max_parallel_percent) ||
	    !policy_number(cli, "max-per-target", 1, POLICY_MAX_HOSTS, &policy->max_per_target) ||
	    !policy_number(cli, "error-budget", 0, POLICY_MAX_HOSTS, &policy->error_budget) ||
	    !policy_number(cli, "storm-events", 1, POLICY_MAX_STORM, &policy->storm_events))
		return CLI_USAGE;
	return policy_jitter(cli, &policy->jitter_ms);
}

/* clang-format off */
const struct cli_option reconnect_options[] = {
	{ "where", "SELECTOR", "target=NQN|ADDRESS|MAP-UUID, array=GLOB, host=GLOB, degraded; commas between, all must fit", 'w', false },
	{ "plan", NULL, "only show which hosts fit", 0, false },
	{ "name", "TEXT", "name of the campaign", 0, false },
	{ "canary", "N", "hosts of the first wave (default 1)", 0, false },
	{ "growth", "N", "each wave has so many times the last one's hosts (default 2)", 0, false },
	{ "max-parallel", "N", "hosts under way at once (default 50)", 0, false },
	{ "max-parallel-percent", "N", "the same in percent of all hosts (default 10)", 0, false },
	{ "max-per-target", "N", "hosts under way at once on one storage target (default 5)", 0, false },
	{ "error-budget", "N", "failures to bear; the next one stops the campaign (default 0)", 0, false },
	{ "jitter", "DURATION", "each dispatch waits a random time up to this (default 0s)", 0, false },
	{ "storm-events", "N", "stop above so many fault events of the fleet in 10 s (default 1000)", 0, false },
	{ NULL, NULL, NULL, 0, false },
};
/* clang-format on */
