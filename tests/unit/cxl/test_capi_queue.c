/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/cxl/capi_queue.h"

static const struct capi_identity afu = { .id = "afu:afu0.0m", .name = "afu0.0m" };

static void push(struct capi_queue *queue, char letter, bool is_driver)
{
	assert_int_equal(capi_queue_push(queue, &afu, is_driver, 1, &letter, 1), 0);
}

static char next(const struct capi_queue *queue)
{
	const struct capi_item *item = capi_queue_next(queue);

	return item != NULL ? (char)item->data[0] : '-';
}

static char take(struct capi_queue *queue, uint64_t ticket)
{
	char letter = next(queue);

	capi_queue_taken(queue, capi_queue_next(queue), ticket);
	return letter;
}

static void driver_events_go_first(void **state)
{
	struct capi_queue queue;

	capi_queue_init(&queue, 4, 4, 1);
	push(&queue, 'a', false);
	push(&queue, 'B', true);
	push(&queue, 'c', false);
	assert_true(capi_queue_has_room(&queue));
	push(&queue, 'D', true);
	assert_false(capi_queue_has_room(&queue));
	assert_int_equal(take(&queue, 1), 'B');
	assert_int_equal(take(&queue, 2), 'D');
	assert_int_equal(take(&queue, 3), 'a');
	assert_int_equal(take(&queue, 4), 'c');
	assert_int_equal(next(&queue), '-');
	assert_int_equal(queue.n_kept, 2);
	capi_queue_deinit(&queue);
}

static void delivered_is_forgotten(void **state)
{
	struct capi_queue queue;

	capi_queue_init(&queue, 4, 4, 1);
	push(&queue, 'A', true);
	take(&queue, 7);
	assert_int_equal(capi_queue_delivered(&queue, 8, true), 0);
	assert_int_equal(queue.n_kept, 1);
	assert_int_equal(capi_queue_delivered(&queue, 7, true), 0);
	assert_int_equal(queue.n_kept, 0);
	assert_int_equal(queue.n_delivered, 1);
	assert_int_equal(capi_queue_delivered(&queue, 7, false), 0);
	capi_queue_deinit(&queue);
}

static void undelivered_comes_again_in_order_then_is_given_up(void **state)
{
	struct capi_queue queue;

	capi_queue_init(&queue, 4, 4, 2);
	push(&queue, 'A', true);
	push(&queue, 'B', true);
	take(&queue, 1);
	take(&queue, 2);
	push(&queue, 'C', true);
	assert_int_equal(capi_queue_delivered(&queue, 1, false), CAPI_QUEUE_E_AGAIN);
	assert_int_equal(capi_queue_delivered(&queue, 2, false), CAPI_QUEUE_E_AGAIN);
	assert_int_equal(take(&queue, 3), 'A');
	assert_int_equal(take(&queue, 4), 'B');
	assert_int_equal(take(&queue, 5), 'C');
	assert_int_equal(capi_queue_delivered(&queue, 4, true), 0);
	assert_int_equal(capi_queue_delivered(&queue, 3, false), CAPI_QUEUE_E_AGAIN);
	assert_int_equal(capi_queue_next(&queue)->resubmitted, 2);
	assert_int_equal(take(&queue, 6), 'A');
	assert_int_equal(capi_queue_delivered(&queue, 6, false), CAPI_QUEUE_E_GIVEN_UP);
	assert_int_equal(queue.n_resubmitted, 3);
	assert_int_equal(queue.n_given_up, 1);
	assert_int_equal(queue.n_delivered, 1);
	assert_int_equal(queue.n_kept, 1);
	capi_queue_deinit(&queue);
}

static void keeping_is_bounded(void **state)
{
	struct capi_queue queue;

	capi_queue_init(&queue, 4, 2, 1);
	for (uint64_t ticket = 1; ticket <= 5; ticket++) {
		push(&queue, 'A', true);
		take(&queue, ticket);
	}
	assert_int_equal(queue.n_kept, 2);
	assert_int_equal(queue.n_forgotten, 3);
	/* 1 is no longer known, 4 is. */
	assert_int_equal(capi_queue_delivered(&queue, 1, false), 0);
	assert_int_equal(capi_queue_delivered(&queue, 4, false), CAPI_QUEUE_E_AGAIN);
	capi_queue_deinit(&queue);
}

static void filtered_and_unkept_are_freed(void **state)
{
	struct capi_queue queue;

	capi_queue_init(&queue, 4, 0, 1);
	push(&queue, 'A', true);
	take(&queue, 9);
	assert_int_equal(queue.n_kept, 0);
	capi_queue_deinit(&queue);
	capi_queue_init(&queue, 4, 4, 1);
	push(&queue, 'A', true);
	take(&queue, 0);
	assert_int_equal(queue.n_kept, 0);
	capi_queue_deinit(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(driver_events_go_first),
		cmocka_unit_test(delivered_is_forgotten),
		cmocka_unit_test(undelivered_comes_again_in_order_then_is_given_up),
		cmocka_unit_test(keeping_is_bounded),
		cmocka_unit_test(filtered_and_unkept_are_freed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
