/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/campaign/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/store/map.h"

static bool check_policy_is_same(const Pathbell__V1__CommandCampaign *a,
				 const Pathbell__V1__CommandCampaign *b)
{
	return a->id.len == b->id.len && memcmp(a->id.data, b->id.data, a->id.len) == 0 &&
	       strcmp(a->name, b->name) == 0 && a->canary == b->canary && a->growth == b->growth &&
	       a->max_parallel == b->max_parallel &&
	       a->max_parallel_percent == b->max_parallel_percent &&
	       a->max_per_target == b->max_per_target && a->error_budget == b->error_budget &&
	       a->jitter_ms == b->jitter_ms && a->storm_events == b->storm_events;
}

static const char *check_policy(const Pathbell__V1__CommandCampaign *policy)
{
	if (!policy)
		return "command.campaign: missing";
	if (policy->id.len != 16)
		return "command.campaign.id: not 16 bytes";
	if (strlen(policy->name) > 128)
		return "command.campaign.name: longer than 128 bytes";
	if (policy->max_parallel_percent > 100)
		return "command.campaign.max_parallel_percent: above 100";
	if (policy->jitter_ms > 3600u * 1000)
		return "command.campaign.jitter_ms: above one hour";
	return NULL;
}

static const char *check_with(const Pathbell__V1__Command *first,
			      const Pathbell__V1__Command *command)
{
	const char *wrong = check_policy(command->campaign);

	if (wrong)
		return wrong;
	if (!check_policy_is_same(first->campaign, command->campaign))
		return "command.campaign: not the same in all envelopes";
	if (command->verb != first->verb)
		return "command.verb: not the same in all envelopes";
	if (strcmp(command->issuer, first->issuer) != 0)
		return "command.issuer: not the same in all envelopes";
	if (command->dry_run != first->dry_run)
		return "command.dry_run: not the same in all envelopes";
	return NULL;
}

/* Adds the key; NULL or @twice. */
static const char *check_once(struct map *map, struct map_node *node, const void *key, size_t size,
			      const char *twice)
{
	if (map_find(map, key, size))
		return twice;
	return map_add(map, node, key, size) < 0 ? "no memory" : NULL;
}

static const char *check_disjoint(Pathbell__V1__Command *const *commands, size_t n_commands,
				  struct map_node *nodes)
{
	struct map ids = { 0 }, hosts = { 0 };
	const char *wrong = NULL;

	for (size_t i = 0; !wrong && i < n_commands; i++) {
		wrong = check_once(&ids, nodes++, commands[i]->id.data, 16,
				   "command.id: two envelopes have the same");
		for (size_t j = 0; !wrong && j < commands[i]->n_host_ids; j++)
			wrong = check_once(&hosts, nodes++, commands[i]->host_ids[j],
					   strlen(commands[i]->host_ids[j]),
					   "command.host_ids: a host is in two envelopes");
	}
	map_deinit(&ids);
	map_deinit(&hosts);
	return wrong;
}

int check_campaign(Pathbell__V1__Command *const *commands, size_t n_commands, struct errmsg *err)
{
	const char *wrong = n_commands == 0 ? "envelopes: none" : NULL;
	struct map_node *nodes;
	size_t n_hosts = 0;

	for (size_t i = 0; !wrong && i < n_commands; i++) {
		wrong = check_with(commands[0], commands[i]);
		n_hosts += commands[i]->n_host_ids;
	}
	if (!wrong && n_hosts > CHECK_MAX_HOSTS)
		wrong = "envelopes: more than 10000 hosts";
	if (wrong) {
		errmsg_set(err, "%s", wrong);
		return -EINVAL;
	}
	nodes = calloc(n_hosts + n_commands, sizeof(*nodes));
	if (!nodes)
		return -ENOMEM;
	wrong = check_disjoint(commands, n_commands, nodes);
	free(nodes);
	if (wrong)
		errmsg_set(err, "%s", wrong);
	return wrong ? -EINVAL : 0;
}
