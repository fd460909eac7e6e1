/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pathbell/v1/fleet.pb-c.h"

/*
 * Which host of a campaign is dispatched when. A pure state machine: no clock, no socket, no store;
 * engine.c opens with the essay. Hosts are numbers, 0 to n - 1, in the order of the plan.
 */
struct engine;

#define ENGINE_STATE(name)    PATHBELL__V1__CAMPAIGN_STATE__CAMPAIGN_STATE_##name
#define ENGINE_NO_TARGET      UINT32_MAX /* a host that no cap for targets counts */
#define ENGINE_MAX_HOSTS      100000
#define ENGINE_DEFAULT_END_NS UINT64_C(600000000000) /* a command without timeout: 10 min */

/* Counts are of hosts; nothing is 0 but error_budget, jitter_ns. See engine_policy_from. */
struct engine_policy {
	uint32_t canary, growth, max_parallel, max_parallel_percent, max_per_target, error_budget;
	uint64_t jitter_ns;
	uint32_t storm_events;
	uint64_t silent_ns; /* a dispatched host without a word for so long has failed */
	uint64_t end_ns;    /* a dispatched host without an end for so long has failed */
	uint64_t not_before_unix_ns, expires_unix_ns;
};

enum engine_host_state {
	ENGINE_WAITING,
	ENGINE_PLANNED,	  /* chosen; its jitter runs */
	ENGINE_MARKING,	  /* given out by engine_step, not yet durable */
	ENGINE_UNDER_WAY, /* durable as dispatched; may have the command */
	ENGINE_SUCCEEDED,
	ENGINE_FAILED,
	ENGINE_CANCELLED,
};

/* What a host told. */
enum engine_end { ENGINE_END_SUCCEEDED, ENGINE_END_FAILED, ENGINE_END_CANCELLED };

/* The world at the moment of a call. */
struct engine_now {
	uint64_t ns;	  /* monotonic */
	uint64_t unix_ns; /* for expiry only */
	uint64_t storm;	  /* fault events of the whole fleet in the last 10 s */
	void *data;
	bool (*is_ready)(void *data, size_t host);     /* connected, and not withdrawn */
	uint64_t (*heard_ns)(void *data, size_t host); /* last word, monotonic; 0 = not known */
};

struct engine_view {
	int state; /* ENGINE_STATE */
	const char *reason;
	uint32_t wave, wave_size;
	uint32_t wave_used; /* dispatches of this wave, being marked or made */
	size_t n_hosts, n_waiting, n_active, n_under_way, n_succeeded, n_cancelled;
	uint64_t failures; /* told or concluded, those before the last resume too */
	uint64_t forgiven; /* of them, those that do not count any more */
	size_t parallel;   /* the cap that holds */
};

/* Fills what is 0 in the signed policy with its default. */
void engine_policy_from(const Pathbell__V1__CommandCampaign *from,
			struct engine_policy *ret_policy);

/* @targets[i] < @n_targets or ENGINE_NO_TARGET. Copies all. NULL: no memory. State RUNNING, wave 1.
 */
struct engine *engine_new(const struct engine_policy *policy, const uint32_t *targets,
			  size_t n_hosts, uint32_t n_targets, uint64_t seed);
struct engine *engine_free(struct engine *engine); /* returns NULL */

/* After a restart: first each host that is not waiting, then the rest. @now_ns: bounds count anew.
 */
void engine_restore_host(struct engine *engine, size_t host, enum engine_host_state state,
			 uint64_t now_ns);
void engine_restore(struct engine *engine, const struct engine_view *view);

/*
 * Looks at time, storm, silence, waves and caps. Returns how many hosts are to be marked as
 * dispatched now (@ret_hosts, at most @max): make it durable, then engine_marked. *ret_lost: hosts
 * concluded to have failed (silent), at most @max of them in one step.
 */
struct engine_orders {
	size_t *hosts, *lost;
	size_t max, n_hosts, n_lost;
};
void engine_step(struct engine *engine, const struct engine_now *now, struct engine_orders *orders);
/* The mark is durable. True: send now. False: it may not go any more; undo the mark. */
bool engine_marked(struct engine *engine, size_t host, uint64_t now_ns);
void engine_unmarked(struct engine *engine, size_t host); /* it could not be made durable */
void engine_told(struct engine *engine, size_t host, enum engine_end end, const char *what);
/* A planned host goes back to waiting. False: it is not with the engine any more. */
bool engine_withdraw(struct engine *engine, size_t host);
/* Stops with @reason; RUNNING or PAUSED only. */
void engine_stop(struct engine *engine, const char *reason);

#define ENGINE_E_STATE 1 /* not possible in the present state */
int engine_control(struct engine *engine, int action, const char *who);

void engine_look(const struct engine *engine, struct engine_view *ret_view);
enum engine_host_state engine_host(const struct engine *engine, size_t host);
/* Monotonic time of the next planned dispatch; UINT64_MAX: none. */
uint64_t engine_due_ns(const struct engine *engine);
/* Nothing will ever change any more. */
bool engine_is_over(const struct engine *engine);
