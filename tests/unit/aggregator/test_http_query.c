/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregator/http/query.h"

#define S   UINT64_C(1000000000)
#define NOW (UINT64_C(1800000000) * S)

static int parse(const char *text, struct query *query)
{
	struct errmsg err = { 0 };
	int r = query_parse(text, NOW, query, &err);

	assert_true((r == 0) == (err.text[0] == '\0'));
	return r;
}

static void test_good(void **state)
{
	struct query query;

	assert_int_equal(parse(NULL, &query), 0);
	assert_int_equal(query.limit, 100);
	assert_int_equal(parse("", &query), 0);
	assert_int_equal(parse("host=a&host=b%2Dc&kind=storage.*&severity=error&subject=wwid%3Ax+y&"
			       "since=1h&until=2027-01-15T08:00:00Z&limit=1000&after=17&order=desc",
			       &query),
			 0);
	assert_int_equal(query.filter.n_hosts, 2);
	assert_string_equal(query.filter.host_ids[1], "b-c");
	assert_string_equal(query.filter.kind_glob, "storage.*");
	assert_int_equal(query.filter.min_severity, 17);
	assert_string_equal(query.filter.subject_id, "wwid:x y");
	assert_true(query.filter.since_unix_ns == NOW - 3600 * S);
	assert_true(query.filter.until_unix_ns == UINT64_C(1800000000) * S);
	assert_int_equal(query.limit, 1000);
	assert_true(query.after_is_number && query.after_id == 17 && query.newest_first);
}

static void test_bad(void **state)
{
	static const char *const bad[] = {
		"limit=x",
		"limit=0",
		"limit=1001",
		"limit=-1",
		"limit=",
		"limit",
		"=",
		"=1",
		"nonsense=1",
		"since=yesterday",
		"since=2026-13-01T00:00:00Z",
		"since=2026-01-01T00:00:00",
		"since=2026-01-01",
		"order=up",
		"severity=bad",
		"host=",
		"limit=1&limit=2",
		"kind=%",
		"kind=%0",
		"kind=%zz",
		"kind=%00",
		"after=",
		"since=2h&until=3h",
		"limit=99999999999999999999999",
		"kind=a&order=asc&order=asc",
	};
	struct query query;
	char text[QUERY_MAX_TEXT + 100];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (parse(bad[i], &query) == 0)
			fail_msg("accepted: %s", bad[i]);
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_true(parse(text, &query) < 0);
	text[0] = '\0';
	for (unsigned i = 0; i < 65; i++)
		memcpy(text + strlen(text), "host=h&", sizeof("host=h&"));
	assert_true(parse(text, &query) < 0);
}

static void test_times(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{ "0", 0 },
		{ "1800000000", NOW },
		{ "1970-01-01T00:00:01Z", S },
		{ "1970-01-01T00:00:01.5Z", S + S / 2 },
		{ "1970-01-01T00:00:01.000000001Z", S + 1 },
		{ "1970-01-01T01:00:01+01:00", S },
		{ "10m", NOW - 600 * S },
	};
	static const char *const bad[] = { "1970-01-01T00:00:01.Z",
					   "1970-01-01T00:00:01.0000000001Z",
					   "1970-01-01T00:00:01+25:00",
					   "1970-01-01T00:00:01+0100",
					   "1970-01-01T00:00:00+01:00",
					   "-5",
					   "1x",
					   "" };
	uint64_t ns;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(query_parse_time(good[i].text, NOW, &ns));
		assert_true(ns == good[i].ns);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(query_parse_time(bad[i], NOW, &ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
					    cmocka_unit_test(test_times) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
