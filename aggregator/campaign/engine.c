/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A campaign goes over its hosts in waves. Wave 1 has `canary` dispatches, each next one `growth`
 * times as many; it begins only when every host of the present one has an end. Within a wave the
 * first waiting host (order of the plan) that is connected and whose storage target has room is
 * taken, while fewer are active than the caps allow.
 *
 *	WAITING -> PLANNED (jitter) -> MARKING (being made durable) -> UNDER_WAY -> an end
 *
 * All states between the two ends are "active" and count for every cap, so neither jitter nor a
 * slow disk can let more hosts through. A host never goes back once it is UNDER_WAY: it may have
 * the command. PLANNED and MARKING go back when the campaign stops, so that nothing leaves after a
 * failure that exceeds the budget is known: engine_marked is asked again at the very moment of
 * sending.
 *
 * What goes wrong: a dispatched host that falls silent, or tells no end in time, is concluded to
 * have failed and frees its slot; what it tells later is shown but not counted twice. Hosts that
 * are not connected are passed over and wait until they come or the campaign expires. A storm of
 * faults in the fleet, or a failure above the budget, stops the campaign until an operator resumes
 * it; the budget then counts anew. A process that dies loses nothing that matters: what it had
 * marked is under way, the rest waits (engine_restore).
 */
#include "aggregator/campaign/engine.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENGINE_MS UINT64_C(1000000)

struct engine_member {
	uint32_t target;
	uint32_t slot;	/* in `active`, while active */
	uint64_t at_ns; /* PLANNED: when to go; UNDER_WAY: since */
	enum engine_host_state state;
};

struct engine {
	struct engine_policy policy;
	struct engine_member *members;
	size_t n_members;
	uint32_t *active; /* numbers of hosts */
	size_t n_active, parallel;
	uint32_t *on_target; /* active hosts on each */
	size_t counts[ENGINE_CANCELLED + 1];
	size_t first_waiting; /* none below waits */
	uint32_t wave, wave_size, wave_used;
	uint64_t failures, forgiven, random;
	int state;
	char reason[256];
};

static uint32_t engine_or(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

void engine_policy_from(const Pathbell__V1__CommandCampaign *from, struct engine_policy *ret_policy)
{
	memset(ret_policy, 0, sizeof(*ret_policy));
	ret_policy->canary = engine_or(from->canary, 1);
	ret_policy->growth = engine_or(from->growth, 2);
	ret_policy->max_parallel = engine_or(from->max_parallel, 50);
	ret_policy->max_parallel_percent = engine_or(from->max_parallel_percent, 10);
	ret_policy->max_per_target = engine_or(from->max_per_target, 5);
	ret_policy->error_budget = from->error_budget;
	ret_policy->jitter_ns = from->jitter_ms * ENGINE_MS;
	ret_policy->storm_events = engine_or(from->storm_events, 1000);
}

/* ---- members ---- */

static bool engine_state_is_active(enum engine_host_state state)
{
	return state == ENGINE_PLANNED || state == ENGINE_MARKING || state == ENGINE_UNDER_WAY;
}

/* Every change of a host's state goes through here: counts and caps follow. */
static void engine_move(struct engine *engine, size_t host, enum engine_host_state state)
{
	struct engine_member *member = &engine->members[host];
	bool was_active = engine_state_is_active(member->state);
	bool is_active = engine_state_is_active(state);

	engine->counts[member->state]--;
	engine->counts[state]++;
	member->state = state;
	if (!was_active && is_active) {
		member->slot = (uint32_t)engine->n_active;
		engine->active[engine->n_active++] = (uint32_t)host;
	} else if (was_active && !is_active) {
		uint32_t last = engine->active[--engine->n_active];

		engine->active[member->slot] = last;
		engine->members[last].slot = member->slot;
	}
	if (was_active != is_active && member->target != ENGINE_NO_TARGET)
		engine->on_target[member->target] += is_active ? 1 : -1u;
	if (state == ENGINE_WAITING && host < engine->first_waiting)
		engine->first_waiting = host;
}

/* Back to waiting, as if it had never been chosen. */
static void engine_return(struct engine *engine, size_t host)
{
	engine_move(engine, host, ENGINE_WAITING);
	if (engine->wave_used > 0)
		engine->wave_used--;
}

static void engine_return_planned(struct engine *engine)
{
	for (size_t i = engine->n_active; i-- > 0;)
		if (engine->members[engine->active[i]].state == ENGINE_PLANNED)
			engine_return(engine, engine->active[i]);
}

static void engine_end_waiting(struct engine *engine, enum engine_host_state end)
{
	for (size_t host = engine->first_waiting; host < engine->n_members; host++)
		if (engine->members[host].state == ENGINE_WAITING)
			engine_move(engine, host, end);
}

static void engine_enter(struct engine *engine, int state)
{
	engine->state = state;
	if (state != ENGINE_STATE(RUNNING))
		engine_return_planned(engine);
	if (state == ENGINE_STATE(HALTED))
		engine_end_waiting(engine, ENGINE_CANCELLED);
	if (state == ENGINE_STATE(EXPIRED))
		engine_end_waiting(engine, ENGINE_FAILED);
}

static bool engine_is_open(const struct engine *engine)
{
	return engine->state == ENGINE_STATE(RUNNING) || engine->state == ENGINE_STATE(PAUSED) ||
	       engine->state == ENGINE_STATE(STOPPED);
}

void engine_stop(struct engine *engine, const char *reason)
{
	if (engine->state != ENGINE_STATE(RUNNING) && engine->state != ENGINE_STATE(PAUSED))
		return;
	snprintf(engine->reason, sizeof(engine->reason), "%s", reason);
	engine_enter(engine, ENGINE_STATE(STOPPED));
}

static void engine_fail(struct engine *engine, const char *what)
{
	char reason[256];

	engine->failures++;
	if (engine->failures - engine->forgiven <= engine->policy.error_budget)
		return;
	snprintf(reason, sizeof(reason),
		 "error budget: %" PRIu64 " failed, %u allowed; the last: %s",
		 engine->failures - engine->forgiven, engine->policy.error_budget, what);
	engine_stop(engine, reason);
}

/* ---- one step ---- */

static void engine_expire(struct engine *engine, uint64_t unix_ns)
{
	if (!engine_is_open(engine) || unix_ns < engine->policy.expires_unix_ns)
		return;
	snprintf(engine->reason, sizeof(engine->reason), "expired; %zu hosts were not dispatched",
		 engine->counts[ENGINE_WAITING] + engine->counts[ENGINE_PLANNED]);
	engine_enter(engine, ENGINE_STATE(EXPIRED));
}

static void engine_storm(struct engine *engine, uint64_t storm)
{
	char reason[128];

	if (engine->state != ENGINE_STATE(RUNNING) || storm <= engine->policy.storm_events)
		return;
	snprintf(reason, sizeof(reason), "storm: %" PRIu64 " fault events in 10 s, %u allowed",
		 storm, engine->policy.storm_events);
	engine_stop(engine, reason);
}

/* NULL, or why the host is given up. */
static const char *engine_silent(const struct engine *engine, size_t host,
				 const struct engine_now *now)
{
	const struct engine_member *member = &engine->members[host];
	uint64_t since = member->at_ns, heard;

	if (member->state != ENGINE_UNDER_WAY)
		return NULL;
	if (now->ns >= since && now->ns - since > engine->policy.end_ns)
		return "a host told no end in time";
	heard = now->heard_ns(now->data, host);
	since = heard > since ? heard : since;
	if (now->ns >= since && now->ns - since > engine->policy.silent_ns)
		return "a dispatched host fell silent";
	return NULL;
}

static void engine_lose(struct engine *engine, const struct engine_now *now,
			struct engine_orders *orders)
{
	for (size_t i = engine->n_active; i-- > 0 && orders->n_lost < orders->max;) {
		size_t host = engine->active[i];
		const char *why = engine_silent(engine, host, now);

		if (!why)
			continue;
		orders->lost[orders->n_lost++] = host;
		engine_move(engine, host, ENGINE_FAILED);
		engine_fail(engine, why);
	}
}

static void engine_next_wave(struct engine *engine)
{
	uint64_t size = (uint64_t)engine->wave_size * engine->policy.growth;

	if (engine->n_active > 0 || engine->wave_used < engine->wave_size ||
	    engine->counts[ENGINE_WAITING] == 0)
		return;
	engine->wave++;
	engine->wave_size = size < engine->n_members ? (uint32_t)size : (uint32_t)engine->n_members;
	engine->wave_used = 0;
}

static bool engine_has_room(const struct engine *engine, const struct engine_member *member)
{
	return member->target == ENGINE_NO_TARGET ||
	       engine->on_target[member->target] < engine->policy.max_per_target;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t engine_random(struct engine *engine)
{
	uint64_t z = engine->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void engine_plan(struct engine *engine, const struct engine_now *now)
{
	uint64_t jitter = engine->policy.jitter_ns;

	while (engine->first_waiting < engine->n_members &&
	       engine->members[engine->first_waiting].state != ENGINE_WAITING)
		engine->first_waiting++;
	for (size_t host = engine->first_waiting;
	     host < engine->n_members && engine->n_active < engine->parallel &&
	     engine->wave_used < engine->wave_size;
	     host++) {
		struct engine_member *member = &engine->members[host];

		if (member->state != ENGINE_WAITING || !engine_has_room(engine, member) ||
		    !now->is_ready(now->data, host))
			continue;
		member->at_ns = now->ns + (jitter ? engine_random(engine) % (jitter + 1) : 0);
		engine_move(engine, host, ENGINE_PLANNED);
		engine->wave_used++;
	}
}

static int engine_compare(const void *a, const void *b)
{
	size_t left = *(const size_t *)a, right = *(const size_t *)b;

	return (left > right) - (left < right);
}

static void engine_dispatch(struct engine *engine, const struct engine_now *now,
			    struct engine_orders *orders)
{
	for (size_t i = 0; i < engine->n_active && orders->n_hosts < orders->max; i++) {
		size_t host = engine->active[i];

		if (engine->members[host].state != ENGINE_PLANNED ||
		    engine->members[host].at_ns > now->ns)
			continue;
		engine_move(engine, host, ENGINE_MARKING);
		orders->hosts[orders->n_hosts++] = host;
	}
	qsort(orders->hosts, orders->n_hosts, sizeof(*orders->hosts), engine_compare);
}

/* A stopped campaign whose last hosts have ended has nothing left to resume. */
static void engine_finish(struct engine *engine)
{
	if (engine_is_open(engine) && engine->counts[ENGINE_WAITING] == 0 && engine->n_active == 0)
		engine_enter(engine, ENGINE_STATE(FINISHED));
}

void engine_step(struct engine *engine, const struct engine_now *now, struct engine_orders *orders)
{
	orders->n_hosts = orders->n_lost = 0;
	engine_expire(engine, now->unix_ns);
	engine_lose(engine, now, orders);
	engine_storm(engine, now->storm);
	if (engine->state == ENGINE_STATE(RUNNING) &&
	    now->unix_ns >= engine->policy.not_before_unix_ns) {
		engine_next_wave(engine);
		engine_plan(engine, now);
		engine_dispatch(engine, now, orders);
	}
	engine_finish(engine);
}

/* ---- what comes back ---- */

bool engine_marked(struct engine *engine, size_t host, uint64_t now_ns)
{
	struct engine_member *member = &engine->members[host];

	if (member->state != ENGINE_MARKING)
		return false;
	if (engine->state == ENGINE_STATE(RUNNING)) {
		engine_move(engine, host, ENGINE_UNDER_WAY);
		member->at_ns = now_ns;
		return true;
	}
	engine_unmarked(engine, host);
	return false;
}

void engine_unmarked(struct engine *engine, size_t host)
{
	if (engine->members[host].state != ENGINE_MARKING)
		return;
	engine_return(engine, host);
	if (engine->state == ENGINE_STATE(HALTED))
		engine_move(engine, host, ENGINE_CANCELLED);
	else if (engine->state == ENGINE_STATE(EXPIRED))
		engine_move(engine, host, ENGINE_FAILED);
}

bool engine_withdraw(struct engine *engine, size_t host)
{
	if (engine->members[host].state == ENGINE_PLANNED)
		engine_return(engine, host);
	return engine->members[host].state == ENGINE_WAITING;
}

void engine_told(struct engine *engine, size_t host, enum engine_end end, const char *what)
{
	static const enum engine_host_state states[] = {
		[ENGINE_END_SUCCEEDED] = ENGINE_SUCCEEDED,
		[ENGINE_END_FAILED] = ENGINE_FAILED,
		[ENGINE_END_CANCELLED] = ENGINE_CANCELLED,
	};
	enum engine_host_state before = engine->members[host].state;

	if (before >= ENGINE_SUCCEEDED) {
		/* Given up before, or resolved after INDETERMINATE: shown, not counted again. */
		if (before == ENGINE_FAILED)
			engine_move(engine, host, states[end]);
		return;
	}
	engine_move(engine, host, states[end]);
	if (end == ENGINE_END_FAILED)
		engine_fail(engine, what);
}

int engine_control(struct engine *engine, int action, const char *who)
{
	int state = engine->state;

	switch (action) {
	case PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_PAUSE:
		if (state != ENGINE_STATE(RUNNING))
			return ENGINE_E_STATE;
		snprintf(engine->reason, sizeof(engine->reason), "paused by %s", who);
		engine_enter(engine, ENGINE_STATE(PAUSED));
		return 0;
	case PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_RESUME:
		if (state != ENGINE_STATE(PAUSED) && state != ENGINE_STATE(STOPPED))
			return ENGINE_E_STATE;
		if (state == ENGINE_STATE(STOPPED))
			engine->forgiven = engine->failures;
		snprintf(engine->reason, sizeof(engine->reason), "resumed by %s", who);
		engine_enter(engine, ENGINE_STATE(RUNNING));
		return 0;
	case PATHBELL__V1__CAMPAIGN_ACTION__CAMPAIGN_ACTION_HALT:
		if (!engine_is_open(engine))
			return ENGINE_E_STATE;
		snprintf(engine->reason, sizeof(engine->reason), "halted by %s", who);
		engine_enter(engine, ENGINE_STATE(HALTED));
		return 0;
	default:
		return ENGINE_E_STATE;
	}
}

/* ---- looking ---- */

void engine_look(const struct engine *engine, struct engine_view *ret_view)
{
	ret_view->state = engine->state;
	ret_view->reason = engine->reason;
	ret_view->wave = engine->wave;
	ret_view->wave_size = engine->wave_size;
	ret_view->wave_used = engine->wave_used - (uint32_t)engine->counts[ENGINE_PLANNED];
	ret_view->n_hosts = engine->n_members;
	ret_view->n_waiting = engine->counts[ENGINE_WAITING];
	ret_view->n_active = engine->n_active;
	ret_view->n_under_way = engine->counts[ENGINE_UNDER_WAY];
	ret_view->n_succeeded = engine->counts[ENGINE_SUCCEEDED];
	ret_view->n_cancelled = engine->counts[ENGINE_CANCELLED];
	ret_view->failures = engine->failures;
	ret_view->forgiven = engine->forgiven;
	ret_view->parallel = engine->parallel;
}

enum engine_host_state engine_host(const struct engine *engine, size_t host)
{
	return engine->members[host].state;
}

uint64_t engine_due_ns(const struct engine *engine)
{
	uint64_t due = UINT64_MAX;

	for (size_t i = 0; i < engine->n_active; i++) {
		const struct engine_member *member = &engine->members[engine->active[i]];

		if (member->state == ENGINE_PLANNED && member->at_ns < due)
			due = member->at_ns;
	}
	return due;
}

bool engine_is_over(const struct engine *engine)
{
	return !engine_is_open(engine) && engine->n_active == 0;
}

/* ---- making ---- */

static size_t engine_parallel(const struct engine_policy *policy, size_t n_hosts)
{
	uint64_t by_percent = (uint64_t)n_hosts * policy->max_parallel_percent / 100;

	if (by_percent == 0)
		by_percent = 1;
	return by_percent < policy->max_parallel ? (size_t)by_percent : policy->max_parallel;
}

struct engine *engine_new(const struct engine_policy *policy, const uint32_t *targets,
			  size_t n_hosts, uint32_t n_targets, uint64_t seed)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	if (!engine)
		return NULL;
	engine->policy = *policy;
	engine->n_members = n_hosts;
	engine->members = calloc(n_hosts + 1, sizeof(*engine->members));
	engine->active = calloc(n_hosts + 1, sizeof(*engine->active));
	engine->on_target = calloc((size_t)n_targets + 1, sizeof(*engine->on_target));
	if (!engine->members || !engine->active || !engine->on_target)
		return engine_free(engine);
	for (size_t i = 0; i < n_hosts; i++)
		engine->members[i].target = targets[i];
	engine->counts[ENGINE_WAITING] = n_hosts;
	engine->parallel = engine_parallel(policy, n_hosts);
	engine->wave = 1;
	engine->wave_size = policy->canary;
	engine->random = seed;
	engine->state = ENGINE_STATE(RUNNING);
	return engine;
}

struct engine *engine_free(struct engine *engine)
{
	if (!engine)
		return NULL;
	free(engine->members);
	free(engine->active);
	free(engine->on_target);
	free(engine);
	return NULL;
}

void engine_restore_host(struct engine *engine, size_t host, enum engine_host_state state,
			 uint64_t now_ns)
{
	engine_move(engine, host, state);
	engine->members[host].at_ns = now_ns;
}

void engine_restore(struct engine *engine, const struct engine_view *view)
{
	engine->state = view->state;
	snprintf(engine->reason, sizeof(engine->reason), "%s", view->reason);
	engine->wave = view->wave;
	engine->wave_size = view->wave_size;
	engine->wave_used = view->wave_used;
	engine->failures = view->failures;
	engine->forgiven = view->forgiven;
}
