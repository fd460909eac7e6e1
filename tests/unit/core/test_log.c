/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/log.h"
#include "core/log_text.h"

static void assert_escaped(const char *raw, const char *expected)
{
	char line[LOG_LINE_MAX];

	log_text_escape(raw, line, sizeof(line));
	assert_string_equal(line, expected);
}

static void test_what_moves_a_terminal_is_escaped(void **state)
{
	(void)state;
	assert_escaped("plain key=value", "plain key=value");
	assert_escaped("a\nb\tc\rd\x1b[31m\x7f", "a\\nb\\tc\\x0dd\\x1b[31m\\x7f");
	assert_escaped("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
	assert_escaped("\xc2\x9b"
		       "31m",
		       "\\xc2\\x9b31m"); /* CSI as one C1 control */
	assert_escaped("\xff\xc3", "\\xff\\xc3");
	assert_escaped("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* a surrogate */
	assert_escaped("", "");
}

/* For every size: terminated, within the size, no half character or escape at the cut. */
static void test_long_lines_are_cut(void **state)
{
	static const char raw[] = "ab\xc3\xbc\n\x01"
				  "cd\xe2\x82\xac"
				  "ef";
	static const char whole[] = "ab\xc3\xbc\\n\\x01"
				    "cd\xe2\x82\xac"
				    "ef";

	(void)state;
	for (size_t size = 4; size <= sizeof(whole) + 2; size++) {
		char line[32];
		size_t len;

		memset(line, 'Z', sizeof(line));
		log_text_escape(raw, line, size);
		len = strlen(line);
		assert_true(len < size);
		assert_int_equal(line[size], 'Z');
		if (size >= sizeof(whole)) {
			assert_string_equal(line, whole);
			continue;
		}
		assert_string_equal(line + len - 3, "...");
		assert_memory_equal(line, whole, len - 3);
		assert_int_not_equal(whole[len - 3] & 0xc0, 0x80);
	}
}

static void assert_fields(const char *line, const char *expected)
{
	char fields[LOG_FIELDS_MAX];
	size_t size = log_text_fields(line, fields, sizeof(fields));

	assert_int_equal(size, strlen(expected));
	assert_memory_equal(fields, expected, size);
}

static void test_fields_of_a_line(void **state)
{
	char name[80];

	(void)state;
	assert_fields("session down cause=refused retry_ms=20",
		      "PATHBELL_CAUSE=refused\nPATHBELL_RETRY_MS=20\n");
	assert_fields("x detail=\"no route to host\" a.b-c=1 empty= end=\"",
		      "PATHBELL_DETAIL=no route to "
		      "host\nPATHBELL_A_B_C=1\nPATHBELL_EMPTY=\nPATHBELL_END=\n");
	assert_fields("no fields = here ==", "");
	assert_fields("k=a=b", "PATHBELL_K=a=b\n");
	assert_fields("", "");
	/* 64 characters are the most that the journal takes. */
	memset(name, 'n', sizeof(name));
	memcpy(name + 55, "=1", 3);
	assert_int_equal(log_text_fields(name, (char[256]){ 0 }, 256), 64 + 3);
	memcpy(name + 55, "n=1", 4);
	assert_fields(name, "");
}

static void test_fields_have_a_limit(void **state)
{
	char line[LOG_LINE_MAX] = "", fields[LOG_FIELDS_MAX];
	size_t n = 0, size;

	(void)state;
	for (int i = 0; i < 100; i++)
		strcat(line, "k=v ");
	size = log_text_fields(line, fields, sizeof(fields));
	for (size_t i = 0; i < size; i++)
		n += fields[i] == '\n';
	assert_int_equal(n, 32);
	for (size_t room = 0; room < 40; room++) {
		char *small = malloc(room + 1);

		size = log_text_fields("a=1 b=2", small, room);
		assert_true(size <= room && size % 13 == 0);
		free(small);
	}
}

static size_t recent(char **lines, size_t max)
{
	size_t n = log_recent(lines, max);

	for (size_t i = max; i < 1000; i++)
		lines[i] = NULL;
	return n;
}

static void free_lines(char **lines, size_t n)
{
	while (n > 0)
		free(lines[--n]);
}

static void test_ring_keeps_the_newest_lines(void **state)
{
	static char *lines[1000];
	static char large[LOG_LINE_MAX];
	size_t n, bytes = 0;

	(void)state;
	for (int i = 0; i < 2500; i++)
		log_notice("line number=%d", i);
	n = recent(lines, 1000);
	assert_int_equal(n, 1000);
	assert_non_null(strstr(lines[0], "Z notice: line number=1500"));
	assert_non_null(strstr(lines[999], "number=2499"));
	free_lines(lines, n);
	assert_int_equal(recent(lines, 3), 3);
	assert_non_null(strstr(lines[0], "number=2497"));
	free_lines(lines, 3);

	memset(large, 'x', sizeof(large) - 1);
	for (int i = 0; i < 300; i++)
		log_notice("%s", large);
	n = recent(lines, 1000);
	for (size_t i = 0; i < n; i++)
		bytes += strlen(lines[i]) + 1;
	assert_in_range(bytes, 200 << 10, 256 << 10);
	free_lines(lines, n);
	assert_int_equal(log_recent(lines, 0), 0);
}

static void test_levels(void **state)
{
	enum log_level level = LOG_LEVEL_INFO;
	char *lines[1];

	(void)state;
	assert_true(log_level_from_name("debug", &level));
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_false(log_level_from_name("loud", &level));
	assert_false(log_level_from_name("", &level));
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	log_set_level(LOG_LEVEL_WARNING);
	log_warning("kept");
	log_notice("not kept");
	assert_int_equal(log_recent(lines, 1), 1);
	assert_non_null(strstr(lines[0], "warning: kept"));
	free(lines[0]);
	log_set_level(LOG_LEVEL_INFO);
}

static void test_limited_says_what_it_left_out(void **state)
{
	struct log_limit limit = { 0 };
	char *lines[2];

	(void)state;
	errno = EPROTO;
	for (int i = 0; i < 100; i++)
		log_limited(&limit, LOG_LEVEL_ERROR, "again i=%d", i);
	assert_int_equal(errno, EPROTO);
	assert_int_equal(limit.suppressed, 99);
	limit.next_ns = 0;
	log_limited(&limit, LOG_LEVEL_ERROR, "again i=%d", 100);
	assert_int_equal(limit.suppressed, 0);
	assert_int_equal(log_recent(lines, 2), 2);
	assert_non_null(strstr(lines[0], "again i=0"));
	assert_non_null(strstr(lines[1], "again i=100 suppressed=99"));
	free_lines(lines, 2);
}

static void test_errno_texts(void **state)
{
	(void)state;
	assert_string_equal(log_errno(-ENOENT), "No such file or directory");
	assert_string_equal(log_errno(ENOENT), log_errno(-ENOENT));
	assert_string_equal(log_errno(123456), "unknown error");
	assert_string_equal(log_errno(-2147483647 - 1), "unknown error");
}

/* Thousands of lines go to a pipe that nobody reads; cmocka's report keeps fd 2. */
static int hide_lines(void **state)
{
	int saved = dup(STDERR_FILENO), fds[2];

	(void)state;
	if (saved < 0 || pipe(fds) < 0 || dup2(fds[1], STDERR_FILENO) < 0)
		return -1;
	log_open("tester", LOG_LEVEL_INFO);
	dup2(saved, STDERR_FILENO);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_moves_a_terminal_is_escaped),
		cmocka_unit_test(test_long_lines_are_cut),
		cmocka_unit_test(test_fields_of_a_line),
		cmocka_unit_test(test_fields_have_a_limit),
		cmocka_unit_test(test_ring_keeps_the_newest_lines),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_limited_says_what_it_left_out),
		cmocka_unit_test(test_errno_texts),
	};

	return cmocka_run_group_tests(tests, hide_lines, NULL);
}
