/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/buf.h"

static void test_grows_up_to_its_limit(void **state)
{
	struct buf buf = { .max = 1000 };

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(buf_append(&buf, "0123456789", 10), 0);
	assert_int_equal(buf.size, 1000);
	assert_true(buf.capacity <= buf.max);
	assert_int_equal(buf_append(&buf, "x", 1), -ENOBUFS);
	assert_int_equal(buf_append(&buf, "", 0), 0);
	assert_int_equal(buf_reserve(&buf, SIZE_MAX), -ENOBUFS);
	assert_int_equal(buf_printf(&buf, "%d", 1), -ENOBUFS);
	assert_int_equal(buf.size, 1000);
	assert_memory_equal(buf.data + 990, "0123456789", 10);
	buf_deinit(&buf);
	assert_null(buf.data);
	assert_int_equal(buf.max, 1000);
}

static void test_default_limit(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(buf_reserve(&buf, ((size_t)64 << 20) + 1), -ENOBUFS);
	assert_int_equal(buf_reserve(&buf, (size_t)64 << 20), 0);
	assert_int_equal(buf.capacity, (size_t)64 << 20);
	buf_deinit(&buf);
}

static void test_consume_and_reset(void **state)
{
	struct buf buf = { .max = 64 };

	(void)state;
	assert_int_equal(buf_printf(&buf, "%s-%d", "abc", 42), 0);
	buf_consume(&buf, 4);
	assert_int_equal(buf.size, 2);
	assert_memory_equal(buf.data, "42", 2);
	buf_consume(&buf, 0);
	buf_consume(&buf, 2);
	assert_int_equal(buf.size, 0);
	assert_int_equal(buf_append(&buf, "z", 1), 0);
	buf_reset(&buf);
	assert_int_equal(buf.size, 0);
	assert_non_null(buf.data);
	buf_deinit(&buf);
	buf_deinit(&buf);
}

/* The text fits exactly; its NUL would not. */
static void test_printf_fills_to_the_last_byte(void **state)
{
	struct buf buf = { .max = 5 };

	(void)state;
	assert_int_equal(buf_printf(&buf, "%s", "12345"), 0);
	assert_int_equal(buf.size, 5);
	assert_int_equal(buf.capacity, 5);
	buf_deinit(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_up_to_its_limit),
		cmocka_unit_test(test_default_limit),
		cmocka_unit_test(test_consume_and_reset),
		cmocka_unit_test(test_printf_fills_to_the_last_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
