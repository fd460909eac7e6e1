/* SPDX-License-Identifier: Apache-2.0 */
/* The collector contract, the same tests for every collector: what collector.h asks of an
 * implementation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "collectors/block/block.h"
#include "collectors/replay/recording.h"
#include "collectors/replay/replay.h"
#include "fault.h"
#include "harness.h"

#define KIND(x)	 PATHBELL__V1__EVENT_KIND__EVENT_KIND_##x
#define N_EVENTS 40

/* How the suite makes each collector work. */
struct subject {
	const struct collector_ops *ops;
	void *config;
	const char *(*prepare)(void); /* reason to skip, NULL = ready */
	void (*cause)(size_t n);      /* n things happen */
	void (*remove)(void);	      /* its source is not there; before harness_open */
	unsigned kind;		      /* of what cause() makes */
};

static char tracefs[64], recording[64];
static struct harness harness;
static struct fault_device device = { .fd = -1 };
static struct block_config block_config = { .buffer_size = 65536 };
static struct replay_config replay_config = { .repeat = 1, .restamp = true };

static const char *prepare_block(void)
{
	const char *missing = fault_missing();

	if (missing != NULL)
		return missing;
	snprintf(tracefs, sizeof(tracefs), "/tmp/pathbell-contract-%d", (int)getpid());
	if (fault_mount_tracefs(tracefs) < 0)
		return "no tracefs";
	return fault_device_open(&device) < 0 ? "no loop device" : NULL;
}

static void cause_block(size_t n)
{
	for (size_t i = 0; i < n; i++)
		fault_read(&device, i * 8);
}

static void remove_block(void)
{
	fault_unmount(tracefs);
}

static void write_recording(size_t n)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__BlockError error = PATHBELL__V1__BLOCK_ERROR__INIT;
	uint8_t bytes[256];
	FILE *file = fopen(recording, "wb");

	assert_non_null(file);
	assert_int_equal(recording_write_head(file), 0);
	event.kind = KIND(STORAGE_BLOCK_ERROR);
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_BLOCK_ERROR;
	event.block_error = &error;
	for (size_t i = 0; i < n; i++) {
		error.sector = i * 8;
		assert_int_equal(
			recording_write(file, bytes, pathbell__v1__event__pack(&event, bytes)), 0);
	}
	assert_int_equal(fclose(file), 0);
}

static const char *prepare_replay(void)
{
	snprintf(recording, sizeof(recording), "/tmp/pathbell-contract-%d.rec", (int)getpid());
	replay_config.file = recording;
	write_recording(N_EVENTS);
	return NULL;
}

static void cause_replay(size_t n)
{
	(void)n;
}

static void remove_replay(void)
{
	unlink(recording);
}

static const struct subject subjects[] = {
	{ &block_collector, &block_config, prepare_block, cause_block, remove_block,
	  KIND(STORAGE_BLOCK_ERROR) },
	{ &replay_collector, &replay_config, prepare_replay, cause_replay, remove_replay,
	  KIND(STORAGE_BLOCK_ERROR) },
};

static const struct subject *subject;

static int set_up(void **state)
{
	const char *missing;

	subject = *state;
	missing = subject->prepare();
	if (missing != NULL) {
		print_message("%s: skipped: %s\n", subject->ops->name, missing);
		subject = NULL;
	}
	return 0;
}

static int tear_down(void **state)
{
	harness_close(&harness);
	fault_device_close(&device);
	fault_unmount(tracefs);
	unlink(recording);
	return 0;
}

static void start(unsigned budget, uint64_t cursor)
{
	if (subject == NULL) {
		skip();
		return;
	}
	harness_open(&harness, subject->ops, subject->config, tracefs, budget, cursor);
}

static void has_name_help_and_config(void **state)
{
	const struct collector_ops *ops = ((const struct subject *)*state)->ops;

	assert_true(strlen(ops->name) > 0 && strlen(ops->name) < 32);
	assert_non_null(ops->help);
	assert_non_null(ops->config);
	assert_non_null(ops->open);
	assert_non_null(ops->read);
	assert_non_null(ops->close);
	for (size_t i = 0; i < ops->config->n_options; i++)
		assert_non_null(ops->config->options[i].help);
}

static void open_sets_something_to_wait_for(void **state)
{
	start(0, 0);
	assert_int_equal(harness_state(&harness), GUARD_UP);
	assert_true(harness.fd.fd >= 0 || harness.fd.always);
	assert_int_equal(harness_count(&harness, KIND(COLLECTOR_UP)), 1);
}

static void budget_is_respected(void **state)
{
	start(3, 0);
	subject->cause(N_EVENTS);
	assert_true(harness_run(&harness, harness_has_blocks, N_EVENTS));
	assert_true(harness.max_in_call > 0);
	assert_true(harness.max_in_call <= 3);
}

static void refused_events_come_again(void **state)
{
	size_t before;

	start(0, 0);
	if (subject->ops->snapshot != NULL)
		assert_true(harness_run(&harness, harness_has_snapshots, 1));
	harness.room = 0;
	before = harness_count(&harness, subject->kind);
	subject->cause(N_EVENTS);
	harness_settle(&harness);
	for (int i = 0; i < 4 * N_EVENTS; i++) {
		harness.room = 1;
		guard_resume(harness.guard);
		harness_settle(&harness);
	}
	harness.room = SIZE_MAX;
	guard_resume(harness.guard);
	harness_settle(&harness);
	assert_true(harness_count(&harness, subject->kind) >= before);
	assert_true(harness_run(&harness, harness_has_blocks, N_EVENTS));
}

static void events_are_complete(void **state)
{
	start(0, 0);
	subject->cause(N_EVENTS);
	assert_true(harness_run(&harness, harness_has_blocks, N_EVENTS));
	for (size_t i = 0; i < harness.n_events; i++) {
		const Pathbell__V1__Event *event = harness.events[i];

		assert_true(event->kind != KIND(UNSPECIFIED));
		assert_non_null(event->source);
		assert_string_equal(event->source->collector, subject->ops->name);
		if (event->kind == subject->kind)
			assert_true(event->time_unix_ns > 0);
	}
}

static void nothing_after_close(void **state)
{
	size_t before;

	start(0, 0);
	assert_true(harness_run(&harness, harness_has_events, 1));
	harness.guard = guard_free(harness.guard);
	before = harness.n_events;
	subject->cause(N_EVENTS);
	ev_run(harness.loop, EVRUN_NOWAIT);
	ev_run(harness.loop, EVRUN_NOWAIT);
	assert_int_equal(harness.n_events, before);
	assert_int_equal(harness.n_after_close, 0);
	assert_false(harness.is_open);
}

static void opens_again(void **state)
{
	for (int i = 0; i < 3; i++) {
		start(0, 0);
		assert_int_equal(harness_state(&harness), GUARD_UP);
		subject->cause(N_EVENTS);
		assert_true(harness_run(&harness, harness_has_blocks, N_EVENTS));
		harness_close(&harness);
	}
}

static void snapshot_comes_before_events(void **state)
{
	bool finished = false;

	start(0, 0);
	if (subject->ops->snapshot == NULL)
		return;
	subject->cause(N_EVENTS);
	assert_true(harness_run(&harness, harness_has_blocks, N_EVENTS));
	for (size_t i = 0; i < harness.n_events; i++) {
		finished |= harness.events[i]->kind == KIND(COLLECTOR_SNAPSHOT_FINISHED);
		if (harness.events[i]->kind == subject->kind)
			assert_true(finished);
	}
	assert_int_equal(harness_count(&harness, KIND(COLLECTOR_SNAPSHOT_STARTED)),
			 harness_count(&harness, KIND(COLLECTOR_SNAPSHOT_FINISHED)));
}

static void absent_source_parks(void **state)
{
	const Pathbell__V1__Event *event;

	if (subject == NULL) {
		skip();
		return;
	}
	subject->remove();
	start(0, 0);
	assert_int_equal(harness_state(&harness), GUARD_PARKED);
	harness_settle(&harness);
	event = harness_last(&harness, KIND(COLLECTOR_PARKED));
	assert_non_null(event);
	assert_true(strlen(event->collector_state->reason) > 0);
	assert_string_equal(event->collector_state->state, "parked");
	assert_int_equal(event->fault_phase, PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_RAISED);
	assert_int_equal(harness.n_reads, 0);
}

/* Beyond the contract's common part: what only a source with a cursor has. */
static void resumes_behind_the_cursor(void **state)
{
	start(0, 25);
	if (harness.inner != &replay_collector)
		return;
	assert_true(harness_run(&harness, harness_is_state, GUARD_ENDED));
	assert_int_equal(harness_count(&harness, subject->kind), N_EVENTS - 25);
	for (size_t i = 0; i < harness.n_events; i++) {
		if (harness.events[i]->kind != subject->kind)
			continue;
		assert_true(harness.events[i]->source->seq > 25);
		assert_int_equal(harness.events[i]->source->seq, harness.cursors[i]);
	}
}

#define SUITE(test, n)                                               \
	{                                                            \
#test, test, set_up, tear_down, (void *)&subjects[n] \
	}
#define SUITE_ALL(n)                                                                   \
	SUITE(has_name_help_and_config, n), SUITE(open_sets_something_to_wait_for, n), \
		SUITE(budget_is_respected, n), SUITE(refused_events_come_again, n),    \
		SUITE(events_are_complete, n), SUITE(nothing_after_close, n),          \
		SUITE(opens_again, n), SUITE(snapshot_comes_before_events, n),         \
		SUITE(absent_source_parks, n), SUITE(resumes_behind_the_cursor, n)

int main(void)
{
	const struct CMUnitTest block[] = { SUITE_ALL(0) };
	const struct CMUnitTest replay[] = { SUITE_ALL(1) };

	return cmocka_run_group_tests_name("replay", replay, NULL, NULL) +
	       cmocka_run_group_tests_name("block", block, NULL, NULL);
}
