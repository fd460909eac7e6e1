/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "actions/sheet.h"
#include "agent/commands/audit.h"
#include "agent/commands/commands.h"
#include "agent/commands/journal.h"
#include "core/clock.h"
#include "core/id.h"
#include "proto/envelope.h"
#include "support.h"

/*
 * The whole way of a command with the real verifier, the real journal and real children; only the
 * host behind the actions and the spool are the test's.
 */
struct bench {
	char *dir;
	struct support_events events;
	struct envelope_key *key, *stranger;
	struct settings_commands settings;
	struct settings_key trusted;
	char public_key[64];
	struct commands *commands;
	unsigned receipts, resyncs;
	bool reconnected, hang;
	const char *program;
	char halt_file[256];
	uint64_t journal_bytes;
};

static char *all_verbs[] = { (char *)"probe", (char *)"resync", (char *)"uplink.reconnect",
			     (char *)"halt",  (char *)"resume", (char *)"diag" };
static char *this_host[] = { (char *)"h1" };

static int host_find(void *data, const Pathbell__V1__CommandTarget *target,
		     struct device *ret_device)
{
	struct bench *bench = data;

	if (bench->hang)
		pause();
	if (strcmp(target->name, "sdq") != 0)
		return strcmp(target->name, "sdtwo") == 0 ? ACTION_E_AMBIGUOUS : ACTION_E_ABSENT;
	*ret_device = (struct device){ .major = 8, .minor = 77, .id = "wwid:q", .name = "sdq" };
	return 0;
}

static int host_resync(void *data, char *const *names, size_t n, size_t *ret_n,
		       const char **ret_name)
{
	struct bench *bench = data;

	if (n && strcmp(names[0], "block") != 0) {
		*ret_name = names[0];
		return ACTION_E_UNKNOWN;
	}
	bench->resyncs++;
	*ret_n = 1;
	return 0;
}

static int host_may_reconnect(void *data, const char *address)
{
	return !*address || strcmp(address, "agg:1") == 0 ? 0 : ACTION_E_UNKNOWN;
}

static int host_reconnect(void *data, const char *address, uint64_t *ret_token)
{
	*ret_token = 4;
	return 0;
}

static bool host_is_reconnected(void *data, uint64_t token)
{
	return ((struct bench *)data)->reconnected;
}

static void on_receipt(void *data, const uint8_t id[16])
{
	((struct bench *)data)->receipts++;
}

static void host_describe(void *data, const char *section, struct sheet *sheet);

static void open_commands(struct bench *bench, bool first_start)
{
	static struct action_host host;
	struct commands_options options = {
		.loop = ev_default_loop(0),
		.host_id = "h1",
		.state_dir = bench->dir,
		.first_start = first_start,
		.announcer = support_announcer(&bench->events),
		.host = &host,
		.data = bench,
		.receipt = on_receipt,
	};
	struct errmsg err = { 0 };

	host = (struct action_host){ .data = bench,
				     .sysfs = bench->dir,
				     .dev = bench->dir,
				     .halt_file = bench->halt_file,
				     .describe = host_describe,
				     .find = host_find,
				     .resync = host_resync,
				     .may_reconnect = host_may_reconnect,
				     .reconnect = host_reconnect,
				     .is_reconnected = host_is_reconnected };
	assert_int_equal(
		commands_open(&bench->commands, &options, &bench->settings, bench->program, &err),
		0);
	commands_start(bench->commands);
}

/* A new journal vouches only for commands that are younger than itself. */
static void wait_a_millisecond(void)
{
	uint64_t now = clock_realtime_ns() / CLOCK_NS_PER_MS;

	while (clock_realtime_ns() / CLOCK_NS_PER_MS <= now)
		;
}

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	uint8_t public_key[32];
	struct errmsg err;

	bench->dir = support_dir();
	bench->program = TEST_VERIFY;
	snprintf(bench->halt_file, sizeof(bench->halt_file), "%s/halted", bench->dir);
	assert_int_equal(envelope_key_new(&bench->key, &err), 0);
	assert_int_equal(envelope_key_new(&bench->stranger, &err), 0);
	envelope_key_public(bench->key, public_key);
	envelope_public_format(public_key, bench->public_key);
	bench->trusted = (struct settings_key){ .name = (char *)"alice",
						.key = bench->public_key,
						.role = 2 };
	bench->settings = (struct settings_commands){
		.enabled = true,
		.verbs = { all_verbs, sizeof(all_verbs) / sizeof(all_verbs[0]) },
		.trusted_keys = { &bench->trusted, 1 },
		.require = 1,
		.max_per_minute = 1000,
		.audit_bytes = 1 << 20,
		.audit_files = 2,
		.max_clock_error_ns = 30 * CLOCK_NS_PER_S,
		.action_timeout_ns = 20 * CLOCK_NS_PER_S,
	};
	open_commands(bench, true);
	wait_a_millisecond();
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	commands_close(bench->commands);
	envelope_key_free(bench->key);
	envelope_key_free(bench->stranger);
	free(bench);
	return 0;
}

struct made {
	Pathbell__V1__Command command;
	Pathbell__V1__ProbeArgs probe;
	Pathbell__V1__CommandTarget target;
	uint8_t id[16];
};

static void make(struct made *made, const char *target)
{
	uint64_t now = clock_realtime_ns() / CLOCK_NS_PER_MS;

	pathbell__v1__command__init(&made->command);
	pathbell__v1__probe_args__init(&made->probe);
	pathbell__v1__command_target__init(&made->target);
	id_new(made->id);
	made->target.name = (char *)target;
	made->probe.target = &made->target;
	made->command.id = (ProtobufCBinaryData){ 16, made->id };
	made->command.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE;
	made->command.args_case = PATHBELL__V1__COMMAND__ARGS_PROBE;
	made->command.probe = &made->probe;
	made->command.n_host_ids = 1;
	made->command.host_ids = this_host;
	made->command.not_before_unix_ms = now;
	made->command.expires_unix_ms = now + 60000;
	made->command.issuer = (char *)"alice@example.com";
}

static void deliver(struct bench *bench, const struct made *made, const struct envelope_key *key)
{
	struct buf out = { 0 };
	struct errmsg err;

	assert_int_equal(envelope_sign(key, &made->command, &out, &err), 0);
	commands_deliver(bench->commands, out.data, out.size);
	buf_deinit(&out);
}

static const char *expected;

static bool has_expected(void *data)
{
	return support_has(&((struct bench *)data)->events, expected);
}

static void expect(struct bench *bench, const char *text)
{
	expected = text;
	if (!support_run(has_expected, bench))
		fail_msg("no \"%s\" in\n%s", text, bench->events.text);
}

static void forget_events(struct bench *bench)
{
	bench->events.len = 0;
	bench->events.text[0] = 0;
	bench->events.n = 0;
}

static void make_device(struct bench *bench)
{
	char path[256];

	snprintf(path, sizeof(path),
		 "mkdir -p %s/devices/sdq/queue %s/dev/block && ln -sfn "
		 "../../devices/sdq %s/dev/block/8:77 && echo 2048 > %s/devices/sdq/size",
		 bench->dir, bench->dir, bench->dir, bench->dir);
	assert_int_equal(system(path), 0); // NOLINT(cert-env33-c)
}

static void probe_from_envelope_to_result(void **state)
{
	struct bench *bench = *state;
	struct made made;

	make_device(bench);
	make(&made, "sdq");
	deliver(bench, &made, bench->key);
	expect(bench, "command.finished SUCCEEDED - sdq is present, 2048 sectors");
	assert_true(support_has(&bench->events, "command.received RECEIVED"));
	assert_true(support_has(&bench->events, "command.accepted ACCEPTED"));
	assert_true(support_has(&bench->events, "command.started STARTED"));
	assert_true(support_has(&bench->events, "storage.device.state"));
	assert_int_equal(bench->receipts, 1);

	/* the same again, and after a restart: the recorded result, nothing runs */
	for (int i = 0; i < 2; i++) {
		forget_events(bench);
		deliver(bench, &made, bench->key);
		expect(bench, "command.finished SUCCEEDED - sdq is present, 2048 sectors");
		assert_false(support_has(&bench->events, "STARTED"));
		assert_false(support_has(&bench->events, "storage.device.state"));
		bench->commands = commands_close(bench->commands);
		forget_events(bench);
		open_commands(bench, false);
	}
	/* the same id over other bytes */
	made.command.issuer = (char *)"mallory";
	deliver(bench, &made, bench->key);
	expect(bench, "command.refused REJECTED replayed");
}

static void failures_of_probe(void **state)
{
	struct bench *bench = *state;
	struct made made;

	make(&made, "nothing");
	deliver(bench, &made, bench->key);
	expect(bench, "command.finished FAILED - no device fits nothing");
	make(&made, "sdtwo");
	deliver(bench, &made, bench->key);
	expect(bench, "command.refused REJECTED ambiguous_target");
	make(&made, "sdq");
	made.command.dry_run = true;
	deliver(bench, &made, bench->key);
	expect(bench, "SUCCEEDED - dry run: would read sdq (8:77)");
	make(&made, "sdq"); /* found, but sysfs has no such number */
	deliver(bench, &made, bench->key);
	expect(bench, "command.finished FAILED - sdq (wwid:q) is gone");
}

static void signatures(void **state)
{
	struct bench *bench = *state;
	struct made made;
	struct buf out = { 0 };
	struct errmsg err;

	make(&made, "sdq");
	deliver(bench, &made, bench->stranger);
	expect(bench, "command.refused REJECTED unknown_key");
	assert_int_equal(envelope_sign(bench->key, &made.command, &out, &err), 0);
	out.data[20] ^= 1; /* within the signed bytes */
	commands_deliver(bench->commands, out.data, out.size);
	expect(bench, "command.refused REJECTED bad_signature");
	commands_deliver(bench->commands, "garbage", 7);
	expect(bench, "command.refused REJECTED malformed");
	commands_deliver(bench->commands, out.data, 0);
	expect(bench, "the envelope has a bad size");
	buf_deinit(&out);
	assert_int_equal(bench->receipts, 0);
	assert_false(support_has(&bench->events, "ACCEPTED"));
}

static void flood_is_limited(void **state)
{
	struct bench *bench = *state;
	const struct commands_counters *counters = commands_counters(bench->commands);

	bench->settings.max_per_minute = 5;
	for (int i = 0; i < 1000; i++)
		commands_deliver(bench->commands, "x", 1);
	assert_true(counter_get(&counters->rate_limited) >= 995);
	expect(bench, "command.refused REJECTED malformed");
	expect(bench, "command.refused REJECTED rate");
	assert_true(bench->events.n <= 7); /* five looked at, one about all the others */
}

static void resync_and_reconnect(void **state)
{
	struct bench *bench = *state;
	Pathbell__V1__UplinkReconnectArgs args = PATHBELL__V1__UPLINK_RECONNECT_ARGS__INIT;
	struct made made;

	make(&made, "");
	made.command.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESYNC;
	made.command.args_case = PATHBELL__V1__COMMAND__ARGS__NOT_SET;
	deliver(bench, &made, bench->key);
	expect(bench, "command.finished SUCCEEDED - 1 collectors took a snapshot");
	assert_int_equal(bench->resyncs, 1);

	make(&made, "");
	made.command.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_UPLINK_RECONNECT;
	made.command.args_case = PATHBELL__V1__COMMAND__ARGS_UPLINK_RECONNECT;
	made.command.uplink_reconnect = &args;
	args.address = (char *)"evil:1";
	deliver(bench, &made, bench->key);
	expect(bench,
	       "command.refused REJECTED policy evil:1 is not one of the configured addresses");

	forget_events(bench);
	id_new(made.id);
	args.address = (char *)"agg:1";
	deliver(bench, &made, bench->key);
	expect(bench, "command.started STARTED");
	bench->reconnected = true;
	commands_poke(bench->commands);
	expect(bench, "command.finished SUCCEEDED - a new session is up");

	forget_events(bench);
	bench->reconnected = false;
	id_new(made.id);
	made.command.timeout_ms = 50;
	deliver(bench, &made, bench->key);
	expect(bench, "command.finished TIMED_OUT - the effect did not show in time");
}

/* The plan only looks the device up; apply reads its size, which is a pipe that nobody writes. */
static void hang_in_apply(struct bench *bench, bool hang)
{
	const char *path = support_path(bench->dir, "devices/sdq/size");

	unlink(path);
	if (hang)
		assert_int_equal(mkfifo(path, 0600), 0);
	else
		make_device(bench);
}

static void a_hanging_action_is_killed(void **state)
{
	struct bench *bench = *state;
	struct made made;

	bench->hang = true;
	make(&made, "sdq");
	made.command.timeout_ms = 100;
	deliver(bench, &made, bench->key);
	expect(bench, "command.finished TIMED_OUT - looking at the target took too long");
	assert_false(support_has(&bench->events, "STARTED"));

	bench->hang = false;
	make_device(bench);
	hang_in_apply(bench, true);
	make(&made, "sdq");
	made.command.timeout_ms = 500;
	deliver(bench, &made, bench->key);
	expect(bench, "command.started STARTED");
	expect(bench, "command.finished TIMED_OUT - the action took too long and was killed");
}

static void crash_after_start_is_resolved(void **state)
{
	struct bench *bench = *state;
	struct made made;

	make_device(bench);
	hang_in_apply(bench, true);
	make(&made, "sdq");
	deliver(bench, &made, bench->key);
	expect(bench, "command.started STARTED");
	/* the agent ends in the middle; the action's child goes with it */
	bench->commands = commands_close(bench->commands);
	hang_in_apply(bench, false);
	forget_events(bench);
	open_commands(bench, false);
	expect(bench, "command.resolved SUCCEEDED - sdq is present, 2048 sectors");
	assert_true(support_has(&bench->events, "command.indeterminate INDETERMINATE"));
	assert_false(support_has(&bench->events, "command.started"));
	expect(bench, "command.finished SUCCEEDED");

	/* and only once */
	bench->commands = commands_close(bench->commands);
	forget_events(bench);
	open_commands(bench, false);
	assert_false(support_has(&bench->events, "INDETERMINATE"));
}

static void make_verb(struct made *made, unsigned verb)
{
	make(made, "");
	made->command.verb = (Pathbell__V1__CommandVerb)verb;
	made->command.args_case = PATHBELL__V1__COMMAND__ARGS__NOT_SET;
}

#define VERB(name) PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_##name

static void halt_is_at_once_and_lasts(void **state)
{
	struct bench *bench = *state;
	struct made made;

	/* every slot is taken and the bucket is empty */
	bench->hang = true;
	for (int i = 0; i < 4; i++) {
		make(&made, "sdq");
		made.command.timeout_ms = 2000;
		deliver(bench, &made, bench->key);
	}
	make(&made, "sdq");
	deliver(bench, &made, bench->key);
	expect(bench, "command.refused REJECTED busy");
	bench->settings.max_per_minute = 1;
	for (int i = 0; i < 100; i++)
		commands_deliver(bench->commands, "x", 1);
	make_verb(&made, VERB(HALT));
	deliver(bench, &made, bench->key);
	expect(bench, "command.halted");
	expect(bench, "command.finished SUCCEEDED - halted: nothing but resume");
	assert_non_null(strstr(commands_hold(bench->commands), "halted by alice@example.com"));
	bench->settings.max_per_minute = 1000;
	bench->hang = false;

	make_verb(&made, VERB(RESYNC));
	deliver(bench, &made, bench->key);
	expect(bench, "command.refused REJECTED halted");
	assert_int_equal(bench->resyncs, 0);

	/* over a restart */
	bench->commands = commands_close(bench->commands);
	forget_events(bench);
	open_commands(bench, false);
	assert_true(support_has(&bench->events, "command.halted"));
	make_verb(&made, VERB(RESYNC));
	deliver(bench, &made, bench->key);
	expect(bench, "command.refused REJECTED halted");
	make(&made, "nothing"); /* looking is allowed */
	deliver(bench, &made, bench->key);
	expect(bench, "no device fits nothing");

	make_verb(&made, VERB(RESUME));
	deliver(bench, &made, bench->key);
	expect(bench, "command.resumed");
	expect(bench, "command.finished SUCCEEDED - commands execute again");
	make_verb(&made, VERB(RESYNC));
	deliver(bench, &made, bench->key);
	expect(bench, "1 collectors took a snapshot");
	assert_null(commands_hold(bench->commands));
}

static void what_waits_for_its_plan_is_halted(void **state)
{
	struct bench *bench = *state;
	struct made made;

	bench->trusted.role = 1; /* an operator may halt */
	commands_configure(bench->commands, &bench->settings, bench->program);
	make_verb(&made, VERB(UPLINK_RECONNECT));
	deliver(bench, &made, bench->key);
	expect(bench, "command.started STARTED");
	make_verb(&made, VERB(HALT));
	deliver(bench, &made, bench->key);
	expect(bench, "SUCCEEDED - halted: nothing but resume");
	bench->reconnected = true; /* what runs finishes */
	commands_poke(bench->commands);
	expect(bench, "command.finished SUCCEEDED - a new session is up");
	make_verb(&made, VERB(RESUME)); /* but not resume */
	deliver(bench, &made, bench->key);
	expect(bench, "command.refused REJECTED policy");
	/* a dry run of a halt halts nothing */
	unlink(bench->halt_file);
	bench->commands = commands_close(bench->commands);
	open_commands(bench, false);
	make_verb(&made, VERB(HALT));
	made.command.dry_run = true;
	deliver(bench, &made, bench->key);
	expect(bench, "SUCCEEDED - dry run: nothing but resume");
	assert_null(commands_hold(bench->commands));
}

static void host_describe(void *data, const char *section, struct sheet *sheet)
{
	for (int i = 0; strcmp(section, "counters") == 0 && i < 2000; i++)
		sheet_print(sheet, "pathbell_counter_%d 0123456789012345678901234567890\n", i);
}

static void diag_returns_chunks(void **state)
{
	static char *sections[] = { (char *)"counters", (char *)"kernel", (char *)"block" };
	struct bench *bench = *state;
	Pathbell__V1__DiagArgs args = PATHBELL__V1__DIAG_ARGS__INIT;
	struct made made;

	make_device(bench);
	make_verb(&made, VERB(DIAG));
	made.command.args_case = PATHBELL__V1__COMMAND__ARGS_DIAG;
	made.command.diag = &args;
	args.sections = sections;
	args.n_sections = 3;
	deliver(bench, &made, bench->key);
	expect(bench, "command.finished SUCCEEDED -");
	/* above 32 KiB: in pieces, the last one says so */
	assert_non_null(strstr(bench->events.output, "== counters\npathbell_counter_0 "));
	assert_non_null(strstr(bench->events.output, "pathbell_counter_1999 "));
	assert_non_null(strstr(bench->events.output, "== kernel\n"));
	assert_int_equal(bench->events.n_chunks, bench->events.output_size / 32768 + 1);
	assert_true(bench->events.output_ended);

	args.max_bytes = 2000;
	id_new(made.id);
	deliver(bench, &made, bench->key);
	expect(bench, "2000 bytes, cut at the limit");
	assert_non_null(strstr(bench->events.output, "\n[cut: "));
	sections[1] = (char *)"secrets";
	id_new(made.id);
	deliver(bench, &made, bench->key);
	expect(bench, "command.refused REJECTED malformed there is no section \"secrets\"");
}

static void limits_are_the_hosts(void **state)
{
	struct bench *bench = *state;
	struct made made;

	bench->settings.host_per_hour = 1;
	bench->reconnected = true;
	make_verb(&made, VERB(UPLINK_RECONNECT));
	deliver(bench, &made, bench->key);
	expect(bench, "command.finished SUCCEEDED - a new session is up");
	/* counted from the journal: a restart forgets nothing */
	bench->commands = commands_close(bench->commands);
	forget_events(bench);
	open_commands(bench, false);
	make_verb(&made, VERB(UPLINK_RECONNECT));
	deliver(bench, &made, bench->key);
	expect(bench, "command.refused REJECTED rate this host has acted 1 times in an hour; it "
		      "may again at");
	assert_false(support_has(&bench->events, "STARTED"));
	make_verb(&made, VERB(RESYNC));
	deliver(bench, &made, bench->key);
	expect(bench, "1 collectors took a snapshot");
}

static void forgeries_are_counted(void **state)
{
	struct bench *bench = *state;
	const struct commands_counters *counters = commands_counters(bench->commands);
	struct made made;

	for (int i = 0; i < 12; i++) {
		make(&made, "sdq");
		deliver(bench, &made, bench->stranger);
	}
	while (counter_get(&counters->refused) < 12)
		ev_run(ev_default_loop(0), EVRUN_ONCE);
	assert_int_equal(bench->events.n, 10); /* the others come together, 10 s later */
}

static void roles_and_revocation(void **state)
{
	struct bench *bench = *state;
	char dir[200], line[64], id[32];
	uint8_t public_key[32];
	struct made made;

	bench->trusted.role = 0;
	commands_configure(bench->commands, &bench->settings, bench->program);
	make_verb(&made, VERB(UPLINK_RECONNECT));
	deliver(bench, &made, bench->key);
	expect(bench, "REJECTED policy 0 of its signers may ask for uplink.reconnect");

	snprintf(dir, sizeof(dir), "%s/keys.d", bench->dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	envelope_key_public(bench->key, public_key);
	envelope_key_id(public_key, id);
	snprintf(line, sizeof(line), "%s lost\n", id);
	support_write(dir, "a.revoked", line, strlen(line));
	bench->settings.keys_dir = dir;
	commands_configure(bench->commands, &bench->settings, bench->program);
	make(&made, "nothing");
	deliver(bench, &made, bench->key);
	expect(bench, "REJECTED key_revoked the key of alice");
}

static bool audit_has_failed(void *data)
{
	return audit_error(commands_audit(((struct bench *)data)->commands)) != NULL;
}

static bool audit_is_well(void *data)
{
	return !audit_has_failed(data);
}

static void no_audit_no_change(void **state)
{
	struct bench *bench = *state;
	char log[256], aside[256];
	struct made made;

	snprintf(log, sizeof(log), "%s/audit.log", bench->dir);
	snprintf(aside, sizeof(aside), "%s/aside", bench->dir);
	make(&made, "nothing");
	deliver(bench, &made, bench->key);
	expect(bench, "no device fits nothing");
	/* a folder in its place: nothing can be appended, root or not */
	assert_int_equal(rename(log, aside), 0);
	assert_int_equal(mkdir(log, 0700), 0);
	bench->reconnected = true;
	make_verb(&made, VERB(UPLINK_RECONNECT));
	deliver(bench, &made, bench->key);
	expect(bench, "command.refused REJECTED held the audit cannot be written");
	assert_false(support_has(&bench->events, "a new session is up"));
	assert_true(support_run(audit_has_failed, bench));

	/* looking goes on, and so does a halt */
	forget_events(bench);
	make(&made, "nothing");
	deliver(bench, &made, bench->key);
	expect(bench, "no device fits nothing");
	make_verb(&made, VERB(RESUME));
	deliver(bench, &made, bench->key);
	expect(bench, "command.refused REJECTED held the audit cannot be written");
	make_verb(&made, VERB(HALT));
	deliver(bench, &made, bench->key);
	expect(bench, "command.finished SUCCEEDED - halted");

	/* mended: what waited is written, nothing is missing */
	assert_int_equal(rmdir(log), 0);
	assert_int_equal(rename(aside, log), 0);
	assert_true(support_run(audit_is_well, bench));
	make_verb(&made, VERB(RESUME));
	deliver(bench, &made, bench->key);
	expect(bench, "command.resumed");
}

static void keys_change_without_restart(void **state)
{
	struct bench *bench = *state;
	char dir[200], text[200], public_key[64];
	uint8_t raw[32];
	struct made made;

	snprintf(dir, sizeof(dir), "%s/keys.d", bench->dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	bench->settings.keys_dir = dir;
	commands_configure(bench->commands, &bench->settings, bench->program);
	make(&made, "nothing");
	deliver(bench, &made, bench->stranger);
	expect(bench, "command.refused REJECTED unknown_key");

	envelope_key_public(bench->stranger, raw);
	envelope_public_format(raw, public_key);
	snprintf(text, sizeof(text), "name: bob\nkey: %s\nrole: viewer\n", public_key);
	support_write(dir, "bob.yaml", text, strlen(text));
	expect(bench, "command.keys_changed UNSPECIFIED - 2 keys count");
	make(&made, "nothing");
	deliver(bench, &made, bench->stranger);
	expect(bench, "command.accepted");
	support_write(dir, "bob.yaml", "name: bob\nrole: [", 17);
	expect(bench, "bob.yaml:3");
	make_verb(&made, VERB(UPLINK_RECONNECT));
	deliver(bench, &made, bench->stranger);
	expect(bench, "REJECTED policy");
}

static void policies_count_different_keys(void **state)
{
	static char *verbs[] = { (char *)"resync" };
	struct settings_policy policy = { { verbs, 1 }, 0, 2 };
	struct bench *bench = *state;
	struct settings_key both[2] = { bench->trusted, { .name = (char *)"bob", .role = 2 } };
	struct buf one = { 0 }, two = { 0 };
	char public_key[64];
	struct errmsg err;
	uint8_t raw[32];
	struct made made;

	envelope_key_public(bench->stranger, raw);
	envelope_public_format(raw, public_key);
	both[1].key = public_key;
	bench->settings.trusted_keys = (struct config_maps){ both, 2 };
	bench->settings.policies = (struct config_maps){ &policy, 1 };
	commands_configure(bench->commands, &bench->settings, bench->program);
	make_verb(&made, VERB(RESYNC));
	deliver(bench, &made, bench->key);
	expect(bench, "REJECTED signatures_missing 1 trusted keys have signed it, 2 are needed for "
		      "resync");
	make_verb(&made, VERB(RESYNC));
	assert_int_equal(envelope_sign(bench->key, &made.command, &one, &err), 0);
	assert_int_equal(envelope_cosign(bench->stranger, one.data, one.size, &two, &err), 0);
	commands_deliver(bench->commands, two.data, two.size);
	expect(bench, "1 collectors took a snapshot");
	assert_int_equal(bench->resyncs, 1);
	buf_deinit(&one);
	buf_deinit(&two);
}

static uint64_t size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (uint64_t)st.st_size;
}

static bool has_grown(void *data)
{
	struct bench *bench = data;
	struct journal_stats stats;

	commands_journal_stats(bench->commands, &stats);
	return stats.bytes > bench->journal_bytes;
}

static void untold_results_are_told_again(void **state)
{
	struct bench *bench = *state;
	struct made made;

	bench->events.hold_sync = true; /* the spool is never durable in this life */
	make(&made, "nothing");
	deliver(bench, &made, bench->key);
	expect(bench, "command.finished FAILED - no device fits nothing");
	bench->commands = commands_close(bench->commands);
	bench->events.hold_sync = false;
	forget_events(bench);
	bench->journal_bytes = size_of(support_path(bench->dir, "journal"));
	open_commands(bench, false);
	assert_true(
		support_has(&bench->events, "command.finished FAILED - no device fits nothing"));

	/* now durable in the spool: it is not told a third time */
	assert_true(support_run(has_grown, bench));
	bench->commands = commands_close(bench->commands);
	forget_events(bench);
	open_commands(bench, false);
	assert_int_equal(bench->events.n, 0);
}

static void lost_journal_holds(void **state)
{
	struct bench *bench = *state;
	struct made made;

	bench->commands = commands_close(bench->commands);
	unlink(support_path(bench->dir, "journal"));
	open_commands(bench, false);
	assert_true(support_has(&bench->events, "command.held"));
	assert_string_equal(commands_hold(bench->commands), "the command journal is missing");
	wait_a_millisecond();
	make(&made, "sdq");
	deliver(bench, &made, bench->key);
	expect(bench, "command.refused REJECTED held the command journal is missing");
	support_write(bench->dir, "release-hold", "", 0);
	commands_release(bench->commands);
	assert_null(commands_hold(bench->commands));
}

static void missing_and_bad_verifiers(void **state)
{
	static const char *const programs[] = { "/nonexistent", "/bin/false", "/bin/true",
						"/bin/cat" };
	struct bench *bench = *state;
	struct made made;

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		forget_events(bench);
		commands_configure(bench->commands, &bench->settings, programs[i]);
		make(&made, "sdq");
		deliver(bench, &made, bench->key);
		expect(bench, "command.refused REJECTED held");
		assert_false(support_has(&bench->events, "ACCEPTED"));
	}
}

static void keys_that_change_while_checking(void **state)
{
	struct bench *bench = *state;
	struct settings_commands none = bench->settings;
	struct made made;

	none.trusted_keys.n_items = 0;
	make(&made, "sdq");
	deliver(bench, &made, bench->key);
	commands_configure(bench->commands, &none, bench->program);
	expect(bench, "command.refused REJECTED unknown_key");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(probe_from_envelope_to_result, setup, teardown),
		cmocka_unit_test_setup_teardown(failures_of_probe, setup, teardown),
		cmocka_unit_test_setup_teardown(signatures, setup, teardown),
		cmocka_unit_test_setup_teardown(flood_is_limited, setup, teardown),
		cmocka_unit_test_setup_teardown(resync_and_reconnect, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hanging_action_is_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(crash_after_start_is_resolved, setup, teardown),
		cmocka_unit_test_setup_teardown(halt_is_at_once_and_lasts, setup, teardown),
		cmocka_unit_test_setup_teardown(what_waits_for_its_plan_is_halted, setup, teardown),
		cmocka_unit_test_setup_teardown(diag_returns_chunks, setup, teardown),
		cmocka_unit_test_setup_teardown(no_audit_no_change, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_change_without_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(policies_count_different_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(limits_are_the_hosts, setup, teardown),
		cmocka_unit_test_setup_teardown(forgeries_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(roles_and_revocation, setup, teardown),
		cmocka_unit_test_setup_teardown(untold_results_are_told_again, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_journal_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_and_bad_verifiers, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_that_change_while_checking, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
