/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/filter.h"
#include "agent/settings.h"
#include "support.h"

#define KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define UPLINK                                                                     \
	"host_id: h1\nuplink: {enabled: true, addresses: [\"a:1\"], ca_file: /a, " \
	"certificate_file: /b, "                                                   \
	"key_file: /c}\n"

static void refused(const char *text, const char *why)
{
	struct errmsg err = { 0 };
	struct settings *settings = settings_parse("f.yaml", text, &err);
	char shown[800];

	errmsg_format(&err, shown, sizeof(shown));
	if (settings || !strstr(shown, why))
		fail_msg("\"%s\": \"%s\" instead of \"%s\"", text, settings ? "good" : shown, why);
}

static struct settings *good(const char *text)
{
	struct errmsg err = { 0 };
	struct settings *settings = settings_parse("f.yaml", text, &err);

	if (!settings)
		fail_msg("\"%s\": %u:%u %s", text, err.line, err.column, err.text);
	return settings;
}

static void refusals_name_their_place(void **state)
{
	refused("hots_id: x\n", "f.yaml:1:1");
	refused("hots_id: x\n", "host_id");
	refused("spool:\n  max_bytes: many\n", "f.yaml:2:14");
	refused("host_id: \"a b\"\n", "f.yaml: host_id");
	refused("uplink: {enabled: true}\n", "host_id: is needed");
	refused("host_id: h\nuplink: {enabled: true}\n", "uplink.addresses");
	refused("host_id: h\nuplink: {enabled: true, addresses: [\"a:1\"]}\n", "key_file");
	refused("uplink: {addresses: [\"nocolon\"]}\n", "not host:port");
	refused("uplink: {addresses: [\"a:70000\"]}\n", "no port between");
	refused("uplink: {addresses: [\"a:1x\"]}\n", "no port between");
}

static void refusals_between_options(void **state)
{
	refused("spool: {max_bytes: 1MiB, segment_bytes: 1MiB}\n", "segment_bytes");
	refused("commands: {verbs: [dance]}\n", "no verb \"dance\"");
	refused("commands: {trusted_keys: [{name: a, key: "
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA!}]}\n",
		"base64");
	refused("commands: {trusted_keys: [{name: a, key: " KEY "}, {name: b, key: " KEY "}]}\n",
		"same key");
	refused("commands: {trusted_keys: [{name: a, key: " KEY ", verbs: [x]}]}\n",
		"no verb \"x\"");
	refused("commands: {policies: [{verbs: [dance]}]}\n", "no verb \"dance\"");
	refused("commands: {revoked: [\"ed25519:ABCDEF0123456789\"]}\n", "hexadecimal digits");
	refused("commands: {trusted_keys: [{name: a, key: " KEY ", role: king}]}\n", "king");
	refused("filters: [{name: f, collector: nothing}]\n", "no collector");
	refused("filters: [{kind: x}]\n", "name");
	refused("collectors: {floppy: {enabled: true}}\n", "floppy");
	refused("collectors: {block: {speed: 1}}\n", "speed");
}

static void defaults_and_collectors(void **state)
{
	struct settings *settings = good("collectors: {replay: {enabled: true, rate: 5}}\n");
	struct settings *other = good("collectors: {replay: {enabled: true, rate: 6}}\n");
	size_t block = (size_t)registry_find("block"), replay = (size_t)registry_find("replay");

	assert_string_equal(settings->spool.dir, "/var/lib/pathbell/spool");
	assert_string_equal(settings->control.socket, "/run/pathbell/agent.sock");
	assert_int_equal(settings->commands.verbs.n_items, 6);
	assert_true(settings_collector_enabled(settings, block));
	assert_true(settings_collector_enabled(settings, replay));
	assert_true(settings_collector_equal(settings, other, block));
	assert_false(settings_collector_equal(settings, other, replay));
	assert_int_equal(settings_log_level(settings), LOG_LEVEL_INFO);
	settings_unref(settings);
	settings_unref(other);
}

static void keys_are_base64(void **state)
{
	uint8_t key[32];

	assert_int_equal(settings_key_bytes(KEY, key), 0);
	for (int i = 0; i < 32; i++)
		assert_int_equal(key[i], i);
	assert_int_equal(settings_key_bytes("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", key), 0);
	assert_int_not_equal(
		settings_key_bytes("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", key), 0);
	assert_int_not_equal(settings_key_bytes("AAEC", key), 0);
}

static void drastic_changes_are_seen(void **state)
{
	static const char *const bad[] = {
		"host_id: h1\n",
		"host_id: h2\nuplink: {enabled: true, addresses: [\"a:1\"], ca_file: /a, "
		"certificate_file: /b, key_file: /c}\n",
		UPLINK "state_dir: /x\n", UPLINK "control: {socket: /x}\n"
	};
	struct settings *now = good(UPLINK), *next;
	struct errmsg err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		next = good(bad[i]);
		assert_true(settings_is_drastic(now, next, &err));
		settings_unref(next);
	}
	next = good(UPLINK "log_level: debug\n");
	assert_false(settings_is_drastic(now, next, &err));
	settings_unref(next);
	settings_unref(now);
	now = good("commands: {trusted_keys: [{name: a, key: " KEY "}]}\n");
	next = good("log_level: info\n");
	assert_true(settings_is_drastic(now, next, &err));
	settings_unref(now);
	settings_unref(next);
}

static Pathbell__V1__Event event_of(unsigned kind, unsigned severity,
				    Pathbell__V1__Subject *subject)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;

	event.kind = (Pathbell__V1__EventKind)kind;
	event.severity = (Pathbell__V1__Severity)severity;
	event.subject = subject;
	return event;
}

static void filters_match_first(void **state)
{
	struct settings *settings =
		good("filters:\n"
		     "- {name: keep-sda, kind: storage.block.*, subject: sda, action: keep}\n"
		     "- {name: no-block, kind: storage.block.*, collector: block}\n"
		     "- {name: no-id, subject: 'wwid:*9'}\n"
		     "- {name: loud, min_severity: critical}\n"
		     "- {name: all, collector: replay}\n");
	struct filter filter = { 0 };
	Pathbell__V1__Subject sda = PATHBELL__V1__SUBJECT__INIT, sdb = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__Event event;

	sda.name = (char *)"sda";
	sdb.name = (char *)"sdb";
	sdb.id = (char *)"wwid:naa.9";
	filter_configure(&filter, settings);
	event = event_of(100, 17, &sda);
	assert_true(filter_keeps(&filter, "block", &event));
	event = event_of(100, 17, &sdb);
	assert_false(filter_keeps(&filter, "block", &event));
	event = event_of(101, 9, &sdb);
	assert_false(filter_keeps(&filter, "block", &event));
	event = event_of(101, 9, NULL);
	assert_true(filter_keeps(&filter, "block", &event));
	assert_false(filter_keeps(&filter, "replay", &event));
	event = event_of(101, 21, NULL);
	assert_false(filter_keeps(&filter, "block", &event));
	/* gaps and commands pass whatever the rules say */
	event = event_of(PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_GAP, 21, &sdb);
	assert_true(filter_keeps(&filter, "replay", &event));
	assert_int_equal(filter.rules[0].matched, 1);
	assert_int_equal(filter.rules[1].matched, 1);
	assert_int_equal(filter.rules[4].matched, 1);
	filter_configure(&filter, settings); /* counts survive a reload */
	assert_int_equal(filter.rules[4].matched, 1);
	settings_unref(settings);
}

/* The program itself: exit status and what it says. */
static int run(const char *args, char *ret_output, size_t size)
{
	char command[1024];
	FILE *pipe;
	size_t n;

	snprintf(command, sizeof(command), TEST_PATHBELLD " %s 2>&1", args);
	pipe = popen(command, "re"); // NOLINT(cert-env33-c)
	assert_non_null(pipe);
	n = fread(ret_output, 1, size - 1, pipe);
	ret_output[n] = 0;
	return WEXITSTATUS(pclose(pipe));
}

static void check_has_exit_codes(void **state)
{
	static char output[262144], args[512];
	char *dir = support_dir();

	support_write(dir, "good.yaml", "log_level: debug\n", 17);
	support_write(dir, "bad.yaml", "log_level: loud\n", 16);
	support_write(dir, "empty.yaml", "", 0);
	snprintf(args, sizeof(args), "--check --config %s/good.yaml", dir);
	assert_int_equal(run(args, output, sizeof(output)), 0);
	snprintf(args, sizeof(args), "--check --config %s/bad.yaml", dir);
	assert_int_equal(run(args, output, sizeof(output)), 78);
	assert_non_null(strstr(output, "bad.yaml:1:12"));
	snprintf(args, sizeof(args), "--check --config %s/empty.yaml", dir);
	assert_int_equal(run(args, output, sizeof(output)), 78);
	snprintf(args, sizeof(args), "--check --config %s/none.yaml", dir);
	assert_int_equal(run(args, output, sizeof(output)), 78);
	assert_int_equal(run("--dance", output, sizeof(output)), 64);
	assert_int_equal(run("--version", output, sizeof(output)), 0);
	assert_int_equal(run("--schema", output, sizeof(output)), 0);
	/* what is dumped and what is shown as a sample are good configurations */
	assert_int_equal(run("--sample", output, sizeof(output)), 0);
	support_write(dir, "sample.yaml", output, strlen(output));
	snprintf(args, sizeof(args), "--check --config %s/sample.yaml", dir);
	assert_int_equal(run(args, output, sizeof(output)), 0);
	snprintf(args, sizeof(args), "--dump-config --config %s/sample.yaml", dir);
	assert_int_equal(run(args, output, sizeof(output)), 0);
	support_write(dir, "dump.yaml", output, strlen(output));
	snprintf(args, sizeof(args), "--check --config %s/dump.yaml", dir);
	assert_int_equal(run(args, output, sizeof(output)), 0);
}

/* conf/pathbelld.yaml is what --sample prints. */
static void sample_is_current(void **state)
{
	static char output[262144];
	char *conf = support_read(TEST_CONF "/pathbelld.yaml");

	assert_int_equal(run("--sample", output, sizeof(output)), 0);
	assert_string_equal(conf, output);
	free(conf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals_name_their_place),
		cmocka_unit_test(refusals_between_options),
		cmocka_unit_test(defaults_and_collectors),
		cmocka_unit_test(keys_are_base64),
		cmocka_unit_test(drastic_changes_are_seen),
		cmocka_unit_test(filters_match_first),
		cmocka_unit_test(check_has_exit_codes),
		cmocka_unit_test(sample_is_current),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
