/* SPDX-License-Identifier: Apache-2.0 */
/* Order of events by their number; flap damping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "collectors/multipath/damp.h"
#include "collectors/multipath/order.h"

static struct order order;

static int push(uint64_t seqnum)
{
	struct order_event event = { .seqnum = seqnum };

	return order_push(&order, &event);
}

static uint64_t pop(void)
{
	struct order_event event;

	return order_pop(&order, &event) == 0 ? event.seqnum : 0;
}

static void test_in_turn(void **state)
{
	order = (struct order){ .next = 1 };
	for (uint64_t i = 1; i < 100; i++) {
		assert_int_equal(push(i), 0);
		assert_int_equal(pop(), i);
		assert_int_equal(pop(), 0);
	}
	assert_int_equal(push(99), ORDER_E_OLD);
	assert_int_equal(order.duplicates, 1);
}

/* As recorded: 7 before 6. */
static void test_disorder(void **state)
{
	order = (struct order){ .next = 6 };
	assert_int_equal(push(7), 0);
	assert_int_equal(pop(), 0);
	assert_int_equal(push(7), ORDER_E_OLD);
	assert_int_equal(push(6), 0);
	assert_int_equal(pop(), 6);
	assert_int_equal(pop(), 7);
	assert_int_equal(order.n_held, 0);
}

/* Every permutation of a window's worth of steps comes out sorted. */
static void test_any_disorder(void **state)
{
	srand(1);
	for (int round = 0; round < 500; round++) {
		uint64_t seqs[ORDER_WINDOW], expected = 10;

		order = (struct order){ .next = 10 };
		for (unsigned i = 0; i < ORDER_WINDOW; i++)
			seqs[i] = 10 + i;
		for (unsigned i = ORDER_WINDOW - 1; i > 0; i--) {
			unsigned j = (unsigned)rand() % (i + 1);
			uint64_t seq = seqs[i];

			seqs[i] = seqs[j];
			seqs[j] = seq;
		}
		for (unsigned i = 0; i < ORDER_WINDOW; i++) {
			uint64_t seq;

			assert_int_equal(push(seqs[i]), 0);
			while ((seq = pop()) != 0)
				assert_int_equal(seq, expected++);
		}
		assert_int_equal(expected, 10 + ORDER_WINDOW);
	}
}

static void test_holes(void **state)
{
	order = (struct order){ .next = 3 };
	assert_int_equal(push(5), 0);
	assert_int_equal(push(9), 0);
	assert_int_equal(order_mark(&order), 9);
	assert_int_equal(order_expire(&order, 4), 0); /* 5 came later than the mark */
	assert_int_equal(pop(), 0);
	assert_int_equal(order_expire(&order, 9), 2);
	assert_int_equal(pop(), 5);
	assert_int_equal(pop(), 0);
	assert_int_equal(order_expire(&order, 9), 3);
	assert_int_equal(pop(), 9);
	assert_int_equal(order_mark(&order), 0);
}

/* The first number is whatever it is: nothing is missing before it. */
static void test_unknown_start(void **state)
{
	order = (struct order){ 0 };
	assert_int_equal(push(7), 0);
	assert_int_equal(push(6), 0);
	assert_int_equal(pop(), 0);
	assert_int_equal(order_expire(&order, 7), 0);
	assert_int_equal(pop(), 6);
	assert_int_equal(pop(), 7);
}

static void test_full(void **state)
{
	order = (struct order){ .next = 1 };
	for (uint64_t i = 0; i < ORDER_WINDOW; i++)
		assert_int_equal(push(100 + i), 0);
	assert_int_equal(push(1000), ORDER_E_FULL);
	assert_int_equal(order_expire(&order, UINT64_MAX), 99);
	for (uint64_t i = 0; i < ORDER_WINDOW; i++)
		assert_int_equal(pop(), 100 + i);
	assert_int_equal(push(1000), 0);
}

#define SECOND UINT64_C(1000000000)

static const struct damp_options options = { .limit = 3000, .half_life_ns = 60 * SECOND };

static void test_damping(void **state)
{
	struct damp damp = { 0 };
	uint64_t now = 1000 * SECOND, due;

	assert_int_equal(damp_penalty(&damp, &options, now), 0);
	assert_false(damp_fail(&damp, &options, now));
	assert_int_equal(damp_due(&damp, &options), UINT64_MAX);
	assert_int_equal(damp_penalty(&damp, &options, now + 60 * SECOND), 500);
	assert_int_equal(damp_penalty(&damp, &options, now + 120 * SECOND), 250);
	assert_int_equal(damp_penalty(&damp, &options, now + 90 * SECOND), 375);
	assert_false(damp_fail(&damp, &options, now));
	assert_true(damp_fail(&damp, &options, now));
	assert_false(damp_fail(&damp, &options, now)); /* once */
	assert_int_equal(damp.penalty, 4000);
	due = damp_due(&damp, &options);
	assert_in_range(due, now + 180 * SECOND, now + 181 * SECOND);
	assert_false(damp_settle(&damp, &options, now + 179 * SECOND));
	assert_true(damp_settle(&damp, &options, due));
	assert_false(damp_settle(&damp, &options, due));
}

/* Whatever the penalty: due is when settling works, and not a second too late. */
static void test_due_is_exact(void **state)
{
	for (uint32_t penalty = 1; penalty <= DAMP_CAP; penalty += 7) {
		struct damp damp = { .penalty = penalty, .at_ns = 5 * SECOND, .marginal = true };
		uint64_t due = damp_due(&damp, &options);

		assert_true(due <= 305 * SECOND + SECOND);
		if (due > 6 * SECOND)
			assert_false(damp_settle(&damp, &options, due - SECOND));
		assert_true(damp_settle(&damp, &options, due));
	}
}

static void test_cap_and_off(void **state)
{
	struct damp_options off = options;
	struct damp damp = { 0 };

	off.limit = 0;
	for (int i = 0; i < 1000; i++)
		assert_false(damp_fail(&damp, &off, SECOND));
	assert_int_equal(damp.penalty, DAMP_CAP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_turn),	      cmocka_unit_test(test_disorder),
		cmocka_unit_test(test_any_disorder),  cmocka_unit_test(test_holes),
		cmocka_unit_test(test_unknown_start), cmocka_unit_test(test_full),
		cmocka_unit_test(test_damping),	      cmocka_unit_test(test_due_is_exact),
		cmocka_unit_test(test_cap_and_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
