/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const words[] = { "hosts", "host", "events", "pki init", "command probe" };

static void test_near_words_are_found(void **state)
{
	assert_string_equal(suggest_nearest("evnts", words, 5), "events");
	assert_string_equal(suggest_nearest("hots", words, 5), "hosts");
	assert_string_equal(suggest_nearest("host", words, 5), "host");
	assert_string_equal(suggest_nearest("pki inti", words, 5), "pki init");
	assert_string_equal(suggest_nearest("comand prob", words, 5), "command probe");
}

static void test_far_words_are_not(void **state)
{
	static char longest[300];

	assert_null(suggest_nearest("xyzzy", words, 5));
	assert_null(suggest_nearest("events", words, 0));
	for (size_t i = 0; i + 1 < sizeof(longest); i++)
		longest[i] = 'q';
	assert_null(suggest_nearest(longest, words, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_near_words_are_found),
		cmocka_unit_test(test_far_words_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
