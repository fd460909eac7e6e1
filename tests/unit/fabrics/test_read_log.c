/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "fabrics/read_log.h"
#include "page.h"

/* A controller whose page may change at the n-th read. */
struct target {
	uint64_t genctr, n_entries;
	unsigned reads, n_changes, change_at;
	unsigned rearmed; /* reads with RAE 0 */
	int answer;	  /* instead of the page, at read `answer_at` */
	unsigned answer_at;
};

static int target_read(void *data, uint64_t offset, void *to, uint32_t size, bool retain)
{
	struct target *target = data;
	uint8_t *out = to;

	if (target->n_changes && target->reads == target->change_at) {
		target->genctr++;
		target->n_entries++;
		target->n_changes--;
		target->change_at += 3;
	}
	target->reads++;
	target->rearmed += !retain;
	if (target->answer && target->reads == target->answer_at)
		return target->answer;
	assert_true(offset % LOG_PAGE_UNIT == 0 && size % LOG_PAGE_UNIT == 0 && size <= 4096);
	for (uint64_t at = offset; at < offset + size; at += LOG_PAGE_UNIT, out += LOG_PAGE_UNIT) {
		char nqn[32];

		snprintf(nqn, sizeof(nqn), "nqn.%llu", (unsigned long long)(at / LOG_PAGE_UNIT));
		if (at == 0)
			page_put_header(out, target->genctr, target->n_entries);
		else
			page_put_entry(out, 3, LOG_PAGE_NVM, nqn, "10.0.0.1", "4420");
	}
	return 0;
}

static int read_all(struct target *target, struct buf *entries, struct read_log_result *result)
{
	uint16_t status = 0;
	int r = read_log_by(target_read, target, entries, result, &status);

	if (r == READ_LOG_E_STATUS)
		assert_int_equal(status, target->answer);
	return r;
}

static void test_reads_and_rearms(void **state)
{
	for (uint64_t n = 0; n < 11; n++) {
		struct target target = { .genctr = 5, .n_entries = n };
		struct read_log_result result;
		struct buf entries = { 0 };
		struct log_page_entry entry;

		assert_int_equal(read_all(&target, &entries, &result), 0);
		assert_int_equal(result.n_entries, n);
		assert_int_equal(entries.size, n * LOG_PAGE_UNIT);
		assert_true(result.header.genctr == 5);
		assert_int_equal(result.n_restarts, 0);
		/* exactly the last one: an AEN that comes during the read must not be eaten */
		assert_int_equal(target.rearmed, 1);
		if (n > 0) {
			assert_int_equal(log_page_entry(entries.data + (n - 1) * LOG_PAGE_UNIT,
							LOG_PAGE_UNIT, &entry),
					 0);
			assert_int_equal(atoi(entry.tid.nqn + 4), n);
		}
		buf_deinit(&entries);
	}
}

static void test_page_changes_during_the_read(void **state)
{
	struct target target = { .genctr = 5, .n_entries = 3, .n_changes = 2, .change_at = 1 };
	struct read_log_result result;
	struct buf entries = { 0 };

	assert_int_equal(read_all(&target, &entries, &result), 0);
	assert_int_equal(result.n_restarts, 2);
	assert_int_equal(result.n_entries, 5);
	assert_int_equal(entries.size, 5 * LOG_PAGE_UNIT);
	assert_true(result.header.genctr == 7);
	buf_deinit(&entries);
}

static void test_page_never_rests(void **state)
{
	struct target target = { .n_changes = 1000, .change_at = 1 };
	struct read_log_result result;
	struct buf entries = { 0 };

	assert_int_equal(read_all(&target, &entries, &result), READ_LOG_E_BUSY);
	assert_int_equal(target.rearmed, READ_LOG_TRIES);
	buf_deinit(&entries);
}

static void test_errors(void **state)
{
	static const int answers[] = { 0x2002, -EIO };

	for (size_t i = 0; i < 2; i++) {
		for (unsigned at = 1; at <= 3; at++) {
			struct target target = { .n_entries = 2,
						 .answer = answers[i],
						 .answer_at = at };
			struct read_log_result result;
			struct buf entries = { 0 };

			assert_int_equal(read_all(&target, &entries, &result),
					 answers[i] > 0 ? READ_LOG_E_STATUS : answers[i]);
			buf_deinit(&entries);
		}
	}
}

static void test_limit(void **state)
{
	struct target target = { .n_entries = LOG_PAGE_MAX + 7 };
	struct read_log_result result;
	struct buf entries = { 0 };

	assert_int_equal(read_all(&target, &entries, &result), 0);
	assert_int_equal(result.n_entries, LOG_PAGE_MAX);
	assert_int_equal(result.n_left_out, 7);
	buf_deinit(&entries);
	target = (struct target){ .n_entries = UINT64_MAX };
	assert_int_equal(read_all(&target, &entries, &result), 0);
	assert_int_equal(result.n_left_out, UINT32_MAX);
	buf_deinit(&entries);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_and_rearms),
		cmocka_unit_test(test_page_changes_during_the_read),
		cmocka_unit_test(test_page_never_rests),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
