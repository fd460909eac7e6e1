/* SPDX-License-Identifier: Apache-2.0 */
/* Two sources, one event: every order and delay, on a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "collectors/block/merge.h"

#define CLASS(x) PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_##x
#define T0	 UINT64_C(1000000000000)
#define MS	 UINT64_C(1000000)

static struct merge merge;
static unsigned n_wakes[MERGE_N_SOURCES];
static unsigned n_events, n_both;

static void wake_trace(void *data)
{
	n_wakes[MERGE_TRACE]++;
}

static void wake_pipe(void *data)
{
	n_wakes[MERGE_PIPE]++;
}

/* Repeatable: a failure comes again with its seed. */
static uint64_t random_state;

static unsigned pick(unsigned n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % n;
}

static int set_up(void **state)
{
	merge_init(&merge);
	merge_up(&merge, MERGE_TRACE, wake_trace, NULL);
	merge_up(&merge, MERGE_PIPE, wake_pipe, NULL);
	n_wakes[0] = n_wakes[1] = n_events = n_both = 0;
	return 0;
}

static struct merge_report report(uint64_t sector)
{
	return (struct merge_report){ .record = { .major = 8, .sector = sector },
				      .error_class = CLASS(CRITICAL_MEDIUM) };
}

static enum merge_verdict offer(enum merge_source source, uint64_t sector, uint64_t now_ns)
{
	struct merge_report r = report(sector);
	enum merge_verdict verdict = merge_offer(&merge, source, &r, now_ns);

	n_events += verdict == MERGE_PUBLISH || verdict == MERGE_PUBLISH_BOTH;
	n_both += verdict == MERGE_PUBLISH_BOTH;
	return verdict;
}

/* What a collector does when its bell rings. */
static void publish(enum merge_source source, uint64_t now_ns)
{
	const struct merge_item *item;

	while ((item = merge_next(&merge, source, now_ns)) != NULL) {
		n_events++;
		n_both += item->state == MERGE_CONFIRMED;
		merge_published(&merge, item, now_ns);
	}
}

static void trace_first(void **state)
{
	assert_int_equal(offer(MERGE_TRACE, 8, T0), MERGE_WAIT);
	assert_int_equal(merge_deadline(&merge, MERGE_TRACE), T0 + MERGE_HOLD_NS);
	assert_null(merge_next(&merge, MERGE_TRACE, T0 + MERGE_HOLD_NS - 1));
	assert_int_equal(offer(MERGE_PIPE, 8, T0 + MS), MERGE_DROP);
	assert_int_equal(n_wakes[MERGE_TRACE], 1);
	assert_int_equal(merge_deadline(&merge, MERGE_TRACE), 0);
	publish(MERGE_TRACE, T0 + MS);
	assert_int_equal(n_events, 1);
	assert_int_equal(n_both, 1);
	assert_int_equal(merge.n_items, 0);
	assert_int_equal(merge_deadline(&merge, MERGE_TRACE), UINT64_MAX);
}

static void pipe_first(void **state)
{
	assert_int_equal(offer(MERGE_PIPE, 8, T0), MERGE_WAIT);
	assert_int_equal(offer(MERGE_TRACE, 8, T0 + MS), MERGE_PUBLISH_BOTH);
	publish(MERGE_PIPE, T0 + MERGE_HOLD_NS);
	assert_int_equal(n_events, 1);
	assert_int_equal(merge.n_items, 0);
}

/* Whoever comes too late is told already; after the memory, or once more, it is a new fault. */
static void late_twin(void **state)
{
	for (int first = 0; first < MERGE_N_SOURCES; first++) {
		enum merge_source a = (enum merge_source)first, b = (enum merge_source)(1 - first);

		set_up(NULL);
		assert_int_equal(offer(a, 8, T0), MERGE_WAIT);
		publish(a, T0 + MERGE_HOLD_NS);
		assert_int_equal(n_events, 1);
		assert_int_equal(n_both, 0);
		assert_int_equal(merge_deadline(&merge, a), UINT64_MAX);
		assert_int_equal(offer(b, 8, T0 + MERGE_HOLD_NS + MERGE_MEMORY_NS - 1), MERGE_DROP);
		assert_int_equal(merge.late, 1);
		assert_int_equal(offer(b, 8, T0 + MERGE_HOLD_NS + MERGE_MEMORY_NS - 1), MERGE_WAIT);

		set_up(NULL);
		assert_int_equal(offer(a, 8, T0), MERGE_WAIT);
		publish(a, T0 + MERGE_HOLD_NS);
		assert_int_equal(offer(b, 8, T0 + MERGE_HOLD_NS + MERGE_MEMORY_NS), MERGE_WAIT);
	}
}

static void only_the_same_fault_pairs(void **state)
{
	struct merge_report other;

	assert_int_equal(offer(MERGE_TRACE, 8, T0), MERGE_WAIT);
	assert_int_equal(offer(MERGE_PIPE, 16, T0), MERGE_WAIT);
	other = report(8);
	other.record.minor = 1;
	assert_int_equal(merge_offer(&merge, MERGE_PIPE, &other, T0), MERGE_WAIT);
	other = report(8);
	other.error_class = CLASS(IO);
	assert_int_equal(merge_offer(&merge, MERGE_PIPE, &other, T0), MERGE_WAIT);
	other = report(8);
	other.record.major = 65;
	assert_int_equal(merge_offer(&merge, MERGE_PIPE, &other, T0), MERGE_WAIT);
	assert_int_equal(merge.paired, 0);
	assert_int_equal(offer(MERGE_PIPE, 8, T0), MERGE_DROP);
}

static void alone_nothing_waits(void **state)
{
	assert_int_equal(merge_down(&merge, MERGE_PIPE), 0);
	assert_int_equal(offer(MERGE_TRACE, 8, T0), MERGE_PUBLISH);
	assert_int_equal(merge.n_items, 0);
	merge_up(&merge, MERGE_PIPE, wake_pipe, NULL);
	assert_int_equal(merge_down(&merge, MERGE_TRACE), 0);
	assert_int_equal(offer(MERGE_PIPE, 8, T0), MERGE_PUBLISH);
}

/* What waits for a source that goes is released; what that source still had is counted. */
static void a_source_goes(void **state)
{
	assert_int_equal(offer(MERGE_TRACE, 8, T0), MERGE_WAIT);
	assert_int_equal(offer(MERGE_PIPE, 16, T0), MERGE_WAIT);
	assert_int_equal(merge_down(&merge, MERGE_PIPE), 1);
	assert_int_equal(n_wakes[MERGE_TRACE], 1);
	assert_int_equal(merge_deadline(&merge, MERGE_TRACE), 0);
	publish(MERGE_TRACE, T0);
	assert_int_equal(n_events, 1);
	assert_int_equal(merge.n_items, 0);
}

static void classes_that_the_pipe_lacks_do_not_wait(void **state)
{
	struct merge_report r = report(8);

	r.error_class = CLASS(OFFLINE);
	assert_int_equal(merge_offer(&merge, MERGE_TRACE, &r, T0), MERGE_PUBLISH);
	r.error_class = CLASS(UNSPECIFIED);
	assert_int_equal(merge_offer(&merge, MERGE_TRACE, &r, T0), MERGE_PUBLISH);
	assert_int_equal(merge.n_items, 0);
}

/* A full table publishes at once instead of losing; memories make room for what is new. */
static void bounded(void **state)
{
	for (uint64_t i = 0; i < MERGE_MAX_ITEMS; i++)
		assert_int_equal(offer(MERGE_TRACE, i, T0), MERGE_WAIT);
	assert_int_equal(offer(MERGE_TRACE, 5000, T0), MERGE_PUBLISH);
	assert_int_equal(offer(MERGE_PIPE, 5001, T0), MERGE_PUBLISH);
	assert_int_equal(merge.overflow, 2);
	publish(MERGE_TRACE, T0 + MERGE_HOLD_NS);
	assert_int_equal(merge.n_items, MERGE_MAX_ITEMS);
	assert_int_equal(offer(MERGE_TRACE, 5002, T0 + MERGE_HOLD_NS), MERGE_WAIT);
	/* The oldest memory went. */
	assert_int_equal(offer(MERGE_PIPE, 1, T0 + MERGE_HOLD_NS), MERGE_DROP);
	assert_int_equal(offer(MERGE_PIPE, 0, T0 + MERGE_HOLD_NS), MERGE_WAIT);
}

#define N_SECTORS 4
#define N_REPEATS 10

/* One more report, if that source has not told its ten faults on that sector. */
static bool tell(unsigned told[MERGE_N_SOURCES][N_SECTORS], uint64_t now_ns)
{
	unsigned source = pick(2), sector = pick(N_SECTORS);

	if (told[source][sector] == N_REPEATS)
		return false;
	told[source][sector]++;
	offer((enum merge_source)source, sector, now_ns);
	return true;
}

/* Any interleaving of repeated faults on few sectors, each told by both: one event for each. */
static void every_interleaving(void **state)
{
	for (unsigned seed = 1; seed <= 500; seed++) {
		unsigned told[MERGE_N_SOURCES][N_SECTORS] = { 0 };
		unsigned n_left = MERGE_N_SOURCES * N_SECTORS * N_REPEATS;
		uint64_t now_ns = T0;

		set_up(NULL);
		random_state = seed;
		while (n_left > 0) {
			now_ns += (uint64_t)pick(1000) * 1000;
			n_left -= tell(told, now_ns);
			publish(MERGE_TRACE, now_ns);
			publish(MERGE_PIPE, now_ns);
		}
		publish(MERGE_TRACE, now_ns + MERGE_HOLD_NS);
		publish(MERGE_PIPE, now_ns + MERGE_HOLD_NS);
		assert_int_equal(n_events, N_SECTORS * N_REPEATS);
	}
}

/* One source loses some: still one event for each fault. */
static void losses_do_not_double(void **state)
{
	for (unsigned seed = 1; seed <= 200; seed++) {
		uint64_t now_ns = T0;

		set_up(NULL);
		random_state = seed;
		for (unsigned fault = 0; fault < 100; fault++) {
			unsigned lost = pick(4), first = pick(2);

			now_ns += (uint64_t)(pick(200)) * MS;
			publish(MERGE_TRACE, now_ns);
			publish(MERGE_PIPE, now_ns);
			/* 0, 1: that source loses it; else both tell. */
			if (lost != first)
				offer((enum merge_source)first, fault, now_ns);
			if (lost != 1 - first)
				offer((enum merge_source)(1 - first), fault, now_ns + MS);
		}
		publish(MERGE_TRACE, now_ns + 2 * MERGE_HOLD_NS);
		publish(MERGE_PIPE, now_ns + 2 * MERGE_HOLD_NS);
		assert_int_equal(n_events, 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(trace_first, set_up),
		cmocka_unit_test_setup(pipe_first, set_up),
		cmocka_unit_test_setup(late_twin, set_up),
		cmocka_unit_test_setup(only_the_same_fault_pairs, set_up),
		cmocka_unit_test_setup(alone_nothing_waits, set_up),
		cmocka_unit_test_setup(a_source_goes, set_up),
		cmocka_unit_test_setup(classes_that_the_pipe_lacks_do_not_wait, set_up),
		cmocka_unit_test_setup(bounded, set_up),
		cmocka_unit_test_setup(every_interleaving, set_up),
		cmocka_unit_test_setup(losses_do_not_double, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
