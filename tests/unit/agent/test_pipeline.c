/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/pipeline.h"
#include "core/clock.h"
#include "core/id.h"
#include "proto/codec.h"
#include "support.h"

/* The pipeline over a real spool in a fresh folder. */
struct bench {
	struct settings *settings;
	struct pipeline *pipeline;
	struct spool *spool;
	struct spool_cursor *cursor;
	unsigned rooms, delivered, undelivered, synced;
};

static void on_readable(void *data)
{
}
static void on_degraded(void *data, bool degraded, const char *reason)
{
}
static void on_synced(void *data)
{
	((struct bench *)data)->synced++;
}

static void on_room(void *data)
{
	struct bench *bench = data;

	bench->rooms += pipeline_on_room(bench->pipeline);
}

static void on_lost(void *data, uint64_t count, uint32_t reason)
{
	pipeline_on_lost(((struct bench *)data)->pipeline);
}

static void on_acked(void *data, const uint8_t epoch[16], uint64_t seq)
{
	pipeline_on_acked(((struct bench *)data)->pipeline, epoch, seq);
}

static void on_delivered(void *data, const struct collector_ops *ops, uint64_t ticket,
			 bool delivered)
{
	struct bench *bench = data;

	delivered ? bench->delivered++ : bench->undelivered++;
}

static void told(void *state, uint64_t ticket, bool delivered)
{
}

static const struct collector_ops plain = { .name = "block" };
static const struct collector_ops asking = { .name = "block", .delivered = told };

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct errmsg err = { 0 };
	struct spool_options options = { .dir = support_dir(),
					 .max_bytes = 8 << 20,
					 .segment_bytes = 1 << 20,
					 .memory_bytes = 256 << 10,
					 .stall_ns = 5 * CLOCK_NS_PER_S };
	struct spool_callbacks callbacks = { bench,	  on_readable, on_room,
					     on_degraded, on_lost,     on_acked };
	struct pipeline_options pipeline = { .data = bench, .delivered = on_delivered };

	bench->settings =
		settings_parse("t", "filters: [{name: drop, kind: storage.device.state}]\n", &err);
	assert_non_null(bench->settings);
	pipeline.settings = bench->settings;
	assert_int_equal(pipeline_new(&bench->pipeline, &pipeline), 0);
	assert_int_equal(spool_open(&bench->spool, ev_default_loop(0), &options, &callbacks, &err),
			 0);
	assert_int_equal(spool_cursor_open(bench->spool, "t", &bench->cursor), 0);
	pipeline_attach(bench->pipeline, bench->spool);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	pipeline_attach(bench->pipeline, NULL);
	spool_cursor_close(bench->cursor);
	spool_close(bench->spool, clock_monotonic_ns() + CLOCK_NS_PER_S);
	pipeline_free(bench->pipeline);
	settings_unref(bench->settings);
	free(bench);
	return 0;
}

static Pathbell__V1__Event make(unsigned kind)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;

	event.kind = (Pathbell__V1__EventKind)kind;
	return event;
}

struct taken {
	struct bench *bench;
	unsigned wanted, n;
	Pathbell__V1__Event *last;
	uint8_t epoch[16];
	uint64_t seq;
};

static bool take(void *data)
{
	struct taken *taken = data;
	struct spool_chunk chunk;

	while (spool_cursor_next(taken->bench->cursor, 65536, 1, &chunk) == 0) {
		/* one framed event: tag, length, then its bytes */
		size_t head = 2;

		taken->seq = chunk.last_seq ? chunk.last_seq : chunk.first_seq;
		memcpy(taken->epoch, chunk.epoch, 16);
		if (!chunk.count)
			continue; /* a tombstone */
		while (head < 6 && codec_framed_size(chunk.size - head) != chunk.size)
			head++;
		if (taken->last)
			protobuf_c_message_free_unpacked(&taken->last->base, NULL);
		taken->last = codec_unpack(&pathbell__v1__event__descriptor, &scan_limits_event,
					   NULL, chunk.data + head, chunk.size - head, NULL);
		taken->n += chunk.count;
	}
	return taken->n >= taken->wanted;
}

static void stamps_and_appends(void **state)
{
	struct bench *bench = *state;
	struct taken taken = { .bench = bench, .wanted = 1 };
	Pathbell__V1__Event event = make(PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR);
	bool full = false;

	assert_int_not_equal(pipeline_publish(bench->pipeline, &plain, &event, 5, &full), 0);
	assert_false(full);
	assert_true(support_run(take, &taken));
	assert_non_null(taken.last);
	assert_true(taken.last->time_unix_ns &&
		    taken.last->observed_unix_ns == taken.last->time_unix_ns);
	assert_true(taken.last->boottime_ns != 0);
	assert_memory_equal(taken.last->boot_id.data, id_boot(), 16);
	assert_int_equal(spool_source_cursor(bench->spool, 1), 5);
	protobuf_c_message_free_unpacked(&taken.last->base, NULL);
}

static void drops_by_rule_and_counts(void **state)
{
	struct bench *bench = *state;
	Pathbell__V1__Event event = make(PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_DEVICE_STATE);
	bool full = false;

	assert_int_equal(pipeline_publish(bench->pipeline, &plain, &event, 0, &full), 0);
	assert_false(full);
	assert_int_equal(counter_get(&pipeline_counters(bench->pipeline)->filtered), 1);
	assert_int_equal(pipeline_filter(bench->pipeline)->rules[0].matched, 1);
}

static void cuts_then_refuses_what_is_too_large(void **state)
{
	static uint8_t raw[70000];
	static char text[70000];
	struct bench *bench = *state;
	struct taken taken = { .bench = bench, .wanted = 1 };
	Pathbell__V1__Event event = make(PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR);
	bool full = false;

	event.raw = (ProtobufCBinaryData){ sizeof(raw), raw };
	assert_int_not_equal(pipeline_publish(bench->pipeline, &plain, &event, 0, &full), 0);
	assert_int_equal(counter_get(&pipeline_counters(bench->pipeline)->cut), 1);
	assert_true(support_run(take, &taken));
	assert_int_equal(taken.last->raw.len, 0);

	memset(text, 'x', sizeof(text) - 1);
	event.fault_id = text;
	assert_int_equal(pipeline_publish(bench->pipeline, &plain, &event, 0, &full), 0);
	assert_false(full);
	assert_int_equal(counter_get(&pipeline_counters(bench->pipeline)->oversize), 1);
	taken.wanted = 2;
	assert_true(support_run(take, &taken));
	assert_int_equal(taken.last->kind, PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_GAP);
	assert_string_equal(taken.last->gap->cause, "oversize");
	assert_string_equal(taken.last->source->collector, "agent");
	protobuf_c_message_free_unpacked(&taken.last->base, NULL);
}

static bool has_room(void *data)
{
	return ((struct bench *)data)->rooms > 0;
}

/* The ring is 256 KiB: a burst fills it, the collector is told, own events wait and come first. */
static void full_is_told_and_resumed(void **state)
{
	static uint8_t raw[4000];
	struct bench *bench = *state;
	struct announcer announcer = pipeline_announcer(bench->pipeline);
	Pathbell__V1__Event event = make(PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR);
	struct taken taken = { .bench = bench };
	bool full = false;
	unsigned n = 0;

	event.raw = (ProtobufCBinaryData){ sizeof(raw), raw };
	while (!full && n < 10000) {
		pipeline_publish(bench->pipeline, &plain, &event, 0, &full);
		n += !full;
	}
	assert_true(full);
	for (unsigned i = 0; i < 100; i++)
		announce_agent(&announcer, PATHBELL__V1__EVENT_KIND__EVENT_KIND_AGENT_STARTED, "x",
			       "y", i);
	assert_int_equal(counter_get(&pipeline_counters(bench->pipeline)->own_dropped), 36);
	assert_int_not_equal(announcer.sync(announcer.data, on_synced, bench), 0);
	assert_true(support_run(has_room, bench));
	taken.wanted = n + 64;
	assert_true(support_run(take, &taken));
	assert_int_equal(taken.n, n + 64);
	assert_int_equal(taken.last->agent_state->config_generation, 99);
	protobuf_c_message_free_unpacked(&taken.last->base, NULL);
}

static bool all_delivered(void *data)
{
	return ((struct bench *)data)->delivered == 10;
}

static void delivery_comes_back(void **state)
{
	struct bench *bench = *state;
	Pathbell__V1__Event event = make(PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR);
	struct taken taken = { .bench = bench, .wanted = 10 };
	bool full = false;

	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(pipeline_publish(bench->pipeline, &asking, &event, 0, &full),
				 i + 1);
	assert_true(support_run(take, &taken));
	assert_int_equal(bench->delivered, 0);
	assert_int_equal(spool_cursor_ack(bench->cursor, taken.epoch, taken.seq), 0);
	assert_true(support_run(all_delivered, bench));
	assert_int_equal(bench->undelivered, 0);
	protobuf_c_message_free_unpacked(&taken.last->base, NULL);
}

static bool twenty_told(void *data)
{
	struct bench *bench = data;

	return bench->delivered + bench->undelivered == 20;
}

/* The bulk lane loses its oldest, the important one nothing: each event is told by its own fate. */
static void only_what_became_a_tombstone_is_undelivered(void **state)
{
	static uint8_t raw[4000];
	struct bench *bench = *state;
	Pathbell__V1__Event bulk = make(PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR);
	Pathbell__V1__Event important =
		make(PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_PATH_FAILED);
	struct taken taken = { .bench = bench };
	struct spool_stats stats = { 0 };
	bool full = false;

	for (unsigned i = 0; i < 20; i++)
		assert_int_not_equal(pipeline_publish(bench->pipeline, &asking,
						      i % 2 ? &bulk : &important, 0, &full),
				     0);
	bulk.raw = (ProtobufCBinaryData){ sizeof(raw), raw };
	while (stats.tombstoned == 0) {
		full = false;
		pipeline_publish(bench->pipeline, &plain, &bulk, 0, &full);
		ev_run(ev_default_loop(0), full ? EVRUN_ONCE : EVRUN_NOWAIT);
		spool_stats(bench->spool, &stats);
	}
	taken.wanted = (unsigned)(stats.tail_seq - stats.tombstoned);
	assert_true(support_run(take, &taken));
	assert_int_equal(spool_cursor_ack(bench->cursor, taken.epoch, taken.seq), 0);
	assert_true(support_run(twenty_told, bench));
	assert_int_equal(bench->delivered, 10);
	assert_int_equal(bench->undelivered, 10);
	protobuf_c_message_free_unpacked(&taken.last->base, NULL);
}

/* Nobody takes anything: capture goes on when the tickets are used up. */
static void capture_does_not_wait_for_delivery(void **state)
{
	struct bench *bench = *state;
	Pathbell__V1__Event event = make(PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR);
	unsigned n = 0;

	while (n < 5000) {
		bool full = false;

		n += pipeline_publish(bench->pipeline, &asking, &event, 0, &full) != 0;
		ev_run(ev_default_loop(0), full ? EVRUN_ONCE : EVRUN_NOWAIT);
	}
	assert_int_equal(counter_get(&pipeline_counters(bench->pipeline)->untold), 5000 - 4096);
}

static void no_spool_is_full(void **state)
{
	struct bench *bench = *state;
	Pathbell__V1__Event event = make(PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR);
	bool full = false;

	pipeline_attach(bench->pipeline, NULL);
	assert_int_equal(pipeline_publish(bench->pipeline, &plain, &event, 0, &full), 0);
	assert_true(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(stamps_and_appends, setup, teardown),
		cmocka_unit_test_setup_teardown(drops_by_rule_and_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(cuts_then_refuses_what_is_too_large, setup,
						teardown),
		cmocka_unit_test_setup_teardown(full_is_told_and_resumed, setup, teardown),
		cmocka_unit_test_setup_teardown(delivery_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(only_what_became_a_tombstone_is_undelivered, setup,
						teardown),
		cmocka_unit_test_setup_teardown(capture_does_not_wait_for_delivery, setup,
						teardown),
		cmocka_unit_test_setup_teardown(no_spool_is_full, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
