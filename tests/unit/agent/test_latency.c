/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those four first */
#include <cmocka.h>

static const uint8_t epoch_a[LATENCY_ID_SIZE] = "a", epoch_b[LATENCY_ID_SIZE] = "b";

static void test_one_sample_until_its_ack(void **state)
{
	struct latency latency = { 0 };

	assert_true(latency_is_idle(&latency));
	latency_begin(&latency, epoch_a, 7, 1000);
	latency_acked(&latency, epoch_a, 6, 2000);
	assert_int_equal(latency.samples, 0);
	assert_false(latency_is_idle(&latency));
	latency_acked(&latency, epoch_a, 9, 1000 + 700000);
	assert_int_equal(latency.samples, 1);
	assert_int_equal(latency.sum_ns, 700000);
	assert_int_equal(latency.counts[1], 1); /* above 500 us, at most 1 ms */
	assert_true(latency_is_idle(&latency));
}

static void test_edges_belong_below(void **state)
{
	for (size_t i = 0; i < LATENCY_N_EDGES; i++) {
		struct latency latency = { 0 };

		latency_begin(&latency, epoch_a, 1, 5);
		latency_acked(&latency, epoch_a, 1, 5 + latency_edges[i]);
		assert_int_equal(latency.counts[i], 1);
		latency_begin(&latency, epoch_a, 2, 5);
		latency_acked(&latency, epoch_a, 2, 6 + latency_edges[i]);
		assert_int_equal(latency.counts[i + 1], 1);
	}
}

static void test_another_epoch_ends_the_watch(void **state)
{
	struct latency latency = { 0 };

	latency_begin(&latency, epoch_a, 7, 1000);
	latency_acked(&latency, epoch_b, 100, 2000);
	assert_int_equal(latency.samples, 0);
	assert_true(latency_is_idle(&latency));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_sample_until_its_ack),
		cmocka_unit_test(test_edges_belong_below),
		cmocka_unit_test(test_another_epoch_ends_the_watch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
