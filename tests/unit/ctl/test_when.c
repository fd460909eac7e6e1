/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/when.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define S UINT64_C(1000000000)

static const uint64_t now = UINT64_C(1795224600) * S; /* 2026-11-21T01:30:00Z */

static uint64_t parse(const char *text)
{
	struct errmsg err = { 0 };
	uint64_t ns = 0;

	if (when_parse(text, now, &ns, &err) != 0)
		fail_msg("%s: %s", text, err.text);
	return ns;
}

static void zone(const char *name)
{
	setenv("TZ", name, 1);
	tzset();
}

static void test_ages_count_back(void **state)
{
	assert_int_equal(parse("now"), now);
	assert_int_equal(parse("90s"), now - 90 * S);
	assert_int_equal(parse("1h"), now - 3600 * S);
	assert_int_equal(parse("7d"), now - 7 * 86400 * S);
	assert_true(parse("36500d") > 0);
}

static void test_rfc3339_with_offset_does_not_depend_on_the_zone(void **state)
{
	static const char *const zones[] = { "UTC", "Europe/Berlin", "America/New_York" };

	for (size_t i = 0; i < 3; i++) {
		zone(zones[i]);
		assert_int_equal(parse("2026-11-21T01:30:00Z"), now);
		assert_int_equal(parse("2026-11-21T02:30:00+01:00"), now);
		assert_int_equal(parse("2026-11-20 20:00:00-05:30"), now);
		assert_int_equal(parse("2026-11-21t01:30:00.123456789z"), now + 123456789);
		assert_int_equal(parse("2026-11-21T01:30:00.5Z"), now + S / 2);
	}
}

static void test_without_offset_is_local(void **state)
{
	zone("XXX-2"); /* POSIX: two hours east */
	assert_int_equal(parse("2026-11-21T03:30:00"), now);
	assert_int_equal(parse("2026-11-21"), now - 12600 * S);
}

static void test_what_is_no_time_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"yesterday",
		"1x",
		"-1h",
		"2026-13-01",
		"2026-02-30",
		"2026-11-21T25:00:00Z",
		"2026-11-21T01:60:00Z",
		"2026-11-21T01:30Z",
		"2026-11-21T01:30:00.Z",
		"2026-11-21T01:30:00.1234567891Z",
		"2026-11-21T01:30:00+1:00",
		"2026-11-21T01:30:00Zx",
		"1969-12-31",
		"9999-01-01",
		"2026-11-21T01:30:00+24:00",
		"\xff",
		"2026-11-21T",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct errmsg err = { 0 };
		uint64_t ns = 42;

		if (when_parse(bad[i], now, &ns, &err) == 0)
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(ns, 42);
		assert_non_null(strstr(err.text, "RFC 3339"));
	}
}

static void test_format_is_read_back(void **state)
{
	char text[WHEN_TEXT_SIZE];

	zone("XXX-5:30");
	when_format(now + 7000000, false, text);
	assert_string_equal(text, "2026-11-21T07:00:00.007+05:30");
	assert_int_equal(parse(text), now + 7000000);
	when_format(now, true, text);
	assert_string_equal(text, "2026-11-21T01:30:00.000Z");
	when_format(0, true, text);
	assert_string_equal(text, "-");
	when_format(UINT64_MAX, true, text);
	assert_true(strlen(text) < WHEN_TEXT_SIZE);
}

static void test_ages(void **state)
{
	char text[WHEN_TEXT_SIZE];

	when_format_age(now - 3 * S, now, text);
	assert_string_equal(text, "3s ago");
	when_format_age(now - 7300 * S, now, text);
	assert_string_equal(text, "2h ago");
	when_format_age(now + 5 * 86400 * S, now, text);
	assert_string_equal(text, "in 5d");
	when_format_age(0, now, text);
	assert_string_equal(text, "never");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ages_count_back),
		cmocka_unit_test(test_rfc3339_with_offset_does_not_depend_on_the_zone),
		cmocka_unit_test(test_without_offset_is_local),
		cmocka_unit_test(test_what_is_no_time_is_refused),
		cmocka_unit_test(test_format_is_read_back),
		cmocka_unit_test(test_ages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
