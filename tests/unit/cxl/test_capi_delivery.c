/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "afu_server.h"
#include "agent/pipeline.h"
#include "agent/settings.h"
#include "agent/spool/spool.h"
#include "collectors/cxl/capi.h"
#include "collectors/guard.h"
#include "collectors/topology/topology.h"
#include "core/clock.h"
#include "proto/codec.h"
#include "support.h"

#define KIND(x) PATHBELL__V1__EVENT_KIND__EVENT_KIND_##x

/* AFU -> guard -> pipeline -> spool -> a cursor that stands for the forwarder, and its acks back.
 */
struct bench {
	struct settings *settings;
	struct pipeline *pipeline;
	struct spool *spool;
	struct spool_cursor *cursor;
	struct guard *guard;
	struct topology *topology;
	struct capi_config config;
	uint8_t epoch[16];
	uint64_t seq;
	unsigned n_driver, n_again, n_irq, n_lost; /* as the forwarder saw them */
	unsigned n_delivered;			   /* as the collector was told */
};

static void on_readable(void *data)
{
}
static void on_degraded(void *data, bool degraded, const char *reason)
{
}
static void on_room(void *data)
{
	struct bench *bench = data;

	if (pipeline_on_room(bench->pipeline))
		guard_resume(bench->guard);
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

	assert_ptr_equal(ops, &capi_collector);
	bench->n_delivered += delivered;
	guard_delivered(bench->guard, ticket, delivered);
}

static void open_guard(struct bench *bench)
{
	struct guard_options options = { .ops = &capi_collector,
					 .config = &bench->config,
					 .loop = ev_default_loop(0),
					 .sink = { bench->pipeline, pipeline_publish } };
	struct errmsg err = { 0 };
	char text[256];

	snprintf(text, sizeof(text), "devices: [\"%s\"]\nresubmit: 2\n", afu_server_path(0));
	assert_int_equal(
		config_parse(&capi_config_table, "t", text, strlen(text), &bench->config, &err), 0);
	assert_int_equal(topology_new(&bench->topology, NULL), 0);
	options.topology = bench->topology;
	assert_int_equal(guard_new(&bench->guard, &options), 0);
	guard_start(bench->guard);
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct errmsg err = { 0 };
	struct spool_options options = { .dir = support_dir(),
					 .max_bytes = 1 << 20,
					 .segment_bytes = 256 << 10,
					 .memory_bytes = 256 << 10,
					 .stall_ns = 5 * CLOCK_NS_PER_S };
	struct spool_callbacks callbacks = { bench,	  on_readable, on_room,
					     on_degraded, on_lost,     on_acked };
	struct pipeline_options pipeline = { .data = bench, .delivered = on_delivered };

	bench->settings = settings_parse("t", "log_level: error\n", &err);
	assert_non_null(bench->settings);
	pipeline.settings = bench->settings;
	assert_int_equal(pipeline_new(&bench->pipeline, &pipeline), 0);
	assert_int_equal(spool_open(&bench->spool, ev_default_loop(0), &options, &callbacks, &err),
			 0);
	assert_int_equal(spool_cursor_open(bench->spool, "t", &bench->cursor), 0);
	pipeline_attach(bench->pipeline, bench->spool);
	afu_server_start();
	open_guard(bench);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	bench->guard = guard_free(bench->guard);
	pipeline_attach(bench->pipeline, NULL);
	spool_cursor_close(bench->cursor);
	spool_close(bench->spool, clock_monotonic_ns() + CLOCK_NS_PER_S);
	pipeline_free(bench->pipeline);
	settings_unref(bench->settings);
	topology_free(bench->topology);
	config_free(&capi_config_table, &bench->config);
	afu_server_stop();
	free(bench);
	return 0;
}

static void look(struct bench *bench, const struct spool_chunk *chunk)
{
	Pathbell__V1__Event *event;
	size_t head = 2;

	if (chunk->count == 0) {
		bench->n_lost++;
		return;
	}
	/* one framed event: tag, length, then its bytes */
	while (head < 6 && codec_framed_size(chunk->size - head) != chunk->size)
		head++;
	event = (Pathbell__V1__Event *)codec_unpack(&pathbell__v1__event__descriptor,
						    &scan_limits_event, NULL, chunk->data + head,
						    chunk->size - head, NULL);
	assert_non_null(event);
	bench->n_irq += event->kind == KIND(CAPI_AFU_IRQ);
	if (event->kind == KIND(CAPI_AFU_DRIVER)) {
		assert_memory_equal(event->capi_afu->driver_data.data, "precious", 8);
		bench->n_driver++;
		bench->n_again += event->n_extra;
	}
	pathbell__v1__event__free_unpacked(event, NULL);
}

static void forward(struct bench *bench)
{
	struct spool_chunk chunk;

	while (spool_cursor_next(bench->cursor, 65536, 1, &chunk) == 0) {
		look(bench, &chunk);
		memcpy(bench->epoch, chunk.epoch, 16);
		bench->seq = chunk.last_seq ? chunk.last_seq : chunk.first_seq;
	}
}

static bool has_irq(void *data)
{
	struct bench *bench = data;

	forward(bench);
	return bench->n_irq > 0;
}

static bool has_again(void *data)
{
	struct bench *bench = data;

	forward(bench);
	return bench->n_again > 0;
}

static bool is_told(void *data)
{
	return ((struct bench *)data)->n_delivered >= 3; /* collector.up too */
}

static bool has_lost(void *data)
{
	struct spool_stats stats;

	spool_stats(((struct bench *)data)->spool, &stats);
	return stats.tombstoned > 0;
}

static void acked_is_delivered(void **state)
{
	struct bench *bench = *state;

	afu_server_tell("0 driver 1 precious");
	afu_server_tell("0 irq 1 1");
	assert_true(support_run(has_irq, bench));
	assert_int_equal(bench->n_driver, 1);
	assert_int_equal(spool_cursor_ack(bench->cursor, bench->epoch, bench->seq), 0);
	assert_true(support_run(is_told, bench));
	bench->n_irq = 0;
	afu_server_tell("0 irq 1 2");
	assert_true(support_run(has_irq, bench));
	assert_int_equal(bench->n_driver, 1);
}

/* The spool is too small for what comes behind it while nobody takes anything: the driver event
 * ends as a tombstone, is submitted again and reaches the forwarder. */
static void tombstoned_is_submitted_again(void **state)
{
	static const struct collector_ops other = { .name = "block" };
	static uint8_t raw[4000];
	struct bench *bench = *state;
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	bool full;

	afu_server_tell("0 driver 1 precious");
	afu_server_tell("0 irq 1 1");
	assert_true(support_run(has_irq, bench));
	assert_int_equal(bench->n_driver, 1);
	bench->n_driver = 0;
	event.kind = KIND(CAPI_AFU_ERROR);
	event.raw = (ProtobufCBinaryData){ sizeof(raw), raw };
	for (unsigned i = 0; i < 4000 && !has_lost(bench); i++) {
		full = false;
		pipeline_publish(bench->pipeline, &other, &event, 0, &full);
		ev_run(ev_default_loop(0), full ? EVRUN_ONCE : EVRUN_NOWAIT);
	}
	assert_true(support_run(has_lost, bench));
	forward(bench);
	assert_int_equal(spool_cursor_ack(bench->cursor, bench->epoch, bench->seq), 0);
	assert_true(support_run(has_again, bench));
	assert_int_equal(bench->n_driver, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(acked_is_delivered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tombstoned_is_submitted_again, set_up, tear_down),
	};

	if (!afu_server_prepare())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
