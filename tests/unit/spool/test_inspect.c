/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

struct seen {
	uint64_t n, last_seq, stop_after;
	unsigned findings;
	char text[512];
};

static bool on_record(void *data, const struct inspect_record *record)
{
	static uint8_t expected[SPOOL_RECORD_MAX];
	struct seen *seen = data;

	assert_true(record->seq > seen->last_seq);
	assert_true(record->offset >= 512);
	assert_non_null(strstr(record->segment, record->lane ? "bulk" : "important"));
	fixture_fill(expected, (uint32_t)record->size, record->seq);
	assert_memory_equal(record->data, expected, record->size);
	seen->last_seq = record->seq;
	return ++seen->n != seen->stop_after;
}

static void on_finding(void *data, const char *text)
{
	struct seen *seen = data;

	seen->findings++;
	snprintf(seen->text, sizeof(seen->text), "%s", text);
}

static struct inspect_report look(const struct fixture *f, struct seen *seen)
{
	struct inspect_callbacks callbacks = { seen, on_record, on_finding };
	struct inspect_report report;
	struct errmsg err = { 0 };

	assert_int_equal(inspect_run(f->main, &callbacks, &report, &err), 0);
	return report;
}

static void fill(struct fixture *f)
{
	fixture_init(f);
	f->options.segment_bytes = 128 << 10;
	fixture_open(f);
	for (unsigned i = 0; i < 20; i++) {
		fixture_append(f, 20, SPOOL_LANE_BULK, 1000);
		fixture_append(f, 2, SPOOL_LANE_IMPORTANT, 100);
		fixture_sync(f);
	}
}

static void test_live_and_closed(void **state)
{
	struct seen seen = { 0 };
	struct inspect_report report;
	struct fixture f;

	fill(&f);
	report = look(&f, &seen);
	assert_int_equal(report.records, 440);
	assert_int_equal(seen.n, 440);
	assert_int_equal(report.gaps + report.corrupt_records + report.torn_bytes, 0);
	assert_true(report.segments >= 4);
	assert_true(report.bytes > 400000);
	/* Nothing was disturbed. */
	fixture_append(&f, 10, SPOOL_LANE_BULK, 100);
	fixture_sync(&f);
	fixture_close(&f);
	memset(&seen, 0, sizeof(seen));
	report = look(&f, &seen);
	assert_int_equal(report.records, 450);
	assert_int_equal(seen.findings, 0);
	seen = (struct seen){ .stop_after = 5 };
	(void)look(&f, &seen);
	assert_int_equal(seen.n, 5);
	fixture_open(&f);
	fixture_drain(&f, true);
	fixture_turn(&f);
	fixture_close(&f);
	memset(&seen, 0, sizeof(seen));
	report = look(&f, &seen);
	assert_int_equal(report.gaps, 0);
	fixture_deinit(&f);
}

static void test_damaged(void **state)
{
	struct seen seen = { 0 };
	struct inspect_report report;
	char path[256];
	struct fixture f;
	int fd;

	fill(&f);
	fixture_close(&f);
	snprintf(path, sizeof(path), "%s/0000000000000002-bulk.seg", f.main);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "xx", 2, 5000), 2);
	close(fd);
	report = look(&f, &seen);
	assert_int_equal(report.corrupt_records, 1);
	assert_int_equal(report.records, 439);
	assert_int_equal(report.gaps, 1);
	assert_true(seen.findings >= 2);
	/* Cut in the middle, then a header gone, then a link. */
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(truncate(path, 20001), 0);
	report = look(&f, &seen);
	assert_true(report.torn_bytes > 0);
	assert_true(report.gaps >= 2);
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(truncate(path, 100), 0);
	report = look(&f, &seen);
	assert_int_equal(report.bad_segments, 1);
	memset(&seen, 0, sizeof(seen));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	report = look(&f, &seen);
	assert_int_equal(report.bad_segments, 1);
	assert_true(report.gaps >= 1);
	fixture_deinit(&f);
}

static void test_no_folder(void **state)
{
	struct inspect_callbacks callbacks = { 0 };
	struct inspect_report report;
	struct errmsg err = { 0 };

	assert_int_equal(inspect_run("/nonexistent/spool", &callbacks, &report, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/spool"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_live_and_closed),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_no_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
