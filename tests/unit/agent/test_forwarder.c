/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/forwarder.h"
#include "agent/pipeline.h"
#include "core/clock.h"
#include "support.h"

/* The supervisor with real processes that behave, and misbehave: fake_forwarder.c. */
struct bench {
	char *dir;
	struct support_events events;
	struct settings *settings;
	struct spool *spool;
	struct forwarder *forwarder;
	unsigned commands, stopped, generation;
	struct forwarder_status status;
	char wanted[128];
};

static void on_readable(void *data)
{
	struct bench *bench = data;

	if (bench->forwarder)
		forwarder_kick(bench->forwarder);
}

static void on_room(void *data)
{
}
static void on_degraded(void *data, bool degraded, const char *reason)
{
}
static void on_lost(void *data, uint64_t count, uint32_t reason)
{
}
static void on_acked(void *data, const uint8_t epoch[16], uint64_t seq)
{
}
static void on_changed(void *data)
{
}
static void on_command(void *data, const void *envelope, size_t size)
{
	((struct bench *)data)->commands++;
}
static void on_stopped(void *data)
{
	((struct bench *)data)->stopped++;
}

static void start(struct bench *bench, const char *mode)
{
	struct forwarder_options options = { .name = "uplink",
					     .libexec = "/nonexistent",
					     .loop = ev_default_loop(0),
					     .spool = bench->spool,
					     .announcer = support_announcer(&bench->events),
					     .generation = UINT64_C(5) << 40,
					     .data = bench,
					     .command = on_command,
					     .changed = on_changed,
					     .stopped = on_stopped };
	struct errmsg err = { 0 };
	char yaml[1024];

	snprintf(yaml, sizeof(yaml),
		 "host_id: h1\nuplink: {enabled: true, addresses: [\"a:1\", \"b:2\"], ca_file: "
		 "%s/log, "
		 "certificate_file: /c, key_file: %s/envelope, user: \"0\", program: %s/%s}\n",
		 bench->dir, bench->dir, TEST_FAKES, mode);
	bench->settings = settings_parse("t", yaml, &err);
	assert_non_null(bench->settings);
	assert_int_equal(forwarder_new(&bench->forwarder, &options, bench->settings), 0);
	forwarder_start(bench->forwarder);
}

static void append(struct bench *bench, unsigned n)
{
	uint8_t event[100] = { 0 };
	struct spool_append record = { .data = event,
				       .size = sizeof(event),
				       .lane = SPOOL_LANE_BULK,
				       .now_ns = clock_realtime_ns() };
	uint64_t seq;

	for (unsigned i = 0; i < n; i++)
		assert_int_equal(spool_append(bench->spool, &record, &seq), 0);
}

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	struct spool_callbacks callbacks = { bench,	  on_readable, on_room,
					     on_degraded, on_lost,     on_acked };
	struct spool_options options = { .max_bytes = 16 << 20,
					 .segment_bytes = 1 << 20,
					 .memory_bytes = 1 << 20,
					 .stall_ns = 5 * CLOCK_NS_PER_S };
	struct errmsg err = { 0 };

	bench->dir = support_dir();
	options.dir = support_path(bench->dir, "spool");
	assert_int_equal(spool_open(&bench->spool, ev_default_loop(0), &options, &callbacks, &err),
			 0);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	forwarder_free(bench->forwarder);
	spool_close(bench->spool, clock_monotonic_ns() + CLOCK_NS_PER_S);
	settings_unref(bench->settings);
	free(bench);
	return 0;
}

static bool is_up(void *data)
{
	struct bench *bench = data;

	forwarder_status(bench->forwarder, &bench->status);
	return bench->status.state == FORWARDER_UP;
}

static bool is_all_acked(void *data)
{
	struct bench *bench = data;

	forwarder_status(bench->forwarder, &bench->status);
	return bench->status.cursor.unacked == 0 && bench->status.cursor.acked > 0;
}

static bool log_has(void *data)
{
	struct bench *bench = data;
	char *text = support_read(support_path(bench->dir, "log"));
	bool has = strstr(text, bench->wanted) != NULL;

	free(text);
	return has;
}

static void expect_log(struct bench *bench, const char *text)
{
	snprintf(bench->wanted, sizeof(bench->wanted), "%s", text);
	if (!support_run(log_has, bench))
		fail_msg("no \"%s\" in the forwarder's log", text);
}

static bool has_restarted(void *data)
{
	struct bench *bench = data;

	forwarder_status(bench->forwarder, &bench->status);
	return bench->status.restarts >= 2;
}

/* Batches in the log are without a hole or a repetition: sum and last of them. */
static uint64_t check_batches(struct bench *bench)
{
	char *text = support_read(support_path(bench->dir, "log")), *line, *rest = text;
	uint64_t next = 1;

	assert_non_null(text);
	assert_null(strstr(text, "beyond"));
	while ((line = strsep(&rest, "\n"))) {
		unsigned long long first;
		unsigned count;

		if (sscanf(line, "batch %llu %u", &first, &count) != 2)
			continue;
		assert_int_equal(first, next);
		next += count;
	}
	free(text);
	return next - 1;
}

static void delivers_everything_in_order(void **state)
{
	struct bench *bench = *state;
	uint8_t id[16] = { 1, 2, 3 };

	start(bench, "fake-ok");
	append(bench, 3000);
	assert_true(support_run(is_up, bench));
	append(bench, 2000);
	assert_true(support_run(is_all_acked, bench));
	assert_int_equal(check_batches(bench), 5000);
	expect_log(bench,
		   "config 2 5497574916096"); /* 5 << 40, plus 1 << 24 for the first process */
	forwarder_receipt(bench->forwarder, id);
	expect_log(bench, "receipt 01020300-0000");
	assert_true(support_has(&bench->events, "forwarder.up"));
	forwarder_stop(bench->forwarder, 5 * CLOCK_NS_PER_S);
	expect_log(bench, "stop");
}

static void keeps_to_the_credit(void **state)
{
	struct bench *bench = *state;

	start(bench, "fake-slow");
	append(bench, 500);
	assert_true(support_run(is_all_acked, bench));
	assert_int_equal(check_batches(bench), 500);
}

static void restarts_what_dies(void **state)
{
	struct bench *bench = *state;

	append(bench, 10);
	start(bench, "fake-die");
	assert_true(support_run(has_restarted, bench));
	assert_string_equal(bench->status.cause, "exited");
	assert_string_equal(bench->status.detail, "exit status 5");
	assert_int_equal(bench->status.cursor.acked, 0);
	assert_true(support_has(&bench->events, "forwarder.exited"));
	expect_log(bench, "config 2 5497591693312"); /* second process: a higher generation */
}

static void replaces_what_breaks_the_protocol(void **state)
{
	static const char *const modes[] = { "fake-version", "fake-garbage", "fake-early" };
	static const char *const details[] = { "it speaks version 8 of the frame protocol, not 1",
					       "it sent a frame that it must not send",
					       "it sent a frame that it must not send" };
	struct bench *bench = *state;

	for (size_t i = 0; i < 3; i++) {
		start(bench, modes[i]);
		assert_true(support_run(has_restarted, bench));
		if (strcmp(bench->status.cause, "protocol") != 0)
			fail_msg("%s: cause %s: %s", modes[i], bench->status.cause,
				 bench->status.detail);
		assert_string_equal(bench->status.detail, details[i]);
		bench->forwarder = forwarder_free(bench->forwarder);
		bench->settings = settings_unref(bench->settings);
	}
}

static void says_what_cannot_start(void **state)
{
	struct bench *bench = *state;

	start(bench, "no-such-program");
	assert_true(support_run(has_restarted, bench));
	assert_string_equal(bench->status.cause, "start");
	assert_non_null(strstr(bench->status.detail, "no-such-program is not there"));
	assert_int_equal(bench->events.n, 1); /* once, not for each attempt */
}

static bool flooded(void *data)
{
	return ((struct bench *)data)->commands == 2000;
}

static void a_flood_of_commands_stays_outside(void **state)
{
	struct bench *bench = *state;

	append(bench, 100);
	start(bench, "fake-flood");
	assert_true(support_run(flooded, bench));
	assert_true(support_run(is_all_acked, bench));
}

static bool has_second_session(void *data)
{
	struct bench *bench = data;

	forwarder_status(bench->forwarder, &bench->status);
	return bench->status.sessions == 2 && bench->status.state == FORWARDER_UP;
}

static void reconnects_on_request(void **state)
{
	struct bench *bench = *state;
	uint64_t sessions = 0;

	start(bench, "fake-ok");
	assert_false(forwarder_reconnect(bench->forwarder, "", &sessions));
	assert_true(support_run(is_up, bench));
	assert_true(forwarder_reconnect(bench->forwarder, "b:2", &sessions));
	assert_int_equal(sessions, 1);
	assert_true(support_run(has_second_session, bench));
	expect_log(bench, "reconnect command");
	append(bench, 10);
	assert_true(support_run(is_all_acked, bench));
}

/* The receiver has more than we ever sent: a new epoch, announced, and a new Hello. */
static void a_receiver_ahead_forces_a_new_epoch(void **state)
{
	struct bench *bench = *state;

	append(bench, 10);
	start(bench, "fake-ahead");
	assert_true(support_run(has_second_session, bench));
	expect_log(bench, "reconnect epoch");
	assert_true(support_has(&bench->events, "spool.epoch_changed"));
	append(bench, 10);
	expect_log(bench, "batch 1 ");
}

static bool has_stopped(void *data)
{
	return ((struct bench *)data)->stopped == 1;
}

static void kills_what_does_not_stop(void **state)
{
	struct bench *bench = *state;

	start(bench, "fake-stubborn");
	assert_true(support_run(is_up, bench));
	forwarder_stop(bench->forwarder, CLOCK_NS_PER_S / 10);
	assert_true(support_run(has_stopped, bench));
}

/* No resume points, and a first life that ended before its ack: what was sent comes again by
 * itself. */
static void what_was_not_acked_is_sent_again(void **state)
{
	struct bench *bench = *state;
	char *text;

	append(bench, 50);
	start(bench, "fake-blank");
	assert_true(support_run(is_all_acked, bench));
	assert_int_equal(bench->status.cursor.acked, 50);
	assert_int_equal(bench->status.restarts, 1);
	text = support_read(support_path(bench->dir, "log"));
	assert_non_null(text);
	assert_non_null(strstr(strstr(text, "batch 1 ") + 1, "batch 1 "));
	free(text);
}

static void a_killed_one_loses_nothing(void **state)
{
	struct bench *bench = *state;
	uint64_t captured = 0;

	start(bench, "fake-ok");
	for (unsigned i = 0; i < 3; i++) {
		assert_true(support_run(is_up, bench));
		append(bench, 1000);
		captured += 1000;
		assert_int_equal(kill((pid_t)bench->status.pid, SIGKILL), 0);
	}
	append(bench, 1);
	while (true) {
		assert_true(support_run(is_all_acked, bench));
		if (bench->status.cursor.acked == captured + 1)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(delivers_everything_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(keeps_to_the_credit, setup, teardown),
		cmocka_unit_test_setup_teardown(restarts_what_dies, setup, teardown),
		cmocka_unit_test_setup_teardown(replaces_what_breaks_the_protocol, setup, teardown),
		cmocka_unit_test_setup_teardown(says_what_cannot_start, setup, teardown),
		cmocka_unit_test_setup_teardown(a_flood_of_commands_stays_outside, setup, teardown),
		cmocka_unit_test_setup_teardown(reconnects_on_request, setup, teardown),
		cmocka_unit_test_setup_teardown(a_receiver_ahead_forces_a_new_epoch, setup,
						teardown),
		cmocka_unit_test_setup_teardown(kills_what_does_not_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_not_acked_is_sent_again, setup, teardown),
		cmocka_unit_test_setup_teardown(a_killed_one_loses_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
