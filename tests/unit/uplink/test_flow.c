/* SPDX-License-Identifier: Apache-2.0 */
#include "flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WINDOW 800

static void test_window(void **state)
{
	struct flow flow;

	(void)state;
	flow_open(&flow, WINDOW, UINT64_MAX, 100);
	assert_int_equal(flow.told_bytes, WINDOW);
	assert_int_equal(flow.told_records, 100);
	flow_take(&flow, 300, 350);
	assert_false(flow_grant(&flow)); /* nothing was acked */
	flow_acked(&flow, 50);
	assert_false(flow_grant(&flow)); /* not worth a frame */
	flow_acked(&flow, 250);
	assert_true(flow_grant(&flow));
	assert_int_equal(flow.told_bytes, WINDOW + 300);
	assert_false(flow_grant(&flow));
}

/* When all is used up every byte is told, or the agent would wait for ever. */
static void test_no_deadlock(void **state)
{
	struct flow flow;

	(void)state;
	flow_open(&flow, WINDOW, UINT64_MAX, 1000);
	flow_take(&flow, WINDOW, WINDOW);
	flow_acked(&flow, 1);
	assert_true(flow_grant(&flow));
	assert_int_equal(flow.told_bytes, WINDOW + 1);
}

/* The server counts whole messages: what is left of its credit is what counts. */
static void test_server_credit_is_translated(void **state)
{
	struct flow flow;

	(void)state;
	flow_open(&flow, WINDOW, 500, 10);
	assert_int_equal(flow.told_bytes, 500);
	flow_take(&flow, 400, 500);
	flow_acked(&flow, 400);
	assert_false(flow_grant(&flow)); /* never down, and nothing new: 400 + 0 left */
	assert_int_equal(flow.told_bytes, 500);
	flow_credit(&flow, 900, 10);
	assert_true(flow_grant(&flow));
	assert_int_equal(flow.told_bytes, 800); /* 400 sent, 400 left */
	flow_credit(&flow, 300, 5);		/* late or repeated: no harm */
	assert_false(flow_grant(&flow));
	assert_int_equal(flow.told_records, 10);
	flow_credit(&flow, 900, 11);
	assert_true(flow_grant(&flow));
	assert_int_equal(flow.told_records, 11);
}

static void test_no_overflow(void **state)
{
	struct flow flow;

	(void)state;
	flow_open(&flow, WINDOW, UINT64_MAX, UINT64_MAX);
	flow_take(&flow, 500, 500);
	flow_credit(&flow, UINT64_MAX, UINT64_MAX);
	flow_acked(&flow, 500);
	assert_true(flow_grant(&flow));
	assert_int_equal(flow.told_bytes, 500 + WINDOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_no_deadlock),
		cmocka_unit_test(test_server_credit_is_translated),
		cmocka_unit_test(test_no_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
