/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/errmsg.h"
#include "ctl/reconnect.h"
#include "proto/envelope.h"

/*
 * A command has one target for all its hosts, so hosts are grouped by target. Hosts keep the order
 * of the plan inside of a group, groups that of their first host.
 */

/* The same bytes: the aggregator made both, so equal targets are encoded alike. */
static bool group_same_target(const Pathbell__V1__CommandTarget *a,
			      const Pathbell__V1__CommandTarget *b)
{
	uint8_t packed[2][2048];
	size_t size;

	if (!a || !b)
		return a == b;
	size = pathbell__v1__command_target__get_packed_size(a);
	if (size != pathbell__v1__command_target__get_packed_size(b) || size > sizeof(packed[0]))
		return false;
	pathbell__v1__command_target__pack(a, packed[0]);
	pathbell__v1__command_target__pack(b, packed[1]);
	return memcmp(packed[0], packed[1], size) == 0;
}

/* tag, length, text */
static size_t group_host_size(const char *host_id)
{
	return strlen(host_id) + 3;
}

static bool group_has_room(const struct reconnect_group *group, const char *host_id)
{
	return group->n < RECONNECT_MAX_HOSTS &&
	       group->size + group_host_size(host_id) <= RECONNECT_MAX_COMMAND;
}

/* The newest group of a target is the one that may have room. */
static int group_find(struct reconnect_groups *groups, const Pathbell__V1__CommandTarget *target,
		      const char *host_id, struct reconnect_group **ret_group)
{
	for (size_t i = groups->n; i-- > 0;) {
		struct reconnect_group *group = &groups->groups[i];

		if (!group_same_target(group->target, target))
			continue;
		*ret_group = group;
		if (group_has_room(group, host_id))
			return 0;
		break;
	}
	if (groups->n == RECONNECT_MAX_ENVELOPES)
		return -E2BIG;
	*ret_group = &groups->groups[groups->n];
	(*ret_group)->host_ids = calloc(RECONNECT_MAX_HOSTS, sizeof(char *));
	if (!(*ret_group)->host_ids)
		return -ENOMEM;
	(*ret_group)->target = target;
	groups->n++;
	return 0;
}

int reconnect_group(const Pathbell__V1__PlanCampaignResponse *plan, bool by_target,
		    struct reconnect_groups *ret_groups)
{
	struct reconnect_groups groups = { 0 };
	int r = 0;

	groups.groups = calloc(RECONNECT_MAX_ENVELOPES, sizeof(*groups.groups));
	if (!groups.groups)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < plan->n_hosts; i++) {
		const Pathbell__V1__CampaignHost *host = plan->hosts[i];
		struct reconnect_group *group;

		r = group_find(&groups, by_target ? host->target : NULL, host->host_id, &group);
		if (r != 0)
			break;
		group->host_ids[group->n++] = host->host_id;
		group->size += group_host_size(host->host_id);
	}
	if (r != 0)
		reconnect_groups_deinit(&groups);
	else
		*ret_groups = groups;
	return r;
}

void reconnect_groups_deinit(struct reconnect_groups *groups)
{
	for (size_t i = 0; i < groups->n; i++)
		free(groups->groups[i].host_ids);
	free(groups->groups);
	*groups = (struct reconnect_groups){ 0 };
}

static int sign_one(const struct cli *cli, const struct reconnect_sign *sign,
		    const struct reconnect_group *group, struct buf *envelope)
{
	struct command_plan plan;
	struct errmsg err = { 0 };
	int code = command_build_for(cli, sign->verb->number, sign->issuer, sign->now_ns,
				     group->target, &plan);

	if (code != CLI_OK && group->target)
		return cli_fail(code, "that is what the plan found on host %s and %zu more",
				group->host_ids[0], group->n - 1);
	if (code != CLI_OK || !sign->key)
		return code;
	plan.command.host_ids = group->host_ids;
	plan.command.n_host_ids = group->n;
	plan.command.campaign = sign->campaign;
	if (envelope_sign(sign->key, &plan.command, envelope, &err) != 0)
		return cli_fail_errmsg(CLI_FAILED, &err);
	return CLI_OK;
}

int reconnect_sign(const struct cli *cli, const struct reconnect_sign *sign,
		   const struct reconnect_groups *groups, struct envelope_file *ret_file)
{
	struct envelope_file file = { .campaign = true };
	struct buf envelope = { .max = 1 << 20 };
	int code = CLI_OK;

	file.items = calloc(groups->n + 1, sizeof(*file.items));
	if (!file.items)
		return cli_fail(CLI_FAILED, "out of memory");
	for (size_t i = 0; code == CLI_OK && i < groups->n; i++) {
		buf_reset(&envelope);
		code = sign_one(cli, sign, &groups->groups[i], &envelope);
		if (code == CLI_OK && sign->key) {
			file.n++;
			code = envelope_file_set(&file, i, &envelope);
		}
	}
	buf_deinit(&envelope);
	if (code != CLI_OK)
		envelope_file_deinit(&file);
	*ret_file = file;
	return code;
}
