/* SPDX-License-Identifier: Apache-2.0 */
/* The replay collector, called directly: what the guard would do is written out here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "collectors/replay/recording.h"
#include "collectors/replay/replay.h"
#include "core/clock.h"

#define N_RECORDS 10

static char path[64];
static struct replay_config config;
static struct collector_ctx ctx;
static struct collector_fd fd;
static void *replay;
static uint64_t seqs[1000], times[1000], cursors[1000], n_lost;
static size_t n_seen, room;

static uint64_t publish(struct collector_ctx *c, Pathbell__V1__Event *event, uint64_t cursor)
{
	if (room == 0) {
		c->pipeline_full = true;
		return 0;
	}
	room--;
	assert_true(event->replayed);
	seqs[n_seen] = event->source->seq;
	times[n_seen] = event->time_unix_ns;
	cursors[n_seen++] = cursor;
	return n_seen;
}

static void lost(struct collector_ctx *c, const char *cause, uint64_t count, bool minimum, int cpu)
{
	assert_string_equal(cause, "decode");
	n_lost += count;
}

static void reason(struct collector_ctx *c, const char *format, ...)
{
}

static void write_recording(int bad)
{
	FILE *file = fopen(path, "wb");
	uint8_t bytes[128];

	recording_write_head(file);
	for (int i = 0; i < N_RECORDS; i++) {
		Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
		size_t size;

		event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR;
		event.time_unix_ns = (uint64_t)i + 1;
		size = pathbell__v1__event__pack(&event, bytes);
		if (i == bad)
			memset(bytes, 0xff, size);
		recording_write(file, bytes, size);
	}
	fclose(file);
}

static int set_up(void **state)
{
	int file;

	snprintf(path, sizeof(path), "/tmp/pathbell-replay-XXXXXX");
	file = mkstemp(path);
	if (file < 0)
		return -1;
	close(file);
	write_recording(-1);
	config = (struct replay_config){ .file = path, .repeat = 1 };
	ctx = (struct collector_ctx){
		.publish = publish, .lost = lost, .reason = reason, .config = &config
	};
	n_seen = n_lost = 0;
	room = 1000;
	return 0;
}

static int tear_down(void **state)
{
	if (replay != NULL)
		replay_collector.close(replay);
	replay = NULL;
	return unlink(path);
}

static int read_all(unsigned budget)
{
	int r = COLLECTOR_E_MORE;

	assert_int_equal(replay_collector.open(&ctx, &replay, &fd), 0);
	assert_true(fd.always);
	while (r == COLLECTOR_E_MORE || r == 0) {
		ctx.pipeline_full = false;
		r = replay_collector.read(replay, budget, &fd);
		if (ctx.pipeline_full)
			room = 3;
	}
	return r;
}

static void counts_over_repeats(void **state)
{
	config.repeat = 3;
	assert_int_equal(read_all(4), COLLECTOR_E_END);
	assert_int_equal(n_seen, 30);
	for (size_t i = 0; i < n_seen; i++) {
		assert_int_equal(seqs[i], i + 1);
		assert_int_equal(cursors[i], i + 1);
		assert_int_equal(times[i], i % N_RECORDS + 1);
	}
}

static void goes_on_behind_any_cursor(void **state)
{
	config.repeat = 5;
	for (uint64_t cursor = 0; cursor <= 52; cursor++) {
		n_seen = 0;
		ctx.resume_cursor = cursor;
		assert_int_equal(read_all(7), COLLECTOR_E_END);
		assert_int_equal(n_seen, cursor < 50 ? 50 - cursor : 0);
		for (size_t i = 0; i < n_seen; i++) {
			assert_int_equal(seqs[i], cursor + i + 1);
			assert_int_equal(times[i], (cursor + i) % N_RECORDS + 1);
		}
		replay_collector.close(replay);
		replay = NULL;
	}
}

static void a_full_pipeline_loses_nothing(void **state)
{
	config.repeat = 4;
	room = 0;
	assert_int_equal(read_all(256), COLLECTOR_E_END);
	assert_int_equal(n_seen, 40);
	for (size_t i = 0; i < n_seen; i++)
		assert_int_equal(seqs[i], i + 1);
}

static void a_bad_record_is_counted(void **state)
{
	write_recording(4);
	assert_int_equal(read_all(256), COLLECTOR_E_END);
	assert_int_equal(n_seen, N_RECORDS - 1);
	assert_int_equal(n_lost, 1);
	assert_int_equal(seqs[4], 6);
}

static void keeps_the_rate(void **state)
{
	uint64_t start_ns = clock_monotonic_ns(), end_ns;
	int r = 0;

	config.rate = 200;
	config.repeat = 3;
	assert_int_equal(replay_collector.open(&ctx, &replay, &fd), 0);
	while (r == 0 || r == COLLECTOR_E_MORE) {
		r = replay_collector.read(replay, 256, &fd);
		if (r == 0)
			assert_true(fd.not_before_ns > start_ns);
		while (r == 0 && clock_monotonic_ns() < fd.not_before_ns)
			usleep(500);
	}
	end_ns = clock_monotonic_ns();
	assert_int_equal(r, COLLECTOR_E_END);
	assert_int_equal(n_seen, 30);
	/* Never faster than the rate: 29 pauses of 5 ms. A slow machine may take longer. */
	assert_true(end_ns - start_ns >= 29 * 5 * CLOCK_NS_PER_MS);
}

static void restamps_when_asked(void **state)
{
	uint64_t before_ns = clock_realtime_ns();

	config.restamp = true;
	assert_int_equal(read_all(256), COLLECTOR_E_END);
	assert_true(times[0] >= before_ns);
}

static void refuses_what_is_no_recording(void **state)
{
	FILE *file = fopen(path, "wb");

	fputs("something else", file);
	fclose(file);
	assert_int_equal(replay_collector.open(&ctx, &replay, &fd), -74);
	config.file = NULL;
	assert_int_equal(replay_collector.open(&ctx, &replay, &fd), COLLECTOR_E_ABSENT);
	config.file = (char *)"/nonexistent/x.rec";
	assert_int_equal(replay_collector.open(&ctx, &replay, &fd), COLLECTOR_E_ABSENT);
	replay = NULL;
}

#define TEST(x) cmocka_unit_test_setup_teardown(x, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counts_over_repeats),
		TEST(goes_on_behind_any_cursor),
		TEST(a_full_pipeline_loses_nothing),
		TEST(a_bad_record_is_counted),
		TEST(keeps_the_rate),
		TEST(restamps_when_asked),
		TEST(refuses_what_is_no_recording),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
