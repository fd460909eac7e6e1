/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/backoff.h"
#include "core/clock.h"

#define S CLOCK_NS_PER_S

static const struct backoff_options options = { .base_ns = S,
						.cap_ns = 60 * S,
						.healthy_ns = 600 * S };

static void test_delays_are_within_their_bounds(void **state)
{
	static const uint64_t ceilings[] = { 3, 9, 27, 60, 60, 60 };

	(void)state;
	for (uint64_t seed = 0; seed < 2000; seed++) {
		struct backoff backoff;

		backoff_init(&backoff, &options, seed);
		for (size_t i = 0; i < 6; i++) {
			uint64_t at = backoff_down(&backoff, 1000 * S);

			assert_in_range(at, 1001 * S, (1000 + ceilings[i]) * S);
		}
		assert_int_equal(backoff.attempts, 6);
		assert_int_equal(backoff.total, 6);
	}
}

/* At the cap, hosts still spread over the whole of it: each tenth gets its share. */
static void test_jitter_comes_after_the_cap(void **state)
{
	unsigned tenths[10] = { 0 };

	(void)state;
	for (uint64_t host = 0; host < 10000; host++) {
		struct backoff backoff;
		uint64_t at = 0;

		backoff_init(&backoff, &options, host);
		for (int i = 0; i < 20; i++)
			at = backoff_down(&backoff, 0);
		tenths[(at - S) * 10 / (59 * S + 1)]++;
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(tenths[i], 850, 1150);
}

static void test_first_attempt_after_work_uses_the_window(void **state)
{
	unsigned halves[2] = { 0 };

	(void)state;
	for (uint64_t seed = 0; seed < 1000; seed++) {
		struct backoff backoff;
		uint64_t at;

		backoff_init(&backoff, &options, seed);
		backoff_set_window(&backoff, 30 * S);
		backoff_down(&backoff, 0);
		backoff_up(&backoff, 10 * S);
		at = backoff_down(&backoff, 610 * S);
		assert_in_range(at, 610 * S, 640 * S);
		assert_int_equal(backoff.attempts, 0);
		assert_int_equal(backoff.total, 2);
		halves[at - 610 * S > 15 * S]++;
		/* The next failure starts at the bottom again. */
		assert_in_range(backoff_down(&backoff, 0), S, 3 * S);
	}
	assert_in_range(halves[0], 430, 570);
}

static void test_short_session_does_not_reset(void **state)
{
	struct backoff backoff;

	(void)state;
	backoff_init(&backoff, &options, 1);
	for (int i = 0; i < 10; i++) {
		backoff_up(&backoff, 100 * S);
		assert_true(backoff_down(&backoff, 100 * S + options.healthy_ns - 1) >=
			    101 * S + options.healthy_ns - 1);
	}
	assert_int_equal(backoff.attempts, 10);
	/* A clock that went back is no healthy session. */
	backoff_up(&backoff, 100 * S);
	backoff_down(&backoff, 1 * S);
	assert_int_equal(backoff.attempts, 11);
	/* Neither is a failed attempt long after a healthy one. */
	backoff_down(&backoff, 100000 * S);
	assert_int_equal(backoff.attempts, 12);
}

/* A session that was up shortly waits for the window too: its hosts fell together. */
static void test_short_session_keeps_the_window(void **state)
{
	uint64_t latest = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		struct backoff backoff;
		uint64_t at;

		backoff_init(&backoff, &options, seed);
		backoff_set_window(&backoff, 300 * S);
		backoff_up(&backoff, S);
		at = backoff_down(&backoff, 2 * S);
		assert_in_range(at, 3 * S, 302 * S);
		latest = at > latest ? at : latest;
	}
	assert_true(latest > 250 * S);
}

static void test_drain_slot_is_exact_and_used_once(void **state)
{
	struct backoff backoff;

	(void)state;
	backoff_init(&backoff, &options, 1);
	backoff_down(&backoff, 0);
	backoff_up(&backoff, 5 * S);
	assert_int_equal(backoff_drained(&backoff, 10 * S, 7 * S), 17 * S);
	assert_int_equal(backoff.attempts, 1); /* it was not healthy */
	assert_in_range(backoff_down(&backoff, 17 * S), 18 * S, 26 * S);
	backoff_up(&backoff, 20 * S);
	assert_int_equal(backoff_drained(&backoff, 620 * S, 0), 620 * S);
	assert_int_equal(backoff.attempts, 0);
}

static void test_server_cannot_silence_a_host(void **state)
{
	struct backoff backoff;

	(void)state;
	backoff_init(&backoff, &options, 1);
	backoff_set_window(&backoff, UINT64_MAX);
	backoff_up(&backoff, S);
	assert_in_range(backoff_down(&backoff, 700 * S), 700 * S, 700 * S + BACKOFF_SERVER_MAX_NS);
	assert_int_equal(backoff_drained(&backoff, S, UINT64_MAX), S + BACKOFF_SERVER_MAX_NS);
}

static void test_extreme_values(void **state)
{
	const struct backoff_options wide = { 1, UINT64_MAX, UINT64_MAX };
	const struct backoff_options flat = { S, S, 0 };
	struct backoff backoff;

	(void)state;
	backoff_init(&backoff, &wide, UINT64_MAX);
	for (int i = 0; i < 200; i++)
		assert_true(backoff_down(&backoff, UINT64_MAX - 5) >= UINT64_MAX - 5);
	backoff_init(&backoff, &flat, 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(backoff_down(&backoff, 0), S);
	backoff_up(&backoff, 0); /* a session that began at time 0 is a session */
	assert_in_range(backoff_down(&backoff, 1), 1, 1 + S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delays_are_within_their_bounds),
		cmocka_unit_test(test_jitter_comes_after_the_cap),
		cmocka_unit_test(test_first_attempt_after_work_uses_the_window),
		cmocka_unit_test(test_short_session_does_not_reset),
		cmocka_unit_test(test_short_session_keeps_the_window),
		cmocka_unit_test(test_drain_slot_is_exact_and_used_once),
		cmocka_unit_test(test_server_cannot_silence_a_host),
		cmocka_unit_test(test_extreme_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
