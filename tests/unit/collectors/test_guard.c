/* SPDX-License-Identifier: Apache-2.0 */
/* The guard around a collector that does what the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "collectors/guard.h"
#include "collectors/topology/topology.h"

#define KIND(x)	 PATHBELL__V1__EVENT_KIND__EVENT_KIND_##x
#define PHASE(x) PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_##x

static struct script {
	int open, read, snapshot;   /* outcomes */
	unsigned n_publish, n_lost; /* by each read */
	bool beyond_budget;	    /* publishes n_publish whatever the budget */
	bool always;
	bool settles; /* by each read */
	const char *retry_path;
} script;

static struct {
	struct collector_ctx *ctx;
	unsigned opens, reads, snapshots, closes, delivered;
	int fd;
} made;

static struct {
	unsigned kind, phase;
	uint64_t seq;
	char text[64];
} seen[4096];
static size_t n_seen, room;

static struct ev_loop *loop;
static struct topology *topology;
static struct guard *guard;

static int script_open(struct collector_ctx *ctx, void **ret_state, struct collector_fd *ret_fd)
{
	made.ctx = ctx;
	made.opens++;
	ctx->reason(ctx, "open number %u", script.open == 0 ? 0 : 1);
	if (script.open != 0 && script.open != COLLECTOR_E_BLIND)
		return script.open;
	*ret_state = &made;
	*ret_fd = (struct collector_fd){ .fd = made.fd, .always = script.always };
	return script.open;
}

static uint64_t script_seq;

static int script_read(void *state, unsigned budget, struct collector_fd *fd)
{
	made.reads++;
	for (unsigned i = 0; i < script.n_publish && (script.beyond_budget || i < budget); i++) {
		Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
		Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;

		event.kind = KIND(STORAGE_BLOCK_ERROR);
		event.source = &source;
		source.seq = script_seq + 1;
		made.ctx->publish(made.ctx, &event, script_seq + 1);
		if (made.ctx->pipeline_full)
			return COLLECTOR_E_MORE;
		script_seq++;
	}
	if (script.n_lost > 0)
		made.ctx->lost(made.ctx, "enobufs", script.n_lost, false, -1);
	if (script.settles)
		made.ctx->settled(made.ctx);
	script.n_lost = 0;
	return script.read;
}

static int script_snapshot(void *state)
{
	made.snapshots++;
	return script.snapshot;
}

static void script_close(void *state)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;

	made.closes++;
	assert_ptr_equal(state, &made);
	event.kind = KIND(WATCH_REMOVED);
	made.ctx->publish(made.ctx, &event, 0);
}

static void script_delivered(void *state, uint64_t ticket, bool delivered)
{
	made.delivered += delivered;
}

static const char *script_retry_path(struct collector_ctx *ctx)
{
	return script.retry_path;
}

static const struct config_table no_config = { .size = 1 };

static const struct collector_ops script_ops = {
	.name = "script",
	.help = "Does what the test says.",
	.config = &no_config,
	.open = script_open,
	.read = script_read,
	.snapshot = script_snapshot,
	.close = script_close,
	.delivered = script_delivered,
	.retry_path = script_retry_path,
};

static uint64_t sink(void *data, const struct collector_ops *ops, Pathbell__V1__Event *event,
		     uint64_t cursor, bool *ret_full)
{
	if (room == 0) {
		*ret_full = true;
		return 0;
	}
	room--;
	seen[n_seen].kind = event->kind;
	seen[n_seen].phase = event->fault_phase;
	seen[n_seen].seq = event->source->seq;
	snprintf(seen[n_seen].text, sizeof(seen[0].text), "%s",
		 event->payload_case == PATHBELL__V1__EVENT__PAYLOAD_COLLECTOR_STATE
			 ? event->collector_state->reason
			 : "");
	assert_string_equal(event->source->collector, "script");
	return ++n_seen;
}

/* What the sink hears of openings and of faults that may have ended. */
static unsigned n_opened, n_settled, n_settled_full;

static void sink_opened(void *data, const struct collector_ops *ops)
{
	n_opened++;
}

static bool sink_settled(void *data, const struct collector_ops *ops)
{
	assert_ptr_equal(ops, &script_ops);
	n_settled += room > 0;
	n_settled_full += room == 0;
	return room > 0;
}

static void start(unsigned budget)
{
	struct guard_options options = {
		.ops = &script_ops,
		.loop = loop,
		.topology = topology,
		.budget = budget,
		.resume_cursor = 7,
		.sink = { .publish = sink, .opened = sink_opened, .settled = sink_settled }
	};

	assert_int_equal(guard_new(&guard, &options), 0);
	guard_start(guard);
}

static int set_up(void **state)
{
	memset(&made, 0, sizeof(made));
	script = (struct script){ 0 };
	script_seq = n_seen = 0;
	n_opened = n_settled = n_settled_full = 0;
	room = 4096;
	made.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop = ev_loop_new(EVFLAG_AUTO);
	return topology_new(&topology, NULL);
}

static int tear_down(void **state)
{
	guard = guard_free(guard);
	topology_free(topology);
	ev_loop_destroy(loop);
	return close(made.fd);
}

static enum guard_state state_of(void)
{
	struct guard_status status;

	guard_status(guard, &status);
	return status.state;
}

static size_t count(unsigned kind)
{
	size_t n = 0;

	for (size_t i = 0; i < n_seen; i++)
		n += seen[i].kind == kind;
	return n;
}

static void turns(int n)
{
	while (n-- > 0)
		ev_run(loop, EVRUN_NOWAIT);
}

static void ring(void)
{
	uint64_t one = 1;

	assert_int_equal(write(made.fd, &one, sizeof(one)), sizeof(one));
}

static void quiet(void)
{
	uint64_t value;

	assert_int_equal(read(made.fd, &value, sizeof(value)), sizeof(value));
}

static void on_timer(struct ev_loop *l, struct ev_timer *timer, int events)
{
	ev_break(l, EVBREAK_ALL);
}

/* Runs for @seconds or until @predicate. */
static void run(double seconds, bool (*predicate)(void))
{
	struct ev_timer timer;

	ev_timer_init(&timer, on_timer, seconds, 0.0);
	ev_now_update(loop);
	ev_timer_start(loop, &timer);
	while (ev_is_active(&timer) && (predicate == NULL || !predicate()))
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &timer);
}

static void up_then_snapshot_then_events(void **state)
{
	script.n_publish = 1;
	start(0);
	ring();
	turns(6);
	assert_int_equal(seen[0].kind, KIND(COLLECTOR_UP));
	assert_int_equal(seen[0].phase, PHASE(UNSPECIFIED));
	assert_int_equal(seen[1].kind, KIND(COLLECTOR_SNAPSHOT_STARTED));
	assert_string_equal(seen[1].text, "start");
	assert_int_equal(seen[2].kind, KIND(COLLECTOR_SNAPSHOT_FINISHED));
	assert_int_equal(seen[3].kind, KIND(STORAGE_BLOCK_ERROR));
	assert_int_equal(made.snapshots, 1);
	quiet();
	made.reads = 0;
	turns(10);
	assert_int_equal(made.reads, 0);
}

static void a_budget_is_enforced(void **state)
{
	script.n_publish = 10;
	script.beyond_budget = true;
	start(4);
	ring();
	turns(2); /* up, snapshot; then one read */
	while (made.reads == 0)
		turns(1);
	assert_int_equal(count(KIND(STORAGE_BLOCK_ERROR)), 4);
	turns(1);
	assert_int_equal(count(KIND(STORAGE_BLOCK_ERROR)), 8);
	for (size_t i = 0, seq = 0; i < n_seen; i++) {
		if (seen[i].kind == KIND(STORAGE_BLOCK_ERROR))
			assert_int_equal(seen[i].seq, ++seq);
	}
}

static bool is_open_twice(void)
{
	return made.opens >= 2;
}

static bool is_open_thrice(void)
{
	return made.opens >= 3;
}

static void failure_is_told_once_and_retried(void **state)
{
	script.open = -EIO;
	start(0);
	assert_int_equal(state_of(), GUARD_FAILED);
	assert_int_equal(made.closes, 0);
	run(20, is_open_twice);
	assert_int_equal(count(KIND(COLLECTOR_FAILED)), 1);
	assert_int_equal(seen[0].phase, PHASE(RAISED));
	script.open = 0;
	run(20, is_open_thrice);
	assert_int_equal(state_of(), GUARD_UP);
	assert_int_equal(seen[1].kind, KIND(COLLECTOR_UP));
	assert_int_equal(seen[1].phase, PHASE(CLEARED));
}

static void a_failed_read_closes_and_reopens(void **state)
{
	struct guard_status status;

	start(0);
	turns(3);
	script.read = -ENXIO;
	ring();
	turns(2);
	assert_int_equal(state_of(), GUARD_FAILED);
	assert_int_equal(made.closes, 1);
	script.read = 0;
	run(20, is_open_twice);
	guard_status(guard, &status);
	assert_int_equal(status.state, GUARD_UP);
	assert_int_equal(status.reopened, 1);
}

static void reopening_goes_on_behind_what_was_taken(void **state)
{
	script.n_publish = 9;
	start(0);
	assert_int_equal(made.ctx->resume_cursor, 7);
	ring();
	turns(3);
	assert_int_equal(made.ctx->resume_cursor, script_seq);
	assert_true(script_seq >= 9);
}

static void the_end_is_the_end(void **state)
{
	script.read = COLLECTOR_E_END;
	script.always = true;
	start(0);
	turns(6);
	assert_int_equal(state_of(), GUARD_ENDED);
	assert_int_equal(made.closes, 1);
	assert_int_equal(made.reads, 1);
	assert_int_equal(count(KIND(COLLECTOR_FAILED)), 0);
	guard_snapshot(guard);
	guard_resume(guard);
	turns(6);
	assert_int_equal(made.snapshots, 1);
}

static void an_unknown_outcome_is_a_failure(void **state)
{
	script.read = 99;
	script.always = true;
	start(0);
	turns(6);
	assert_int_equal(state_of(), GUARD_FAILED);
}

static void loss_becomes_a_gap_and_a_snapshot(void **state)
{
	struct guard_status status;

	start(0);
	turns(4);
	script.n_lost = 5;
	ring();
	turns(2);
	quiet();
	turns(3);
	guard_status(guard, &status);
	assert_int_equal(status.lost, 5);
	assert_int_equal(status.gaps, 1);
	assert_int_equal(count(KIND(COLLECTOR_GAP)), 1);
	/* The first snapshot was a moment ago: the next one waits, so that a storm is not made
	 * worse. */
	assert_int_equal(made.snapshots, 1);
	guard_snapshot(guard);
	turns(3);
	assert_int_equal(made.snapshots, 2);
}

static void a_full_sink_stops_and_resumes_everything(void **state)
{
	room = 0;
	script.n_publish = 3;
	start(0);
	ring();
	turns(10);
	assert_int_equal(n_seen, 0);
	assert_int_equal(made.reads, 0);
	for (int i = 0; i < 12; i++) {
		room = 1;
		guard_resume(guard);
		turns(2);
	}
	assert_int_equal(seen[0].kind, KIND(COLLECTOR_UP));
	assert_int_equal(seen[1].kind, KIND(COLLECTOR_SNAPSHOT_STARTED));
	assert_int_equal(seen[2].kind, KIND(COLLECTOR_SNAPSHOT_FINISHED));
	for (size_t i = 3; i < n_seen; i++)
		assert_int_equal(seen[i].seq, i - 2);
	assert_true(n_seen >= 10);
}

static void a_snapshot_in_steps(void **state)
{
	script.snapshot = COLLECTOR_E_MORE;
	start(0);
	turns(5);
	assert_true(made.snapshots >= 3);
	assert_int_equal(count(KIND(COLLECTOR_SNAPSHOT_STARTED)), 1);
	assert_int_equal(count(KIND(COLLECTOR_SNAPSHOT_FINISHED)), 0);
	script.snapshot = 0;
	turns(2);
	assert_int_equal(count(KIND(COLLECTOR_SNAPSHOT_FINISHED)), 1);
}

static void parks_until_the_path_appears(void **state)
{
	char folder[] = "/tmp/pathbell-guard-XXXXXX", path[64];
	int file;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/device", folder);
	script.retry_path = path;
	script.open = COLLECTOR_E_ABSENT;
	start(0);
	assert_int_equal(state_of(), GUARD_PARKED);
	run(20, is_open_twice); /* the one look behind the arming of the watch */
	script.open = 0;
	file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(file);
	run(20, is_open_thrice);
	unlink(path);
	rmdir(folder);
	assert_int_equal(state_of(), GUARD_UP);
	assert_int_equal(count(KIND(COLLECTOR_PARKED)), 1);
}

static void blind_stays_open_and_may_recover(void **state)
{
	script.open = COLLECTOR_E_BLIND;
	start(0);
	assert_int_equal(state_of(), GUARD_BLIND);
	assert_int_equal(made.closes, 0);
	turns(3);
	script.n_publish = 1;
	ring();
	turns(2);
	assert_int_equal(state_of(), GUARD_UP);
	quiet();
}

static void an_empty_but_ready_descriptor_does_not_spin(void **state)
{
	start(0);
	turns(3);
	ring();
	run(0.35, NULL);
	/* 64 at once, then one for each 100 ms; a slow machine makes fewer. */
	assert_true(made.reads >= 10);
	assert_true(made.reads < 64 + 10);
	/* Something to read: back to full speed. */
	script.n_publish = 1;
	made.reads = 0;
	run(0.3, NULL);
	assert_true(made.reads > 1);
}

static void delivered_reaches_only_the_open(void **state)
{
	start(0);
	guard_delivered(guard, 1, true);
	assert_int_equal(made.delivered, 1);
	script.read = COLLECTOR_E_END;
	ring();
	turns(5);
	guard_delivered(guard, 2, true);
	assert_int_equal(made.delivered, 1);
}

static void every_opening_is_told_before_what_it_publishes(void **state)
{
	start(0);
	assert_int_equal(n_opened, 1);
	turns(3);
	script.read = -ENXIO;
	ring();
	turns(2);
	script.read = 0;
	run(20, is_open_twice);
	assert_int_equal(n_opened, 2);
	assert_int_equal(n_settled, 0);
}

/* Once for each time the collector says it, and again where there was no room. */
static void settled_waits_for_room(void **state)
{
	start(0);
	turns(3);
	script.settles = true;
	room = 0;
	ring();
	turns(2);
	assert_int_equal(n_settled, 0);
	assert_true(n_settled_full > 0);
	script.settles = false;
	quiet();
	room = 4096;
	guard_resume(guard);
	turns(3);
	assert_int_equal(n_settled, 1);
}

/* What a collector says while it closes is its last word. */
static void nothing_comes_after_close(void **state)
{
	size_t before;

	start(0);
	turns(4);
	before = n_seen;
	room = 4096;
	guard = guard_free(guard);
	assert_int_equal(made.closes, 1);
	assert_int_equal(n_seen, before + 1);
	assert_int_equal(seen[before].kind, KIND(WATCH_REMOVED));
	ring();
	turns(3);
	assert_int_equal(n_seen, before + 1);
	assert_int_equal(made.reads, 0);
}

/* What was there before the end is read; the loop does not turn for it. */
static void the_end_reads_what_waits(void **state)
{
	start(4);
	turns(3);
	script.n_publish = 3;
	ring();
	guard_drain(guard);
	assert_true(count(KIND(STORAGE_BLOCK_ERROR)) >= 3);
	assert_int_equal(count(KIND(COLLECTOR_GAP)), 0);
}

static void the_end_asks_nothing_of_a_quiet_source(void **state)
{
	unsigned reads;

	start(4);
	turns(3);
	reads = made.reads;
	script.n_publish = 3;
	guard_drain(guard);
	assert_int_equal(made.reads, reads);
}

/* Ready for ever with nothing to read: it ends all the same. */
static void the_end_of_an_empty_but_ready_source(void **state)
{
	unsigned reads;

	start(4);
	turns(3);
	reads = made.reads;
	ring();
	guard_drain(guard);
	assert_int_equal(made.reads, reads + 4);
	assert_int_equal(count(KIND(COLLECTOR_GAP)), 0);
}

/* No room: the rest is a gap, which is told as soon as there is room. */
static void the_end_without_room_is_a_gap(void **state)
{
	start(4);
	turns(3);
	script.n_publish = 3;
	room = 2;
	ring();
	guard_drain(guard);
	assert_int_equal(count(KIND(STORAGE_BLOCK_ERROR)), 2);
	room = 10;
	guard_resume(guard);
	assert_int_equal(count(KIND(COLLECTOR_GAP)), 1);
}

#define TEST(x) cmocka_unit_test_setup_teardown(x, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(up_then_snapshot_then_events),
		TEST(a_budget_is_enforced),
		TEST(failure_is_told_once_and_retried),
		TEST(a_failed_read_closes_and_reopens),
		TEST(reopening_goes_on_behind_what_was_taken),
		TEST(the_end_is_the_end),
		TEST(an_unknown_outcome_is_a_failure),
		TEST(loss_becomes_a_gap_and_a_snapshot),
		TEST(a_full_sink_stops_and_resumes_everything),
		TEST(a_snapshot_in_steps),
		TEST(parks_until_the_path_appears),
		TEST(blind_stays_open_and_may_recover),
		TEST(an_empty_but_ready_descriptor_does_not_spin),
		TEST(delivered_reaches_only_the_open),
		TEST(every_opening_is_told_before_what_it_publishes),
		TEST(settled_waits_for_room),
		TEST(nothing_comes_after_close),
		TEST(the_end_reads_what_waits),
		TEST(the_end_asks_nothing_of_a_quiet_source),
		TEST(the_end_of_an_empty_but_ready_source),
		TEST(the_end_without_room_is_a_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
