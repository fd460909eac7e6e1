/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregator/http/address.h"

static void test_addresses(void **state)
{
	static const struct {
		const char *text;
		bool ok, loopback;
	} cases[] = {
		{ "127.0.0.1:80", true, true },	   { "127.9.9.9:0", true, true },
		{ "localhost:7442", true, true },  { "[::1]:7442", true, true },
		{ "0.0.0.0:1", true, false },	   { "[::]:1", true, false },
		{ "10.1.2.3:65535", true, false }, { "10.1.2.3:65536", false, false },
		{ "10.1.2.3", false, false },	   { ":80", false, false },
		{ "host:80", false, false },	   { "127.0.0.1:8x", false, false },
		{ "127.0.0.1:", false, false },	   { "::1:80", false, false },
	};
	struct address address;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (address_parse(cases[i].text, &address) != cases[i].ok)
			fail_msg("%s", cases[i].text);
		if (cases[i].ok)
			assert_int_equal(address_is_loopback(&address), cases[i].loopback);
	}
}

static void test_with_port(void **state)
{
	char text[32];

	assert_true(address_with_port("127.0.0.1:0", 7441, text, sizeof(text)));
	assert_string_equal(text, "127.0.0.1:7441");
	assert_true(address_with_port("[::1]:0", 1, text, sizeof(text)));
	assert_string_equal(text, "[::1]:1");
	assert_false(address_with_port("nocolon", 1, text, sizeof(text)));
	assert_false(address_with_port("127.0.0.1:0", 7441, text, 8));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_addresses),
					    cmocka_unit_test(test_with_port) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
