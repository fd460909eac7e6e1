/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/campaign/loading.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "proto/codec.h"
#include "proto/kind.h"

#define LIFE(name)	  PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name
#define VERB(name)	  PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_##name
#define LOADING_ARENA_MAX (256u << 20)
#define LOADING_PAGE	  64

struct loading_target {
	struct map_node node; /* first; by name */
	uint32_t number;
};

/* What is read before the engine can be made. */
struct loading {
	struct campaign *campaign;
	struct engine_policy policy;
	struct engine_view view;
	char reason[256];
	bool counts_targets, is_found;
	size_t max_members;
	uint32_t *targets; /* of each member */
	uint8_t *states;   /* enum engine_host_state of each */
	struct map target_names, command_ids;
	int error;
};

const char *campaign_state_name(int state)
{
	static const char *const names[] = { "UNSPECIFIED", "RUNNING",	"PAUSED", "STOPPED",
					     "HALTED",	    "FINISHED", "EXPIRED" };

	return state >= 0 && (size_t)state < sizeof(names) / sizeof(names[0]) ? names[state]
									      : "UNKNOWN";
}

void campaign_remember(struct campaign *campaign, const struct engine_view *view)
{
	campaign->stored = *view;
	snprintf(campaign->stored_reason, sizeof(campaign->stored_reason), "%s", view->reason);
	campaign->stored.reason = campaign->stored_reason;
}

bool campaign_has_changed(const struct campaign *campaign, const struct engine_view *view)
{
	const struct engine_view *stored = &campaign->stored;

	return stored->state != view->state || stored->wave != view->wave ||
	       stored->wave_size != view->wave_size || stored->forgiven != view->forgiven ||
	       strcmp(stored->reason, view->reason) != 0;
}

const struct member *campaign_member(const struct campaign *campaign, const char *host_id)
{
	return (const struct member *)map_find(&campaign->by_host, host_id, strlen(host_id));
}

struct campaign *campaign_free(struct campaign *campaign)
{
	if (!campaign)
		return NULL;
	engine_free(campaign->engine);
	map_deinit(&campaign->by_host);
	arena_free(campaign->arena);
	free(campaign);
	return NULL;
}

/* ---- the campaign's row ---- */

/* The cap for targets is about storage: other verbs have none. */
static bool loading_verb_touches_storage(const char *verb)
{
	switch (command_verb_from_name(verb)) {
	case VERB(RESYNC):
	case VERB(UPLINK_RECONNECT):
	case VERB(DIAG):
	case VERB(HALT):
	case VERB(RESUME):
		return false;
	default:
		return true;
	}
}

static int loading_policy(struct loading *loading, const struct store_campaign *from,
			  const struct loading_limits *limits)
{
	Pathbell__V1__CommandCampaign *policy =
		codec_unpack(&pathbell__v1__command_campaign__descriptor, &scan_limits_request,
			     NULL, from->policy, from->policy_size, NULL);

	if (!policy)
		return -EBADMSG;
	engine_policy_from(policy, &loading->policy);
	protobuf_c_message_free_unpacked(&policy->base, NULL);
	loading->policy.silent_ns = limits->silent_ns;
	loading->policy.end_ns =
		limits->silent_ns + (from->timeout_ns ? from->timeout_ns : ENGINE_DEFAULT_END_NS);
	loading->policy.not_before_unix_ns = from->not_before_unix_ns;
	loading->policy.expires_unix_ns = from->expires_unix_ns;
	return 0;
}

static void loading_view(struct loading *loading, const struct store_campaign *from)
{
	snprintf(loading->reason, sizeof(loading->reason), "%s", from->state_reason);
	loading->view.state = (int)from->state;
	loading->view.reason = loading->reason;
	loading->view.wave = from->wave;
	loading->view.wave_size = from->wave_size;
	loading->view.wave_used = from->wave_used;
	loading->view.forgiven = from->forgiven;
}

static int loading_arrays(struct loading *loading, const struct store_campaign *from)
{
	struct campaign *campaign = loading->campaign;
	size_t n = from->total;
	int r = n <= ENGINE_MAX_HOSTS ? arena_new(&campaign->arena, LOADING_ARENA_MAX) : -EBADMSG;

	if (r < 0)
		return r;
	loading->max_members = n;
	campaign->members = arena_alloc(campaign->arena, n * sizeof(*campaign->members) + 1);
	campaign->commands = arena_alloc(campaign->arena, n * sizeof(*campaign->commands) + 1);
	campaign->orders.hosts = arena_alloc(campaign->arena, n * sizeof(size_t) + 1);
	campaign->orders.lost = arena_alloc(campaign->arena, n * sizeof(size_t) + 1);
	campaign->unmarks = arena_alloc(campaign->arena, 2 * n * sizeof(uint32_t) + 1);
	campaign->orders.max = n;
	loading->targets = calloc(n + 1, sizeof(*loading->targets));
	loading->states = calloc(n + 1, sizeof(*loading->states));
	if (!campaign->members || !campaign->commands || !campaign->orders.hosts ||
	    !campaign->orders.lost || !campaign->unmarks || !loading->targets || !loading->states)
		return -ENOMEM;
	memset(campaign->members, 0, n * sizeof(*campaign->members));
	memset(campaign->commands, 0, n * sizeof(*campaign->commands));
	return 0;
}

struct loading_row {
	struct loading *loading;
	const struct loading_limits *limits;
};

static bool loading_on_campaign(void *data, const struct store_campaign *from)
{
	const struct loading_row *row = data;
	struct loading *loading = row->loading;

	loading->is_found = true;
	memcpy(loading->campaign->id, from->id, 16);
	loading->counts_targets = loading_verb_touches_storage(from->verb);
	loading_view(loading, from);
	loading->error = loading_policy(loading, from, row->limits);
	if (loading->error == 0)
		loading->error = loading_arrays(loading, from);
	return false;
}

/* ---- its members ---- */

static enum engine_host_state loading_state(const struct store_member *from)
{
	switch (from->life) {
	case LIFE(QUEUED):
		return ENGINE_WAITING;
	case LIFE(DISPATCHED):
	case LIFE(RECEIVED):
	case LIFE(ACCEPTED):
	case LIFE(STARTED):
		return from->lost ? ENGINE_FAILED : ENGINE_UNDER_WAY;
	case LIFE(SUCCEEDED):
		return ENGINE_SUCCEEDED;
	case LIFE(CANCELLED):
		return ENGINE_CANCELLED;
	default:
		return ENGINE_FAILED;
	}
}

/* Hosts whose target is not known share one: they may be on the same. */
static int loading_target(struct loading *loading, const char *name, uint32_t *ret_number)
{
	struct loading_target *target;

	if (!loading->counts_targets) {
		*ret_number = ENGINE_NO_TARGET;
		return 0;
	}
	target = (struct loading_target *)map_find(&loading->target_names, name, strlen(name));
	if (!target) {
		target = arena_alloc(loading->campaign->arena, sizeof(*target));
		name = arena_strdup(loading->campaign->arena, name);
		if (!target || !name)
			return -ENOMEM;
		target->number = (uint32_t)loading->target_names.n_nodes;
		if (map_add(&loading->target_names, &target->node, name, strlen(name)) < 0)
			return -ENOMEM;
	}
	*ret_number = target->number;
	return 0;
}

static int loading_command(struct loading *loading, const uint8_t id[16], size_t *ret_number)
{
	struct campaign *campaign = loading->campaign;
	struct campaign_command *command =
		(struct campaign_command *)map_find(&loading->command_ids, id, 16);

	if (!command) {
		command = &campaign->commands[campaign->n_commands];
		command->number = campaign->n_commands++;
		memcpy(command->id, id, 16);
		if (map_add(&loading->command_ids, &command->node, command->id, 16) < 0)
			return -ENOMEM;
	}
	*ret_number = command->number;
	return 0;
}

static int loading_member(struct loading *loading, const struct store_member *from)
{
	struct campaign *campaign = loading->campaign;
	struct member *member = &campaign->members[campaign->n_members];
	int r = loading_command(loading, from->command_id, &member->command);

	if (r == 0)
		r = loading_target(loading, from->target, &loading->targets[campaign->n_members]);
	if (r < 0)
		return r;
	member->host_id = arena_strdup(campaign->arena, from->host_id);
	member->number = campaign->n_members;
	if (!member->host_id || map_add(&campaign->by_host, &member->node, member->host_id,
					strlen(member->host_id)) < 0)
		return -ENOMEM;
	loading->states[campaign->n_members] = (uint8_t)loading_state(from);
	loading->view.failures += loading->states[campaign->n_members] == ENGINE_FAILED;
	campaign->n_members++;
	return 0;
}

static bool loading_on_member(void *data, const struct store_member *from)
{
	struct loading *loading = data;

	if (loading->campaign->n_members == loading->max_members) {
		loading->error = -EBADMSG;
		return false;
	}
	loading->error = loading_member(loading, from);
	return loading->error == 0;
}

/* ---- the engine ---- */

static int loading_engine(struct loading *loading)
{
	struct campaign *campaign = loading->campaign;
	uint64_t now = clock_monotonic_ns();

	campaign->engine = engine_new(&loading->policy, loading->targets, campaign->n_members,
				      (uint32_t)loading->target_names.n_nodes, clock_realtime_ns());
	if (!campaign->engine)
		return -ENOMEM;
	for (size_t i = 0; i < campaign->n_members; i++)
		if (loading->states[i] != ENGINE_WAITING)
			engine_restore_host(campaign->engine, i,
					    (enum engine_host_state)loading->states[i], now);
	engine_restore(campaign->engine, &loading->view);
	campaign_remember(campaign, &loading->view);
	return 0;
}

static int loading_read(struct loading *loading, struct store *store, const uint8_t id[16],
			const struct loading_limits *limits)
{
	struct store_campaign_query query = { .id = id, .limit = 1 };
	struct loading_row row = { loading, limits };
	int r = store_campaigns(store, &query, loading_on_campaign, &row);

	if (r == 0)
		r = loading->is_found ? loading->error : -ENOENT;
	if (r == 0)
		r = store_members(store, id, loading_on_member, loading);
	if (r == 0)
		r = loading->error;
	return r < 0 ? r : loading_engine(loading);
}

int loading_one(struct store *store, const uint8_t id[16], const struct loading_limits *limits,
		struct campaign **ret_campaign)
{
	struct loading loading = { .campaign = calloc(1, sizeof(*loading.campaign)) };
	int r;

	if (!loading.campaign)
		return -ENOMEM;
	r = loading_read(&loading, store, id, limits);
	map_deinit(&loading.target_names);
	map_deinit(&loading.command_ids);
	free(loading.targets);
	free(loading.states);
	if (r < 0)
		campaign_free(loading.campaign);
	else
		*ret_campaign = loading.campaign;
	return r;
}

/* ---- all of them ---- */

struct loading_ids {
	uint8_t ids[LOADING_PAGE][16];
	size_t n;
	uint64_t last;
};

static bool loading_on_id(void *data, const struct store_campaign *from)
{
	struct loading_ids *ids = data;

	memcpy(ids->ids[ids->n++], from->id, 16);
	ids->last = from->ordinal;
	return ids->n < LOADING_PAGE;
}

int loading_all(struct store *store, const struct loading_limits *limits,
		int (*each)(void *data, struct campaign *campaign), void *data)
{
	struct loading_ids ids = { .last = 0 };
	int r;

	do {
		struct store_campaign_query query = { .open = true,
						      .before_ordinal = ids.last,
						      .limit = LOADING_PAGE };

		ids.n = 0;
		r = store_campaigns(store, &query, loading_on_id, &ids);
		for (size_t i = 0; r == 0 && i < ids.n; i++) {
			struct campaign *campaign;

			r = loading_one(store, ids.ids[i], limits, &campaign);
			if (r == 0)
				r = each(data, campaign);
		}
	} while (r == 0 && ids.n == LOADING_PAGE);
	return r;
}
