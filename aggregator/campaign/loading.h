/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/campaign/engine.h"
#include "aggregator/store/map.h"
#include "aggregator/store/store.h"
#include "proto/arena.h"

/* A campaign in memory, as the store has it: after its submission and after a restart alike. */
struct member {
	struct map_node node; /* first; by host id */
	const char *host_id;
	size_t number;	/* in the campaign's order */
	size_t command; /* in campaign.commands */
};

struct campaign_command {
	struct map_node node; /* first; by id */
	uint8_t id[16];
	size_t number;
};

struct campaign {
	struct map_node node; /* first; by id */
	uint8_t id[16];
	struct engine *engine;
	struct arena *arena; /* members, commands, strings, arrays */
	struct member *members;
	size_t n_members;
	struct campaign_command *commands;
	size_t n_commands;
	struct map by_host;
	struct engine_orders orders; /* room for all that can be active */
	uint32_t *unmarks;	     /* marks to be undone by the next write */
	size_t n_unmarks;
	struct engine_view stored; /* that the last write has made durable */
	char stored_reason[256];
	unsigned n_controls; /* writes of an operator under way */
	bool is_dirty, is_writing, is_refused;
};

struct loading_limits {
	uint64_t silent_ns; /* engine_policy.silent_ns */
};

/* [reader thread or start] 0; -ENOENT: no such campaign; -errno. */
int loading_one(struct store *store, const uint8_t id[16], const struct loading_limits *limits,
		struct campaign **ret_campaign);
/* @each owns what it gets; it returns 0 or -errno, which ends the loading. */
int loading_all(struct store *store, const struct loading_limits *limits,
		int (*each)(void *data, struct campaign *campaign), void *data);
struct campaign *campaign_free(struct campaign *campaign); /* returns NULL */

const struct member *campaign_member(const struct campaign *campaign, const char *host_id);
/* @view is, or is being made, durable. Copies the reason. */
void campaign_remember(struct campaign *campaign, const struct engine_view *view);
/* Is there something to write beside marks? */
bool campaign_has_changed(const struct campaign *campaign, const struct engine_view *view);
const char *campaign_state_name(int state);
