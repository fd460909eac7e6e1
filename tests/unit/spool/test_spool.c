/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/spool.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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

static void test_bad_arguments(void **state)
{
	static uint8_t data[SPOOL_RECORD_MAX + 1];
	struct spool_append append = { data, 0, SPOOL_LANE_BULK, 0, 0, 1 };
	struct spool_cursor *other;
	const uint8_t unknown[16] = { 1 };
	uint64_t seq = 77;
	struct fixture f;

	fixture_init(&f);
	fixture_open(&f);
	assert_int_equal(spool_append(f.spool, &append, &seq), -EMSGSIZE);
	append.size = sizeof(data);
	assert_int_equal(spool_append(f.spool, &append, &seq), -EMSGSIZE);
	append.size = 1;
	append.lane = SPOOL_N_LANES;
	assert_int_equal(spool_append(f.spool, &append, &seq), -EINVAL);
	append.lane = SPOOL_LANE_BULK;
	append.source = SPOOL_MAX_SOURCES + 1;
	assert_int_equal(spool_append(f.spool, &append, &seq), -EINVAL);
	assert_int_equal(seq, 77);
	assert_int_equal(fixture_stats(&f).captured, 0);
	assert_int_equal(spool_cursor_open(f.spool, "", &other), -EINVAL);
	assert_int_equal(
		spool_cursor_open(f.spool, "a-name-that-is-much-too-long-for-a-slot", &other),
		-EINVAL);
	assert_int_equal(spool_cursor_open(f.spool, "test", &other), -EBUSY);
	assert_int_equal(spool_cursor_ack(f.cursor, unknown, 0), SPOOL_E_BAD_ACK);
	assert_int_equal(spool_cursor_resume(f.cursor, unknown, 0), SPOOL_E_BAD_ACK);
	assert_int_equal(spool_cursor_resend(f.cursor, unknown, 1, 2), SPOOL_E_BAD_ACK);
	fixture_deinit(&f);
}

static void test_acks_out_of_range_change_nothing(void **state)
{
	struct spool_chunk chunk;
	struct spool_stats stats;
	struct fixture f;

	fixture_init(&f);
	fixture_open(&f);
	fixture_append(&f, 10, SPOOL_LANE_BULK, 100);
	fixture_sync(&f);
	assert_int_equal(spool_cursor_next(f.cursor, 65536, 5, &chunk), 0);
	assert_int_equal(chunk.last_seq, 5);
	assert_int_equal(spool_cursor_ack(f.cursor, chunk.epoch, 6), SPOOL_E_BAD_ACK);
	assert_int_equal(spool_cursor_ack(f.cursor, chunk.epoch, UINT64_MAX), SPOOL_E_BAD_ACK);
	stats = fixture_stats(&f);
	assert_int_equal(stats.acked, 0);
	assert_int_equal(spool_cursor_ack(f.cursor, chunk.epoch, 5), 0);
	assert_int_equal(spool_cursor_ack(f.cursor, chunk.epoch, 3), 0);
	assert_int_equal(fixture_stats(&f).acked, 5);
	fixture_check(&f);
	fixture_deinit(&f);
}

static void test_acked_is_what_every_cursor_has(void **state)
{
	struct spool_cursor_stats stats;
	struct spool_cursor *second, *first;
	struct spool_chunk chunk;
	struct fixture f;

	fixture_init(&f);
	fixture_open(&f);
	first = f.cursor;
	assert_int_equal(spool_cursor_open(f.spool, "second", &second), 0);
	fixture_append(&f, 20, SPOOL_LANE_BULK, 100);
	fixture_sync(&f);
	fixture_drain(&f, true);
	assert_int_equal(fixture_stats(&f).acked, 0);
	spool_cursor_stats(first, &stats);
	assert_int_equal(stats.acked, 20);
	assert_int_equal(stats.oldest_unacked_unix_ns, 0);
	spool_cursor_stats(second, &stats);
	assert_int_equal(stats.unacked, 20);
	assert_true(stats.oldest_unacked_unix_ns > 0);
	assert_int_equal(spool_cursor_next(second, 65536, 15, &chunk), 0);
	spool_cursor_stats(second, &stats);
	assert_int_equal(stats.sent_unacked, 15);
	assert_int_equal(spool_cursor_ack(second, chunk.epoch, 12), 0);
	assert_int_equal(fixture_stats(&f).acked, 12);
	fixture_check(&f);
	/* Places are kept by name, over restarts, and count while nobody uses them. */
	spool_cursor_close(second);
	fixture_close(&f);
	fixture_open(&f);
	assert_int_equal(fixture_stats(&f).acked, 12);
	assert_int_equal(spool_cursor_open(f.spool, "second", &f.cursor), 0);
	assert_int_equal(fixture_next(&f, &chunk), 0);
	assert_int_equal(chunk.first_seq, 13);
	for (unsigned i = 0; i < SPOOL_MAX_CURSORS - 2; i++) {
		char name[8];

		snprintf(name, sizeof(name), "c%u", i);
		assert_int_equal(spool_cursor_open(f.spool, name, &second), 0);
	}
	assert_int_equal(spool_cursor_open(f.spool, "one-more", &second), -ENOSPC);
	fixture_deinit(&f);
}

static void test_resume_rewind(void **state)
{
	struct spool_chunk chunk;
	struct fixture f;
	uint8_t epoch[16];

	fixture_init(&f);
	f.options.replay_bytes = 8 << 20;
	f.options.replay_age_ns = UINT64_MAX;
	fixture_open(&f);
	fixture_append(&f, 100, SPOOL_LANE_BULK, 100);
	fixture_sync(&f);
	assert_int_equal(spool_cursor_next(f.cursor, 65536, 40, &chunk), 0);
	memcpy(epoch, chunk.epoch, 16);
	assert_int_equal(spool_cursor_ack(f.cursor, epoch, 10), 0);
	spool_cursor_rewind(f.cursor);
	assert_int_equal(fixture_next(&f, &chunk), 0);
	assert_int_equal(chunk.first_seq, 11);
	/* The receiver has more than was acked. */
	assert_int_equal(spool_cursor_resume(f.cursor, epoch, 60), 0);
	assert_int_equal(fixture_stats(&f).acked, 60);
	assert_int_equal(fixture_next(&f, &chunk), 0);
	assert_int_equal(chunk.first_seq, 61);
	/* It lost some of what it acked: the replay window has it. */
	assert_int_equal(spool_cursor_resume(f.cursor, epoch, 5), 0);
	assert_int_equal(fixture_stats(&f).acked, 60);
	assert_int_equal(fixture_next(&f, &chunk), 0);
	assert_int_equal(chunk.first_seq, 6);
	assert_int_equal(chunk.last_seq, 100);
	fixture_deinit(&f);
}

static void test_resume_above_tail_begins_an_epoch(void **state)
{
	struct spool_epoch_info infos[SPOOL_MAX_EPOCHS];
	struct fixture_drained drained;
	uint8_t epoch[16];
	struct fixture f;

	fixture_init(&f);
	fixture_open(&f);
	fixture_append(&f, 10, SPOOL_LANE_BULK, 100);
	memcpy(epoch, fixture_stats(&f).epoch, 16);
	/* Also while the records of the old one are still on their way to disk. */
	assert_int_equal(spool_cursor_resume(f.cursor, epoch, 11), SPOOL_E_EPOCH);
	assert_memory_not_equal(fixture_stats(&f).epoch, epoch, 16);
	assert_int_equal(fixture_stats(&f).acked, 10);
	fixture_append(&f, 5, SPOOL_LANE_BULK, 100);
	fixture_sync(&f);
	drained = fixture_drain(&f, true);
	assert_int_equal(drained.records, 5);
	fixture_append(&f, 7, SPOOL_LANE_IMPORTANT, 100);
	/* An old epoch's excess is no alarm, and what is forgotten is unknown. */
	fixture_turn(&f);
	assert_in_range(spool_cursor_epochs(f.cursor, infos), 1, 2);
	fixture_sync(&f);
	assert_int_equal(fixture_drain(&f, true).records, 7);
	fixture_close(&f);
	fixture_open(&f);
	assert_int_equal(fixture_stats(&f).captured, 22);
	assert_int_equal(fixture_stats(&f).acked, 22);
	fixture_deinit(&f);
}

static void test_at_most_64_epochs(void **state)
{
	struct spool_epoch_info infos[SPOOL_MAX_EPOCHS];
	struct fixture_drained drained;
	struct fixture f;

	fixture_init(&f);
	f.options.segment_bytes = 64 << 10;
	fixture_open(&f);
	for (unsigned i = 0; i < 70; i++) {
		struct spool_cursor *other = NULL;
		char name[8];

		fixture_append(&f, 3, SPOOL_LANE_BULK, 50);
		fixture_sync(&f);
		/* Another forwarder makes the epochs, so that "test" has all of them left. */
		snprintf(name, sizeof(name), "other");
		assert_int_equal(spool_cursor_open(f.spool, name, &other), 0);
		assert_int_equal(spool_cursor_resume(other, fixture_stats(&f).epoch, 4),
				 SPOOL_E_EPOCH);
		spool_cursor_close(other);
		fixture_check(&f);
	}
	assert_int_equal(spool_cursor_epochs(f.cursor, infos), SPOOL_MAX_EPOCHS);
	fixture_turn(&f);
	assert_int_equal(f.lost[GONE(EPOCH_RESET)], 21);
	fixture_close(&f);
	fixture_open(&f);
	assert_int_equal(spool_cursor_epochs(f.cursor, infos), SPOOL_MAX_EPOCHS);
	drained = fixture_drain(&f, true);
	assert_int_equal(drained.records, 189);
	assert_int_equal(fixture_stats(&f).tombstoned, 21);
	fixture_turn(&f);
	fixture_deinit(&f);
}

static void test_budget_evicts_bulk_first(void **state)
{
	struct fixture_drained drained;
	struct spool_stats stats;
	struct fixture f;

	fixture_init(&f);
	f.options.max_bytes = 2 << 20;
	f.options.segment_bytes = 128 << 10;
	f.options.memory_bytes = 300 << 10;
	fixture_open(&f);
	for (unsigned i = 0; i < 100; i++) {
		fixture_append(&f, 100, SPOOL_LANE_BULK, 1000);
		fixture_append(&f, 2, SPOOL_LANE_IMPORTANT, 100);
		fixture_sync(&f);
	}
	stats = fixture_stats(&f);
	assert_true(stats.bytes_used <= 2 << 20);
	assert_true(stats.tombstoned > 5000);
	assert_int_equal(stats.tombstoned, stats.tombstoned_by_reason[GONE(SPOOL_BUDGET)]);
	fixture_turn(&f);
	assert_int_equal(f.lost[GONE(SPOOL_BUDGET)], stats.tombstoned);
	fixture_close(&f);
	/* Tombstones and their reasons survive. */
	fixture_open(&f);
	assert_int_equal(fixture_stats(&f).tombstoned, stats.tombstoned);
	drained = fixture_drain(&f, true);
	assert_int_equal(drained.gone, stats.tombstoned);
	assert_int_equal(drained.gone_by_reason[GONE(SPOOL_BUDGET)], drained.gone);
	assert_int_equal(drained.records + drained.gone, 10200);
	/* All 200 important ones are among them. */
	assert_true(drained.gone <= 10000);
	assert_int_equal(fixture_stats(&f).unacked, 0);
	fixture_close(&f);
	fixture_open(&f);
	assert_int_equal(fixture_stats(&f).captured, 10200);
	assert_int_equal(fixture_stats(&f).tombstoned, stats.tombstoned);
	fixture_deinit(&f);
}

static void test_age_limit(void **state)
{
	struct fixture_drained drained;
	struct fixture f;

	fixture_init(&f);
	f.options.max_age_ns = 30 * CLOCK_NS_PER_MS;
	fixture_open(&f);
	fixture_append(&f, 10, SPOOL_LANE_BULK, 100);
	fixture_append(&f, 5, SPOOL_LANE_IMPORTANT, 100);
	fixture_sync(&f);
	fixture_wait(&f, f.lost[GONE(SPOOL_AGE)] == 15);
	drained = fixture_drain(&f, true);
	assert_int_equal(drained.gone_by_reason[GONE(SPOOL_AGE)], 15);
	assert_int_equal(fixture_stats(&f).unacked, 0);
	fixture_deinit(&f);
}

static void test_resend_from_the_replay_window(void **state)
{
	struct spool_chunk chunk;
	uint64_t next;
	struct fixture f;
	uint8_t epoch[16];

	fixture_init(&f);
	f.options.segment_bytes = 128 << 10;
	f.options.replay_bytes = 1 << 20;
	f.options.replay_age_ns = UINT64_MAX;
	fixture_open(&f);
	for (unsigned i = 0; i < 40; i++) {
		fixture_append(&f, 100, SPOOL_LANE_BULK, 1000);
		fixture_sync(&f);
		fixture_drain(&f, true);
		fixture_turn(&f);
	}
	memcpy(epoch, fixture_stats(&f).epoch, 16);
	/* Bounded: the window, and the segments that are open. */
	assert_true(fixture_stats(&f).bytes_used <= (1 << 20) + (4 << 17));
	assert_int_equal(spool_cursor_resend(f.cursor, epoch, 3900, 9999), 0);
	for (next = 3900; next <= 4000; next = chunk.last_seq + 1) {
		assert_int_equal(fixture_next(&f, &chunk), 0);
		assert_int_equal(chunk.first_seq, next);
		assert_true(chunk.count > 0);
	}
	assert_int_equal(next, 4001);
	assert_int_equal(fixture_next(&f, &chunk), SPOOL_E_EMPTY);
	/* What the window no longer has comes as a tombstone, and counts as acked as before. */
	assert_int_equal(spool_cursor_resend(f.cursor, epoch, 1, 4000), 0);
	assert_int_equal(fixture_next(&f, &chunk), 0);
	assert_int_equal(chunk.first_seq, 1);
	assert_int_equal(chunk.count, 0);
	assert_int_equal(chunk.gone_reason, GONE(SPOOL_AGE));
	for (next = chunk.last_seq + 1; next <= 4000; next = chunk.last_seq + 1) {
		assert_int_equal(fixture_next(&f, &chunk), 0);
		assert_int_equal(chunk.first_seq, next);
		assert_true(chunk.count > 0);
	}
	assert_int_equal(fixture_stats(&f).tombstoned, 0);
	fixture_deinit(&f);
}

static void test_chunks_obey_their_limits(void **state)
{
	struct spool_chunk chunk;
	struct fixture f;

	fixture_init(&f);
	fixture_open(&f);
	fixture_append(&f, 100, SPOOL_LANE_BULK, 1000);
	fixture_append(&f, 1, SPOOL_LANE_BULK, SPOOL_RECORD_MAX);
	fixture_sync(&f);
	assert_int_equal(spool_cursor_next(f.cursor, 10000, 100, &chunk), 0);
	assert_int_equal(chunk.count, 9);
	assert_true(chunk.size <= 10000);
	assert_int_equal(spool_cursor_next(f.cursor, 1, 100, &chunk), 0);
	assert_int_equal(chunk.count, 1);
	assert_int_equal(spool_cursor_next(f.cursor, 1 << 20, 3, &chunk), 0);
	assert_int_equal(chunk.count, 3);
	assert_int_equal(spool_cursor_next(f.cursor, 1 << 20, 87, &chunk), 0);
	assert_int_equal(spool_cursor_next(f.cursor, 100, 1, &chunk), 0);
	assert_true(chunk.size > SPOOL_RECORD_MAX);
	assert_int_equal(spool_cursor_next(f.cursor, 100, 1, &chunk), SPOOL_E_EMPTY);
	fixture_deinit(&f);
}

static void test_linger_gathers_company(void **state)
{
	struct fixture f;
	uint64_t syncs;

	fixture_init(&f);
	/* Longer than any test: only who asks for durability ends it. */
	f.options.linger_ns = 3600 * CLOCK_NS_PER_S;
	fixture_open(&f);
	for (unsigned i = 0; i < 5; i++) {
		fixture_append(&f, 1, SPOOL_LANE_BULK, 100);
		fixture_turn(&f);
	}
	assert_int_equal(fixture_stats(&f).durable_seq, 0);
	syncs = fixture_stats(&f).syncs;
	fixture_sync(&f);
	assert_int_equal(fixture_stats(&f).durable_seq, 5);
	/* The folder, the segment, and the state at most. */
	assert_in_range(fixture_stats(&f).syncs - syncs, 1, 3);
	fixture_close(&f);
	f.options.linger_ns = CLOCK_NS_PER_MS;
	fixture_open(&f);
	fixture_append(&f, 1, SPOOL_LANE_BULK, 100);
	fixture_wait(&f, fixture_stats(&f).durable_seq == 6);
	fixture_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_deliver_ack),
		cmocka_unit_test(test_clean_restart_keeps_everything),
		cmocka_unit_test(test_backlog_is_read_from_disk),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_acks_out_of_range_change_nothing),
		cmocka_unit_test(test_acked_is_what_every_cursor_has),
		cmocka_unit_test(test_resume_rewind),
		cmocka_unit_test(test_resume_above_tail_begins_an_epoch),
		cmocka_unit_test(test_at_most_64_epochs),
		cmocka_unit_test(test_budget_evicts_bulk_first),
		cmocka_unit_test(test_age_limit),
		cmocka_unit_test(test_resend_from_the_replay_window),
		cmocka_unit_test(test_chunks_obey_their_limits),
		cmocka_unit_test(test_linger_gathers_company),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
