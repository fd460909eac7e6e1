/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "mapper/status.h"

static struct status status;

static void test_info(void **state)
{
	assert_int_equal(status_parse_info("2 0 1 0 2 1 A 0 1 2 8:0 A 0 0 1 D 0 2 2 8:16 A 3 0 1 "
					   "8:32 F 17 4096 1 ",
					   &status),
			 0);
	assert_false(status.queue_io);
	assert_int_equal(status.pg_init_count, 1);
	assert_int_equal(status.n_groups, 2);
	assert_int_equal(status.group, 1);
	assert_int_equal(status.groups[0].state, 'A');
	assert_int_equal(status.groups[1].state, 'D');
	assert_int_equal(status.groups[1].first_path, 1);
	assert_int_equal(status.groups[1].n_paths, 2);
	assert_int_equal(status.n_paths, 3);
	assert_int_equal(status.paths[2].major, 8);
	assert_int_equal(status.paths[2].minor, 32);
	assert_false(status.paths[2].active);
	assert_int_equal(status.paths[2].fail_count, 17);
	assert_true(status.paths[1].active);
	assert_false(status.has_more);
}

static void test_table(void **state)
{
	assert_int_equal(status_parse_table(
				 "6 queue_if_no_path pg_init_retries 5 retain_attached_hw_handler "
				 "queue_mode bio 1 alua 2 2 service-time 0 1 2 8:0 1 1 "
				 "historical-service-time 2 1 2 1 1 8:32 0",
				 &status),
			 0);
	assert_true(status.queue_if_no_path);
	assert_true(status.retain_attached_hw_handler);
	assert_true(status.queue_mode_bio);
	assert_int_equal(status.pg_init_retries, 5);
	assert_string_equal(status.handler, "alua");
	assert_int_equal(status.group, 2);
	assert_string_equal(status.groups[0].selector, "service-time");
	assert_string_equal(status.groups[1].selector, "historical-service-time");
	assert_int_equal(status.paths[1].minor, 32);
}

/* What is not known is skipped over by its count. */
static void test_unknown_words(void **state)
{
	assert_int_equal(
		status_parse_info("4 1 2 x y 3 a b c 1 1 E 2 p q 1 3 8:0 A 0 i j k", &status), 0);
	assert_true(status.queue_io);
	assert_int_equal(status.n_unknown_features, 2);
	assert_int_equal(status.n_paths, 1);
	assert_int_equal(
		status_parse_table(
			"2 new_feature pg_init_retries 2 rdac 1 1 1 io-affinity 0 1 1 8:0 f",
			&status),
		0);
	/* Without room for its argument it is a word like any other. */
	assert_int_equal(status.n_unknown_features, 2);
	assert_string_equal(status.handler, "rdac");
	assert_int_equal(status_parse_info("2 0 0 0 1 1 A 0 1 0 8:0 A 0 more", &status), 0);
	assert_true(status.has_more);
	assert_int_equal(status_parse_info("2 0 0 0 0 0", &status), 0);
	assert_int_equal(status.n_groups, 0);
}

static void test_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"2",
		"x 0 0 0 1 1 A 0 1 0 8:0 A 0",
		"2 0 0 0 1 2 A 0 1 0 8:0 A 0", /* group 2 of 1 */
		"2 0 0 0 1 1 X 0 1 0 8:0 A 0", /* no such state */
		"2 0 0 0 1 1 AA 0 1 0 8:0 A 0",
		"2 0 0 0 1 1 A 0 1 0 8:0 B 0",
		"2 0 0 0 1 1 A 0 1 0 8 A 0",
		"2 0 0 0 1 1 A 0 1 0 8: A 0",
		"2 0 0 0 1 1 A 0 1 0 8:0 A -1",
		"2 0 0 0 1 1 A 0 1 0 8:0 A 4294967296",
		"2 0 0 0 1 1 A 0 1 0 8:0 A",
		"4294967295 0 0 0 1 1 A 0 1 0 8:0 A 0", /* a count beyond the text */
		"2 0 0 0 1 1 A 0 2 0 8:0 A 0",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(status_parse_info(lines[i], &status), -EBADMSG);
	assert_int_equal(status_parse_info("2 0 0 0 33 1 A", &status), -E2BIG);
	assert_int_equal(status_parse_info("2 0 0 0 1 1 A 0 1025 0 8:0 A 0", &status), -E2BIG);
	assert_int_equal(status_parse_info("2 0 0 0 1 1 A 0 4294967295 0 8:0 A 0", &status),
			 -E2BIG);
}

/* Every line that was recorded; every beginning of it is refused or complete. */
static void test_file(const char *name, int (*parse)(const char *, struct status *), size_t n_lines)
{
	FILE *file = fopen(name, "re");
	char line[1024], part[1024];
	size_t n = 0;

	assert_non_null(file);
	for (; fgets(line, sizeof(line), file) != NULL; n++) {
		assert_int_equal(parse(line, &status), 0);
		assert_in_range(status.n_groups, 1, 3);
		assert_in_range(status.n_paths, 1, 3);
		assert_int_equal(status.n_unknown_features, 0);
		assert_false(status.has_more);
		for (size_t len = 0; len < strlen(line); len++) {
			int r;

			snprintf(part, sizeof(part), "%.*s", (int)len, line);
			r = parse(part, &status);
			assert_true(r == 0 || r == -EBADMSG);
		}
	}
	fclose(file);
	assert_int_equal(n, n_lines);
}

static void test_recorded(void **state)
{
	test_file(PATHBELL_TEST_DATA "/multipath/info.txt", status_parse_info, 27);
	test_file(PATHBELL_TEST_DATA "/multipath/table.txt", status_parse_table, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info),	      cmocka_unit_test(test_table),
		cmocka_unit_test(test_unknown_words), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
