/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/spool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/spool/disk.h"
#include "core/clock.h"
#include "fixture.h"
#include "pathbell/v1/ingest.pb-c.h"

#define GONE(x) PATHBELL__V1__GONE_REASON__GONE_REASON_##x

static void test_append_deliver_ack(void **state)
{
	struct fixture f;
	struct spool_chunk chunk;
	struct fixture_drained drained;
	struct spool_stats stats;

	fixture_init(&f);
	fixture_open(&f);
	assert_int_equal(fixture_next(&f, &chunk), SPOOL_E_EMPTY);
	assert_int_equal(fixture_append(&f, 10, SPOOL_LANE_BULK, 100), 10);
	assert_int_equal(fixture_append(&f, 3, SPOOL_LANE_IMPORTANT, 1), 13);
	assert_int_equal(fixture_append(&f, 1, SPOOL_LANE_BULK, SPOOL_RECORD_MAX), 14);
	/* Nothing is offered before it is durable. */
	assert_int_equal(spool_cursor_next(f.cursor, 65536, 100, &chunk), SPOOL_E_EMPTY);
	fixture_sync(&f);
	fixture_wait(&f, f.n_readable > 0);
	drained = fixture_drain(&f, true);
	assert_int_equal(drained.records, 14);
	fixture_turn(&f);
	assert_int_equal(f.acked_seq, 14);
	stats = fixture_stats(&f);
	assert_int_equal(stats.acked, 14);
	assert_int_equal(stats.unacked, 0);
	fixture_deinit(&f);
}

static void test_clean_restart_keeps_everything(void **state)
{
	struct spool_stats before, after;
	struct fixture_drained drained;
	struct fixture f;

	fixture_init(&f);
	fixture_open(&f);
	for (unsigned i = 0; i < 50; i++) {
		fixture_append(&f, 20, SPOOL_LANE_BULK, 300);
		fixture_append(&f, 2, SPOOL_LANE_IMPORTANT, 200);
	}
	fixture_sync(&f);
	before = fixture_stats(&f);
	fixture_close(&f);
	fixture_open(&f);
	after = fixture_stats(&f);
	assert_memory_equal(before.epoch, after.epoch, 16);
	assert_int_equal(before.captured, after.captured);
	assert_int_equal(after.tombstoned, 0);
	assert_int_equal(spool_source_cursor(f.spool, 1), 1100);
	fixture_append(&f, 5, SPOOL_LANE_BULK, 300);
	fixture_sync(&f);
	drained = fixture_drain(&f, true);
	assert_int_equal(drained.records, 1105);
	fixture_close(&f);
	fixture_open(&f);
	after = fixture_stats(&f);
	assert_int_equal(after.acked, 1105);
	assert_int_equal(after.unacked, 0);
	fixture_deinit(&f);
}

static void test_backlog_is_read_from_disk(void **state)
{
	struct fixture_drained drained;
	struct fixture f;

	fixture_init(&f);
	f.options.memory_bytes = 600 << 10;
	fixture_open(&f);
	for (unsigned i = 0; i < 400; i++) {
		fixture_append(&f, 40, SPOOL_LANE_BULK, 500);
		fixture_append(&f, 1, SPOOL_LANE_IMPORTANT, 60);
	}
	fixture_sync(&f);
	drained = fixture_drain(&f, false);
	assert_int_equal(drained.records, 16400);
	assert_int_equal(drained.gone, 0);
	spool_cursor_rewind(f.cursor);
	drained = fixture_drain(&f, true);
	assert_int_equal(drained.records, 16400);
	fixture_turn(&f);
	fixture_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_deliver_ack),
		cmocka_unit_test(test_clean_restart_keeps_everything),
		cmocka_unit_test(test_backlog_is_read_from_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
