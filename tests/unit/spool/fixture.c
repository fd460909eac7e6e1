/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/crc32c.h"
#include "proto/codec.h"
#include "proto/wire.h"

static void fixture_on_readable(void *data)
{
	((struct fixture *)data)->n_readable++;
}

static void fixture_on_room(void *data)
{
	((struct fixture *)data)->n_room++;
}

static void fixture_on_degraded(void *data, bool degraded, const char *reason)
{
	struct fixture *f = data;

	assert_true(!degraded || reason[0] != 0);
	f->n_degraded++;
	f->degraded = degraded;
}

static void fixture_on_lost(void *data, uint64_t count, uint32_t reason)
{
	((struct fixture *)data)->lost[reason] += count;
}

static void fixture_on_acked(void *data, const uint8_t epoch[16], uint64_t seq)
{
	struct fixture *f = data;

	f->n_acked++;
	f->acked_seq = seq;
}

void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	snprintf(f->dir, sizeof(f->dir), "/dev/shm/pathbell-spool-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->main, sizeof(f->main), "%s/main", f->dir);
	snprintf(f->fallback, sizeof(f->fallback), "%s/fallback", f->dir);
	snprintf(f->live, sizeof(f->live), "%s/live", f->dir);
	f->options = (struct spool_options){ .dir = f->main,
					     .fallback_dir = f->fallback,
					     .live_path = f->live,
					     .max_bytes = 64 << 20,
					     .segment_bytes = 1 << 20,
					     .memory_bytes = 2 << 20,
					     .stall_ns = 0 };
	f->loop = ev_loop_new(EVFLAG_AUTO);
	assert_non_null(f->loop);
}

void fixture_deinit(struct fixture *f)
{
	char command[128];

	fixture_close(f);
	ev_loop_destroy(f->loop);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): a folder this test made */
}

int fixture_try_open(struct fixture *f)
{
	struct spool_callbacks callbacks = { f,
					     fixture_on_readable,
					     fixture_on_room,
					     fixture_on_degraded,
					     fixture_on_lost,
					     fixture_on_acked };
	struct errmsg err = { 0 };
	int r = spool_open(&f->spool, f->loop, &f->options, &callbacks, &err);

	if (r < 0)
		assert_true(err.text[0] != 0);
	else
		fixture_check(f);
	return r;
}

void fixture_open(struct fixture *f)
{
	assert_int_equal(fixture_try_open(f), 0);
	assert_int_equal(spool_cursor_open(f->spool, "test", &f->cursor), 0);
}

void fixture_close(struct fixture *f)
{
	f->spool = spool_close(f->spool, clock_monotonic_ns() + 20 * CLOCK_NS_PER_S);
	f->cursor = NULL;
}

struct spool_stats fixture_stats(const struct fixture *f)
{
	struct spool_stats stats;

	spool_stats(f->spool, &stats);
	return stats;
}

void fixture_check(const struct fixture *f)
{
	struct spool_stats stats = fixture_stats(f);
	uint64_t sum = 0;

	assert_int_equal(stats.captured, stats.acked + stats.unacked + stats.tombstoned);
	for (unsigned i = 0; i < 16; i++)
		sum += stats.tombstoned_by_reason[i];
	assert_int_equal(sum, stats.tombstoned);
	assert_true(stats.durable_seq <= stats.tail_seq);
}

void fixture_fill(uint8_t *data, uint32_t size, uint64_t tag)
{
	uint64_t x = tag * UINT64_C(0x9e3779b97f4a7c15) + size;

	for (uint32_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		data[i] = (uint8_t)x;
	}
}

uint64_t fixture_append(struct fixture *f, unsigned n, enum spool_lane lane, uint32_t size)
{
	static uint8_t data[SPOOL_RECORD_MAX];
	uint64_t seq = 0;

	for (unsigned i = 0; i < n; i++) {
		struct spool_append append = { data, size, lane, 1, 0, clock_realtime_ns() };
		int r;

		append.cursor = fixture_stats(f).tail_seq + 1;
		fixture_fill(data, size, append.cursor);
		while ((r = spool_append(f->spool, &append, &seq)) == SPOOL_E_FULL)
			fixture_turn(f);
		assert_int_equal(r, 0);
	}
	fixture_check(f);
	return seq;
}

void fixture_turn(struct fixture *f)
{
	ev_run(f->loop, EVRUN_NOWAIT);
}

static void fixture_on_synced(void *data)
{
	((struct fixture *)data)->synced = true;
}

void fixture_sync(struct fixture *f)
{
	f->synced = false;
	assert_int_equal(spool_sync(f->spool, fixture_on_synced, f), 0);
	fixture_wait(f, f->synced);
}

static void fixture_verify(const struct spool_chunk *chunk)
{
	static uint8_t expected[SPOOL_RECORD_MAX];
	struct wire_reader reader;
	struct wire_field field;

	assert_int_equal(crc32c(0, chunk->data, chunk->size), chunk->crc32c);
	wire_reader_init(&reader, chunk->data, chunk->size);
	for (uint64_t seq = chunk->first_seq; seq <= chunk->last_seq; seq++) {
		assert_int_equal(wire_next(&reader, &field), 0);
		assert_int_equal(field.number, CODEC_BATCH_EVENTS_FIELD);
		fixture_fill(expected, (uint32_t)field.size, seq);
		assert_memory_equal(field.data, expected, field.size);
	}
	assert_int_equal(wire_next(&reader, &field), WIRE_E_END);
}

int fixture_next(struct fixture *f, struct spool_chunk *ret_chunk)
{
	int r;

	while ((r = spool_cursor_next(f->cursor, 65536, 1000, ret_chunk)) == SPOOL_E_PENDING) {
		unsigned before = f->n_readable;

		fixture_wait(f, f->n_readable != before);
	}
	if (r != 0)
		return r;
	if (ret_chunk->count > 0) {
		assert_int_equal(ret_chunk->last_seq - ret_chunk->first_seq + 1, ret_chunk->count);
		fixture_verify(ret_chunk);
	}
	fixture_check(f);
	return 0;
}

struct fixture_drained fixture_drain(struct fixture *f, bool ack)
{
	struct fixture_drained drained = { 0 };
	struct spool_chunk chunk;
	uint8_t epoch[16] = { 0 };

	while (fixture_next(f, &chunk) == 0) {
		if (memcmp(epoch, chunk.epoch, 16) == 0)
			assert_int_equal(chunk.first_seq, drained.last_seq + 1);
		memcpy(epoch, chunk.epoch, 16);
		drained.last_seq = chunk.last_seq;
		drained.records += chunk.count;
		if (chunk.count == 0) {
			drained.gone += chunk.last_seq - chunk.first_seq + 1;
			drained.gone_by_reason[chunk.gone_reason] +=
				chunk.last_seq - chunk.first_seq + 1;
		}
		if (ack)
			assert_int_equal(spool_cursor_ack(f->cursor, chunk.epoch, chunk.last_seq),
					 0);
		fixture_check(f);
	}
	return drained;
}

int fixture_fork(void (*body)(void *data), void *data)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		body(data);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
