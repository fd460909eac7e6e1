/* SPDX-License-Identifier: Apache-2.0 */
/* The campaign engine: rules one by one, then seeded fleets in virtual time with every cap, the
 * order and the budget checked after every step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregator/campaign/engine.h"
#include "aggregator/campaign/storm.h"

#define MS	UINT64_C(1000000)
#define S	UINT64_C(1000000000)
#define MAX	5000
#define EXPIRES (1000000 * S)

struct fleet {
	struct engine *engine;
	struct engine_policy policy;
	size_t n;
	uint32_t targets[MAX];
	bool connected[MAX];
	uint64_t heard[MAX];
	uint64_t now, unix_ns, storm;
	size_t hosts[MAX], lost[MAX];
	struct engine_orders orders;
	unsigned dispatched[MAX]; /* how often engine_marked said yes */
};

static bool is_ready(void *data, size_t host)
{
	return ((struct fleet *)data)->connected[host];
}

static uint64_t heard_ns(void *data, size_t host)
{
	return ((struct fleet *)data)->heard[host];
}

static struct engine_policy policy_open(void)
{
	return (struct engine_policy){ .canary = 1,
				       .growth = 2,
				       .max_parallel = 1000,
				       .max_parallel_percent = 100,
				       .max_per_target = 1000,
				       .error_budget = 0,
				       .storm_events = 1000,
				       .silent_ns = 60 * S,
				       .end_ns = 600 * S,
				       .expires_unix_ns = EXPIRES };
}

static struct fleet *fleet_new(const struct engine_policy *policy, size_t n, uint32_t n_targets)
{
	struct fleet *fleet = calloc(1, sizeof(*fleet));

	assert_non_null(fleet);
	fleet->n = n;
	fleet->policy = *policy;
	fleet->now = S;
	for (size_t i = 0; i < n; i++) {
		fleet->targets[i] = n_targets ? (uint32_t)(i % n_targets) : ENGINE_NO_TARGET;
		fleet->connected[i] = true;
	}
	fleet->orders = (struct engine_orders){ fleet->hosts, fleet->lost, MAX, 0, 0 };
	fleet->engine = engine_new(policy, fleet->targets, n, n_targets, 1);
	assert_non_null(fleet->engine);
	return fleet;
}

static void fleet_free(struct fleet *fleet)
{
	engine_free(fleet->engine);
	free(fleet);
}

static struct engine_view look(const struct fleet *fleet)
{
	struct engine_view view;

	engine_look(fleet->engine, &view);
	return view;
}

/* One step; what it orders is marked at once. How many went. */
static size_t step(struct fleet *fleet)
{
	const struct engine_now now = { fleet->now, fleet->unix_ns, fleet->storm,
					fleet,	    is_ready,	    heard_ns };
	size_t n = 0;

	engine_step(fleet->engine, &now, &fleet->orders);
	for (size_t i = 0; i < fleet->orders.n_hosts; i++) {
		if (!engine_marked(fleet->engine, fleet->hosts[i], fleet->now))
			continue;
		fleet->dispatched[fleet->hosts[i]]++;
		n++;
	}
	return n;
}

static void end_all(struct fleet *fleet, enum engine_end end)
{
	for (size_t i = 0; i < fleet->n; i++)
		if (engine_host(fleet->engine, i) == ENGINE_UNDER_WAY)
			engine_told(fleet->engine, i, end, "test");
}

static void test_waves_grow_and_wait_for_their_end(void **state)
{
	struct engine_policy policy = policy_open();
	struct fleet *fleet = fleet_new(&policy, 20, 0);

	assert_int_equal(step(fleet), 1);
	assert_int_equal(fleet->hosts[0], 0);
	assert_int_equal(step(fleet), 0);
	end_all(fleet, ENGINE_END_SUCCEEDED);
	assert_int_equal(step(fleet), 2);
	engine_told(fleet->engine, 1, ENGINE_END_SUCCEEDED, "");
	assert_int_equal(step(fleet), 0); /* host 2 has no end yet */
	engine_told(fleet->engine, 2, ENGINE_END_SUCCEEDED, "");
	assert_int_equal(step(fleet), 4);
	end_all(fleet, ENGINE_END_SUCCEEDED);
	assert_int_equal(step(fleet), 8);
	end_all(fleet, ENGINE_END_SUCCEEDED);
	assert_int_equal(step(fleet), 5);
	assert_int_equal(look(fleet).wave, 5);
	end_all(fleet, ENGINE_END_SUCCEEDED);
	assert_int_equal(step(fleet), 0);
	assert_int_equal(look(fleet).state, ENGINE_STATE(FINISHED));
	assert_true(engine_is_over(fleet->engine));
	fleet_free(fleet);
}

static void test_the_caps(void **state)
{
	struct engine_policy policy = policy_open();
	struct fleet *fleet;

	policy.canary = 100;
	policy.max_parallel = 7;
	fleet = fleet_new(&policy, 100, 0);
	assert_int_equal(step(fleet), 7);
	engine_told(fleet->engine, 3, ENGINE_END_SUCCEEDED, "");
	assert_int_equal(step(fleet), 1);
	fleet_free(fleet);

	policy.max_parallel = 1000;
	policy.max_parallel_percent = 10;
	fleet = fleet_new(&policy, 199, 0);
	assert_int_equal(step(fleet), 19);
	fleet_free(fleet);
	fleet = fleet_new(&policy, 5, 0);
	assert_int_equal(step(fleet), 1); /* never none */
	fleet_free(fleet);

	policy.max_parallel_percent = 100;
	policy.max_per_target = 2;
	fleet = fleet_new(&policy, 100, 3);
	assert_int_equal(step(fleet), 6);
	engine_told(fleet->engine, 1, ENGINE_END_SUCCEEDED, "");
	assert_int_equal(step(fleet), 1);
	assert_int_equal(fleet->hosts[0], 7); /* the next one of target 1 */
	fleet_free(fleet);
}

static void test_a_host_that_is_away_is_passed_over(void **state)
{
	struct engine_policy policy = policy_open();
	struct fleet *fleet = fleet_new(&policy, 3, 0);

	fleet->connected[0] = false;
	assert_int_equal(step(fleet), 1);
	assert_int_equal(fleet->hosts[0], 1);
	end_all(fleet, ENGINE_END_SUCCEEDED);
	assert_int_equal(step(fleet), 1);
	end_all(fleet, ENGINE_END_SUCCEEDED);
	assert_int_equal(step(fleet), 0);
	assert_int_equal(look(fleet).state, ENGINE_STATE(RUNNING));
	fleet->connected[0] = true;
	assert_int_equal(step(fleet), 1);
	assert_int_equal(fleet->hosts[0], 0);
	fleet_free(fleet);
}

static void test_the_budget_is_exact(void **state)
{
	struct engine_policy policy = policy_open();
	struct fleet *fleet;

	policy.canary = 10;
	policy.error_budget = 2;
	fleet = fleet_new(&policy, 40, 0);
	assert_int_equal(step(fleet), 10);
	engine_told(fleet->engine, 0, ENGINE_END_FAILED, "FAILED on h0");
	engine_told(fleet->engine, 1, ENGINE_END_FAILED, "FAILED on h1");
	assert_int_equal(look(fleet).state, ENGINE_STATE(RUNNING));
	engine_told(fleet->engine, 2, ENGINE_END_CANCELLED, "");
	assert_int_equal(look(fleet).state, ENGINE_STATE(RUNNING));
	engine_told(fleet->engine, 3, ENGINE_END_FAILED, "WORSE on h3");
	assert_int_equal(look(fleet).state, ENGINE_STATE(STOPPED));
	assert_non_null(strstr(look(fleet).reason, "WORSE on h3"));
	end_all(fleet, ENGINE_END_SUCCEEDED);
	assert_int_equal(step(fleet), 0);
	/* Resumed: the budget counts anew. */
	assert_int_equal(engine_control(fleet->engine, 2, "joe"), 0);
	assert_int_equal(step(fleet), 20);
	engine_told(fleet->engine, 10, ENGINE_END_FAILED, "");
	engine_told(fleet->engine, 11, ENGINE_END_FAILED, "");
	assert_int_equal(look(fleet).state, ENGINE_STATE(RUNNING));
	engine_told(fleet->engine, 12, ENGINE_END_FAILED, "");
	assert_int_equal(look(fleet).state, ENGINE_STATE(STOPPED));
	fleet_free(fleet);
}

/* A failure that becomes known while a mark is on its way to the disk keeps the host back. */
static void test_a_mark_that_is_overtaken(void **state)
{
	struct engine_policy policy = policy_open();
	struct engine_now now = { .ns = S, .is_ready = is_ready, .heard_ns = heard_ns };
	struct fleet *fleet;

	policy.canary = 2;
	policy.max_parallel = 2;
	fleet = fleet_new(&policy, 10, 0);
	now.data = fleet;
	assert_int_equal(step(fleet), 2);
	engine_told(fleet->engine, 0, ENGINE_END_SUCCEEDED, "");
	engine_told(fleet->engine, 1, ENGINE_END_SUCCEEDED, "");
	engine_step(fleet->engine, &now, &fleet->orders);
	assert_int_equal(fleet->orders.n_hosts, 2);
	assert_true(engine_marked(fleet->engine, 2, S));
	engine_told(fleet->engine, 2, ENGINE_END_FAILED, "");
	assert_false(engine_marked(fleet->engine, 3, S));
	assert_int_equal(engine_host(fleet->engine, 3), ENGINE_WAITING);
	assert_int_equal(look(fleet).wave_used, 1);
	fleet_free(fleet);
}

static void test_jitter(void **state)
{
	struct engine_policy policy = policy_open();
	struct fleet *fleet;
	size_t n = 0, steps = 0;

	policy.canary = 50;
	policy.jitter_ns = S;
	fleet = fleet_new(&policy, 50, 0);
	n += step(fleet);
	assert_true(n < 50);
	assert_int_equal(look(fleet).n_active, 50); /* planned ones count for the caps */
	while (n < 50 && ++steps < 200) {
		uint64_t due = engine_due_ns(fleet->engine);

		assert_true(due >= fleet->now && due <= 2 * S);
		fleet->now = due;
		n += step(fleet);
	}
	assert_int_equal(n, 50);
	assert_true(steps > 20);
	assert_true(engine_due_ns(fleet->engine) == UINT64_MAX);
	fleet_free(fleet);

	/* Stopping takes the planned ones back. */
	fleet = fleet_new(&policy, 50, 0);
	n = step(fleet);
	assert_int_equal(engine_control(fleet->engine, 1, "joe"), 0);
	assert_int_equal(look(fleet).n_active, n);
	fleet->now += 10 * S;
	assert_int_equal(step(fleet), 0);
	fleet_free(fleet);
}

static void test_silence(void **state)
{
	struct engine_policy policy = policy_open();
	struct fleet *fleet;

	policy.canary = 3;
	policy.error_budget = 1;
	fleet = fleet_new(&policy, 10, 0);
	assert_int_equal(step(fleet), 3);
	fleet->now += 50 * S;
	fleet->heard[1] = fleet->now; /* alive */
	fleet->now += 11 * S;
	step(fleet);
	assert_int_equal(fleet->orders.n_lost, 2);
	assert_int_equal(look(fleet).state, ENGINE_STATE(STOPPED));
	assert_int_equal(engine_host(fleet->engine, 0), ENGINE_FAILED);
	assert_int_equal(engine_host(fleet->engine, 1), ENGINE_UNDER_WAY);
	/* What it tells later is shown, and does not count a second time. */
	engine_told(fleet->engine, 0, ENGINE_END_SUCCEEDED, "");
	assert_int_equal(engine_host(fleet->engine, 0), ENGINE_SUCCEEDED);
	assert_int_equal(look(fleet).failures, 2);
	/* A host that beats and never ends is given up too. */
	fleet->now = S + 601 * S;
	fleet->heard[1] = fleet->now;
	step(fleet);
	assert_int_equal(fleet->orders.n_lost, 1);
	fleet_free(fleet);
}

static void test_storm_expiry_and_window(void **state)
{
	struct engine_policy policy = policy_open();
	struct fleet *fleet = fleet_new(&policy, 10, 0);

	fleet->storm = 1000;
	assert_int_equal(step(fleet), 1);
	end_all(fleet, ENGINE_END_SUCCEEDED);
	fleet->storm = 1001;
	assert_int_equal(step(fleet), 0);
	assert_int_equal(look(fleet).state, ENGINE_STATE(STOPPED));
	fleet->storm = 0;
	assert_int_equal(engine_control(fleet->engine, 2, "joe"), 0);
	assert_int_equal(step(fleet), 2);
	fleet->unix_ns = EXPIRES;
	assert_int_equal(step(fleet), 0);
	assert_int_equal(look(fleet).state, ENGINE_STATE(EXPIRED));
	assert_int_equal(look(fleet).n_waiting, 0);
	assert_int_equal(engine_host(fleet->engine, 9), ENGINE_FAILED);
	assert_false(engine_is_over(fleet->engine)); /* two are under way */
	end_all(fleet, ENGINE_END_SUCCEEDED);
	assert_true(engine_is_over(fleet->engine));
	assert_int_equal(engine_control(fleet->engine, 2, "joe"), ENGINE_E_STATE);
	fleet_free(fleet);

	policy.not_before_unix_ns = 5 * S;
	fleet = fleet_new(&policy, 10, 0);
	assert_int_equal(step(fleet), 0);
	fleet->unix_ns = 5 * S;
	assert_int_equal(step(fleet), 1);
	fleet_free(fleet);
}

static void test_control(void **state)
{
	struct engine_policy policy = policy_open();
	struct fleet *fleet;

	policy.canary = 4;
	policy.error_budget = 1;
	fleet = fleet_new(&policy, 10, 0);
	assert_int_equal(engine_control(fleet->engine, 2, "joe"), ENGINE_E_STATE);
	assert_int_equal(step(fleet), 4);
	engine_told(fleet->engine, 0, ENGINE_END_FAILED, "");
	assert_int_equal(engine_control(fleet->engine, 1, "joe"), 0);
	assert_int_equal(engine_control(fleet->engine, 1, "joe"), ENGINE_E_STATE);
	end_all(fleet, ENGINE_END_SUCCEEDED);
	assert_int_equal(step(fleet), 0);
	assert_int_equal(engine_control(fleet->engine, 2, "joe"), 0);
	assert_int_equal(look(fleet).forgiven, 0); /* paused, not stopped: nothing is forgiven */
	assert_int_equal(step(fleet), 6);
	assert_int_equal(engine_control(fleet->engine, 3, "joe"), 0);
	assert_int_equal(look(fleet).state, ENGINE_STATE(HALTED));
	assert_int_equal(engine_control(fleet->engine, 2, "joe"), ENGINE_E_STATE);
	assert_int_equal(engine_control(fleet->engine, 7, "joe"), ENGINE_E_STATE);
	fleet_free(fleet);

	fleet = fleet_new(&policy, 10, 0);
	assert_int_equal(step(fleet), 4);
	assert_int_equal(engine_control(fleet->engine, 3, "joe"), 0);
	assert_int_equal(look(fleet).n_cancelled, 6);
	assert_non_null(strstr(look(fleet).reason, "joe"));
	fleet_free(fleet);
}

static void test_withdrawn(void **state)
{
	struct engine_policy policy = policy_open();
	struct fleet *fleet;

	policy.canary = 2;
	policy.jitter_ns = 100 * S;
	fleet = fleet_new(&policy, 3, 0);
	step(fleet);
	assert_int_equal(engine_host(fleet->engine, 0), ENGINE_PLANNED);
	assert_true(engine_withdraw(fleet->engine, 0));
	engine_told(fleet->engine, 0, ENGINE_END_CANCELLED, "");
	assert_int_equal(look(fleet).n_cancelled, 1);
	fleet->now += 200 * S;
	step(fleet);
	fleet->now += 200 * S;
	step(fleet);
	assert_int_equal(fleet->dispatched[0], 0);
	assert_false(engine_withdraw(fleet->engine, 1));
	fleet_free(fleet);
}

static void test_policy_defaults(void **state)
{
	Pathbell__V1__CommandCampaign from = PATHBELL__V1__COMMAND_CAMPAIGN__INIT;
	struct engine_policy policy;

	engine_policy_from(&from, &policy);
	assert_int_equal(policy.canary, 1);
	assert_int_equal(policy.growth, 2);
	assert_int_equal(policy.max_parallel, 50);
	assert_int_equal(policy.max_parallel_percent, 10);
	assert_int_equal(policy.max_per_target, 5);
	assert_int_equal(policy.error_budget, 0);
	assert_int_equal(policy.storm_events, 1000);
	from.error_budget = 3;
	from.jitter_ms = 20;
	from.growth = 1;
	engine_policy_from(&from, &policy);
	assert_int_equal(policy.error_budget, 3);
	assert_int_equal(policy.jitter_ns, 20 * MS);
	assert_int_equal(policy.growth, 1);
}

static void test_storm_window(void **state)
{
	struct storm storm = { 0 };

	storm_add(&storm, 100 * S, 5);
	storm_add(&storm, 104 * S, 7);
	assert_int_equal(storm_count(&storm, 104 * S), 12);
	assert_int_equal(storm_count(&storm, 109 * S), 12);
	assert_int_equal(storm_count(&storm, 110 * S), 7);
	assert_int_equal(storm_count(&storm, 114 * S), 0);
	storm_add(&storm, 500 * S, 1);
	assert_int_equal(storm_count(&storm, 500 * S), 1);
	assert_int_equal(storm_count(&storm, 499 * S), 1); /* a clock that steps back */
}

/* ---- the simulation ---- */

struct sim {
	struct fleet *fleet;
	unsigned seed;
	uint64_t ends_at[MAX]; /* of hosts under way */
	uint64_t failures;     /* told or lost since the last resume */
	bool marking[MAX];
	size_t marks[MAX], n_marks;
	uint64_t resumes;
};

static unsigned sim_random(struct sim *sim, unsigned n)
{
	return (unsigned)rand_r(&sim->seed) % n;
}

static void sim_check_caps(struct sim *sim)
{
	struct fleet *fleet = sim->fleet;
	static unsigned on_target[MAX];
	size_t active = 0;

	memset(on_target, 0, sizeof(on_target));
	for (size_t i = 0; i < fleet->n; i++) {
		enum engine_host_state state = engine_host(fleet->engine, i);

		assert_true(fleet->dispatched[i] <= 1);
		assert_true(fleet->dispatched[i] == 1 || state != ENGINE_UNDER_WAY);
		if (state < ENGINE_PLANNED || state > ENGINE_UNDER_WAY)
			continue;
		active++;
		if (fleet->targets[i] != ENGINE_NO_TARGET)
			assert_true(++on_target[fleet->targets[i]] <= fleet->policy.max_per_target);
	}
	assert_int_equal(active, look(fleet).n_active);
	assert_true(active <= look(fleet).parallel);
	assert_true(look(fleet).wave_used <= look(fleet).wave_size);
	assert_true(sim->failures <= fleet->policy.error_budget ||
		    look(fleet).state != ENGINE_STATE(RUNNING));
}

/* Nobody who could have gone first was passed over: with a wave that has room, no host before the
 * newest order is waiting, connected and below its target's cap. */
static void sim_check_order(struct sim *sim)
{
	struct fleet *fleet = sim->fleet;
	size_t newest = 0;

	if (fleet->policy.jitter_ns != 0 || fleet->orders.n_hosts == 0)
		return;
	for (size_t i = 0; i < fleet->orders.n_hosts; i++)
		newest = fleet->hosts[i] > newest ? fleet->hosts[i] : newest;
	for (size_t i = 0; i < newest; i++) {
		unsigned on = 0;

		if (engine_host(fleet->engine, i) != ENGINE_WAITING || !fleet->connected[i])
			continue;
		for (size_t j = 0; j < fleet->n; j++)
			on += fleet->targets[j] == fleet->targets[i] &&
			      engine_host(fleet->engine, j) >= ENGINE_PLANNED &&
			      engine_host(fleet->engine, j) <= ENGINE_UNDER_WAY;
		assert_true(on >= fleet->policy.max_per_target);
	}
}

static void sim_mark(struct sim *sim)
{
	struct fleet *fleet = sim->fleet;

	while (sim->n_marks > 0) {
		size_t host = sim->marks[--sim->n_marks];
		bool running = look(fleet).state == ENGINE_STATE(RUNNING);

		if (sim_random(sim, 50) == 0) {
			engine_unmarked(fleet->engine, host);
			continue;
		}
		assert_int_equal(engine_marked(fleet->engine, host, fleet->now), running);
		if (!running)
			continue;
		fleet->dispatched[host]++;
		sim->ends_at[host] = sim_random(sim, 30) == 0
					     ? UINT64_MAX /* vanishes */
					     : fleet->now + sim_random(sim, 20) * S;
		fleet->heard[host] = fleet->now;
	}
}

static void sim_tell(struct sim *sim)
{
	struct fleet *fleet = sim->fleet;

	for (size_t i = 0; i < fleet->n; i++) {
		bool fails;

		if (engine_host(fleet->engine, i) != ENGINE_UNDER_WAY ||
		    sim->ends_at[i] > fleet->now)
			continue;
		fails = sim_random(sim, 100) == 0;
		engine_told(fleet->engine, i, fails ? ENGINE_END_FAILED : ENGINE_END_SUCCEEDED,
			    "sim");
		sim->failures += fails;
		if (sim->failures == fleet->policy.error_budget + 1u && fails)
			assert_int_not_equal(look(fleet).state, ENGINE_STATE(RUNNING));
	}
}

static void sim_step(struct sim *sim)
{
	struct fleet *fleet = sim->fleet;
	const struct engine_now now = { fleet->now, fleet->unix_ns, fleet->storm,
					fleet,	    is_ready,	    heard_ns };

	for (size_t i = 0; i < 5; i++)
		fleet->connected[sim_random(sim, (unsigned)fleet->n)] = sim_random(sim, 10) != 0;
	fleet->storm = sim_random(sim, 200) == 0 ? 5000 : 0;
	engine_step(fleet->engine, &now, &fleet->orders);
	sim->failures += fleet->orders.n_lost;
	for (size_t i = 0; i < fleet->orders.n_hosts; i++)
		sim->marks[sim->n_marks++] = fleet->hosts[i];
	sim_check_order(sim);
	sim_check_caps(sim);
	if (sim_random(sim, 2) == 0) /* else the disk is slow */
		sim_mark(sim);
	sim_tell(sim);
	sim_check_caps(sim);
	fleet->now += S;
}

/* The process dies: what was marked is under way, the rest waits. */
static void sim_restart(struct sim *sim)
{
	struct fleet *fleet = sim->fleet;
	struct engine_view view = look(fleet);
	char reason[256];
	struct engine *next = engine_new(&fleet->policy, fleet->targets, fleet->n, 16, sim->seed);

	assert_non_null(next);
	snprintf(reason, sizeof(reason), "%s", view.reason);
	view.reason = reason;
	for (size_t i = 0; i < fleet->n; i++) {
		enum engine_host_state state = engine_host(fleet->engine, i);

		if (state == ENGINE_MARKING)
			view.wave_used--;
		if (state >= ENGINE_UNDER_WAY)
			engine_restore_host(next, i, state, fleet->now);
	}
	engine_restore(next, &view);
	engine_free(fleet->engine);
	fleet->engine = next;
	sim->n_marks = 0;
}

static void simulate(unsigned seed, size_t n)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	struct engine_policy policy = policy_open();
	unsigned steps = 0;

	assert_non_null(sim);
	sim->seed = seed;
	policy.canary = 1 + sim_random(sim, 20);
	policy.growth = 1 + sim_random(sim, 4);
	policy.max_parallel = 1 + sim_random(sim, 200);
	policy.max_parallel_percent = 1 + sim_random(sim, 100);
	policy.max_per_target = 1 + sim_random(sim, 20);
	policy.error_budget = sim_random(sim, 12);
	policy.jitter_ns = sim_random(sim, 2) ? 0 : sim_random(sim, 10) * S;
	sim->fleet = fleet_new(&policy, n, 16);
	while (!engine_is_over(sim->fleet->engine) && ++steps < 20000) {
		struct engine_view view;

		sim_step(sim);
		view = look(sim->fleet);
		if (view.state == ENGINE_STATE(STOPPED) && sim_random(sim, 10) == 0) {
			assert_int_equal(engine_control(sim->fleet->engine, 2, "sim"), 0);
			sim->failures = 0;
			sim->resumes++;
		}
		if (sim_random(sim, 100) == 0)
			sim_restart(sim);
	}
	assert_true(steps < 20000);
	assert_int_equal(look(sim->fleet).state, ENGINE_STATE(FINISHED));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(sim->fleet->dispatched[i], 1);
	fleet_free(sim->fleet);
	free(sim);
}

static void test_simulated_fleets(void **state)
{
	for (unsigned seed = 1; seed <= 40; seed++)
		simulate(seed, 50 + seed * 7 % 200);
	simulate(1000, 2000);
	simulate(1001, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waves_grow_and_wait_for_their_end),
		cmocka_unit_test(test_the_caps),
		cmocka_unit_test(test_a_host_that_is_away_is_passed_over),
		cmocka_unit_test(test_the_budget_is_exact),
		cmocka_unit_test(test_a_mark_that_is_overtaken),
		cmocka_unit_test(test_jitter),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_storm_expiry_and_window),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_withdrawn),
		cmocka_unit_test(test_policy_defaults),
		cmocka_unit_test(test_storm_window),
		cmocka_unit_test(test_simulated_fleets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
