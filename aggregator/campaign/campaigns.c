/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/campaign/campaigns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/campaign/internal.h"
#include "aggregator/commands.h"
#include "core/clock.h"
#include "core/log.h"
#include "proto/kind.h"

#define LIFE(name)	   PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name
#define CAMPAIGNS_TICK_MS  500
#define CAMPAIGNS_RETRY_MS 100

struct campaign *campaigns_find(const struct campaigns *campaigns, const uint8_t id[16])
{
	return (struct campaign *)map_find(&campaigns->by_id, id, 16);
}

static void campaigns_count(struct campaigns *campaigns)
{
	counter_set(&campaigns->aggregator->metrics.campaigns_open, campaigns->by_id.n_nodes);
}

static void campaign_remove(struct campaigns *campaigns, struct campaign *campaign)
{
	for (size_t i = 0; i < campaign->n_commands; i++)
		commands_unkeep(campaigns->aggregator->commands, campaign->commands[i].id);
	map_remove(&campaigns->by_id, &campaign->node);
	campaign_free(campaign);
	campaigns_count(campaigns);
}

/* ---- all of them ---- */

struct campaigns_visit {
	struct campaigns *campaigns;
	bool all;
	uint64_t due_ns;
};

static void campaigns_visit(struct map_node *node, void *data)
{
	struct campaigns_visit *visit = data;
	struct campaign *campaign = (struct campaign *)node;

	if (visit->all)
		campaign->is_refused = false;
	if ((visit->all || campaign->is_dirty) && !drive_run(visit->campaigns, campaign))
		campaign_remove(visit->campaigns, campaign);
}

static void campaigns_due(struct map_node *node, void *data)
{
	struct campaigns_visit *visit = data;
	uint64_t due = engine_due_ns(((struct campaign *)node)->engine);

	visit->due_ns = due < visit->due_ns ? due : visit->due_ns;
}

static void campaigns_on_time(void *data);

static void campaigns_arm(struct campaigns *campaigns)
{
	struct campaigns_visit visit = { .campaigns = campaigns, .due_ns = UINT64_MAX };
	uint64_t now = clock_monotonic_ns(), ms = CAMPAIGNS_TICK_MS;

	if (campaigns->by_id.n_nodes == 0 || campaigns->aggregator->is_stopping)
		return;
	map_each(&campaigns->by_id, campaigns_due, &visit);
	if (visit.due_ns <= now)
		ms = 1;
	else if ((visit.due_ns - now) / CLOCK_NS_PER_MS < ms)
		ms = (visit.due_ns - now) / CLOCK_NS_PER_MS + 1;
	rpc_timer_cancel(campaigns->timer);
	campaigns->timer = rpc_timer_start(campaigns->aggregator->rpc, (uint32_t)ms,
					   campaigns_on_time, campaigns);
}

static void campaigns_run(struct campaigns *campaigns, bool all)
{
	struct campaigns_visit visit = { .campaigns = campaigns, .all = all };

	map_each(&campaigns->by_id, campaigns_visit, &visit);
	campaigns_arm(campaigns);
}

static void campaigns_on_time(void *data)
{
	struct campaigns *campaigns = data;

	campaigns->timer = NULL;
	campaigns_run(campaigns, true);
}

void campaigns_on_commit(struct campaigns *campaigns)
{
	if (campaigns->by_id.n_nodes > 0)
		campaigns_run(campaigns, false);
}

void campaigns_on_host(struct campaigns *campaigns)
{
	if (campaigns->by_id.n_nodes > 0)
		campaigns_run(campaigns, true);
}

void campaigns_on_faults(struct campaigns *campaigns, uint64_t n)
{
	storm_add(&campaigns->storm, clock_monotonic_ns(), n);
}

/* ---- lives ---- */

struct campaigns_life {
	struct campaigns *campaigns;
	const char *host_id;
	const uint8_t *command_id;
	uint32_t life;
};

/* Is there an end in it? */
static bool campaigns_end(uint32_t life, enum engine_end *ret_end)
{
	*ret_end = life == LIFE(SUCCEEDED)   ? ENGINE_END_SUCCEEDED
		   : life == LIFE(CANCELLED) ? ENGINE_END_CANCELLED
					     : ENGINE_END_FAILED;
	return command_life_is_final(life) || life == LIFE(INDETERMINATE);
}

static void campaigns_life(struct map_node *node, void *data)
{
	const struct campaigns_life *life = data;
	struct campaign *campaign = (struct campaign *)node;
	const struct member *member = campaign_member(campaign, life->host_id);
	enum engine_end end;
	char what[200];

	if (!member || memcmp(campaign->commands[member->command].id, life->command_id, 16) != 0)
		return;
	campaign->is_dirty = true;
	if (!campaigns_end(life->life, &end))
		return;
	snprintf(what, sizeof(what), "%s on %s", command_life_name(life->life), life->host_id);
	engine_told(campaign->engine, member->number, end, what);
}

void campaigns_on_life(struct campaigns *campaigns, const char *host_id,
		       const uint8_t command_id[16], uint32_t life)
{
	struct campaigns_life visit = { campaigns, host_id, command_id, life };

	map_each(&campaigns->by_id, campaigns_life, &visit);
}

struct campaigns_cancel {
	const uint8_t *command_id;
	bool durable;
};

static void campaigns_cancel(struct map_node *node, void *data)
{
	const struct campaigns_cancel *cancel = data;
	struct campaign *campaign = (struct campaign *)node;

	for (size_t i = 0; i < campaign->n_members; i++) {
		const struct member *member = &campaign->members[i];

		if (memcmp(campaign->commands[member->command].id, cancel->command_id, 16) != 0 ||
		    !engine_withdraw(campaign->engine, i))
			continue;
		campaign->is_dirty = true;
		if (cancel->durable)
			engine_told(campaign->engine, i, ENGINE_END_CANCELLED, "cancelled");
	}
}

void campaigns_on_withdraw(struct campaigns *campaigns, const uint8_t command_id[16])
{
	struct campaigns_cancel cancel = { command_id, false };

	map_each(&campaigns->by_id, campaigns_cancel, &cancel);
}

void campaigns_on_cancelled(struct campaigns *campaigns, const uint8_t command_id[16])
{
	struct campaigns_cancel cancel = { command_id, true };

	map_each(&campaigns->by_id, campaigns_cancel, &cancel);
}

/* ---- coming and going ---- */

bool campaigns_have_room(const struct campaigns *campaigns)
{
	return campaigns->by_id.n_nodes + campaigns->n_adding <
	       campaigns->aggregator->live.commands.max_campaigns;
}

static int campaigns_take(struct campaigns *campaigns, struct campaign *campaign)
{
	int r = campaign->n_members > 0 ? map_add(&campaigns->by_id, &campaign->node, campaign->id,
						  sizeof(campaign->id))
					: -ENOENT;

	if (r < 0)
		campaign_free(campaign);
	campaigns_count(campaigns);
	return r;
}

static struct loading_limits campaigns_limits(const struct campaigns *campaigns)
{
	return (struct loading_limits){
		.silent_ns = campaigns->aggregator->live.commands.silent_after_ns,
	};
}

struct campaigns_adding {
	struct reader_job read; /* first */
	struct campaigns *campaigns;
	struct loading_limits limits;
	uint8_t id[16];
	struct campaign *campaign;
	LIST_ENTRY(campaigns_adding) link;
};

static void campaigns_adding_free(struct campaigns_adding *adding)
{
	LIST_REMOVE(adding, link);
	adding->campaigns->n_adding--;
	free(adding);
}

static int campaigns_adding_run(struct reader_job *read, struct store *store)
{
	struct campaigns_adding *adding = (struct campaigns_adding *)read;

	return loading_one(store, adding->id, &adding->limits, &adding->campaign);
}

static void campaigns_adding_put(void *data);

static void campaigns_adding_done(struct reader_job *read)
{
	struct campaigns_adding *adding = (struct campaigns_adding *)read;
	struct campaigns *campaigns = adding->campaigns;

	if (read->error < 0 && read->error != -ECANCELED && read->error != -ENOENT) {
		log_warning("cannot read a new campaign, trying again error=\"%s\"",
			    log_errno(read->error));
		rpc_timer_start(campaigns->aggregator->rpc, CAMPAIGNS_RETRY_MS,
				campaigns_adding_put, adding);
		return;
	}
	if (read->error == 0 && !campaigns_find(campaigns, adding->id) &&
	    campaigns_take(campaigns, adding->campaign) == 0) {
		struct campaign *campaign = campaigns_find(campaigns, adding->id);

		drive_hold(campaigns, campaign);
		drive_run(campaigns, campaign); /* new: there is something left to do */
		campaigns_arm(campaigns);
	}
	campaigns_adding_free(adding);
}

static void campaigns_adding_put(void *data)
{
	struct campaigns_adding *adding = data;

	adding->read.home = READER_GRPC;
	adding->read.run = campaigns_adding_run;
	adding->read.done = campaigns_adding_done;
	if (adding->campaigns->aggregator->is_stopping) {
		campaigns_adding_free(adding); /* the next start finds it */
		return;
	}
	if (!reader_put(adding->campaigns->aggregator->reader, &adding->read))
		rpc_timer_start(adding->campaigns->aggregator->rpc, CAMPAIGNS_RETRY_MS,
				campaigns_adding_put, adding);
}

void campaigns_add(struct campaigns *campaigns, const uint8_t id[16])
{
	struct campaigns_adding *adding = calloc(1, sizeof(*adding));

	if (!adding) {
		log_error("no memory for a campaign; it begins after the next start");
		return;
	}
	adding->campaigns = campaigns;
	adding->limits = campaigns_limits(campaigns);
	memcpy(adding->id, id, 16);
	LIST_INSERT_HEAD(&campaigns->adding, adding, link);
	campaigns->n_adding++;
	campaigns_adding_put(adding);
}

static void campaigns_begin_one(struct map_node *node, void *data)
{
	drive_hold(data, (struct campaign *)node);
}

static void campaigns_begin(void *data)
{
	struct campaigns *campaigns = data;

	map_each(&campaigns->by_id, campaigns_begin_one, campaigns);
	campaigns_run(campaigns, true);
}

static int campaigns_loaded(void *data, struct campaign *campaign)
{
	int r = campaigns_take(data, campaign);

	return r == -ENOENT ? 0 : r;
}

int campaigns_load(struct campaigns *campaigns, struct store *store)
{
	struct loading_limits limits = {
		.silent_ns = campaigns->aggregator->settings.commands.silent_after_ns,
	};
	int r = loading_all(store, &limits, campaigns_loaded, campaigns);

	if (r == 0 && campaigns->by_id.n_nodes > 0)
		log_notice("campaigns go on after the restart count=%zu", campaigns->by_id.n_nodes);
	return r;
}

void campaigns_go_on(struct campaigns *campaigns)
{
	rpc_post(campaigns->aggregator->rpc, campaigns_begin, campaigns);
}

struct campaigns *campaigns_new(struct aggregator *aggregator)
{
	struct campaigns *campaigns = calloc(1, sizeof(*campaigns));

	if (campaigns)
		campaigns->aggregator = aggregator;
	return campaigns;
}

static void campaigns_free_one(struct map_node *node, void *data)
{
	campaign_free((struct campaign *)node);
}

struct campaigns *campaigns_free(struct campaigns *campaigns)
{
	struct campaigns_adding *adding, *next;

	if (!campaigns)
		return NULL;
	/* gRPC has ended: nobody waits for these. */
	for (adding = LIST_FIRST(&campaigns->adding); adding; adding = next) {
		next = LIST_NEXT(adding, link);
		campaigns_adding_free(adding);
	}
	map_each(&campaigns->by_id, campaigns_free_one, NULL);
	map_deinit(&campaigns->by_id);
	free(campaigns);
	return NULL;
}
