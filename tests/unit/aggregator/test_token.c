/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregator/token.h"

static void test_there_and_back(void **state)
{
	char longest[TOKEN_POSITION_MAX + 1], text[TOKEN_TEXT_SIZE],
		position[TOKEN_POSITION_MAX + 1];

	memset(longest, 'x', TOKEN_POSITION_MAX);
	longest[TOKEN_POSITION_MAX] = '\0';
	token_make(TOKEN_HOSTS, "host-1.example", text);
	assert_true(token_parse(TOKEN_HOSTS, text, position));
	assert_string_equal(position, "host-1.example");
	assert_false(token_parse(TOKEN_COMMANDS, text, position));
	token_make(TOKEN_COMMANDS, longest, text);
	assert_true(token_parse(TOKEN_COMMANDS, text, position));
	assert_string_equal(position, longest);
}

static void test_made_up(void **state)
{
	static const char *const bad[] = { "x",		 "00",	  "zz",
					   "6800000000", "hosts", "6861626364656667" };
	char text[TOKEN_TEXT_SIZE], position[TOKEN_POSITION_MAX + 1];
	char huge[4000];

	assert_true(token_parse(TOKEN_HOSTS, "", position));
	assert_string_equal(position, "");
	assert_true(token_parse(TOKEN_HOSTS, NULL, position));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(token_parse(TOKEN_HOSTS, bad[i], position));
	memset(huge, '6', sizeof(huge));
	huge[sizeof(huge) - 1] = '\0';
	assert_false(token_parse(TOKEN_HOSTS, huge, position));
	token_make(TOKEN_HOSTS, "host", text);
	for (size_t i = 0; text[i]; i++) {
		char kept = text[i];

		text[i] = kept == '0' ? '1' : '0';
		assert_false(token_parse(TOKEN_HOSTS, text, position));
		text[i] = kept;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_there_and_back),
					    cmocka_unit_test(test_made_up) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
