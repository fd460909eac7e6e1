/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "ctl/registry.h"
#include "fleet.h"
#include "rpc/rpc.h"

static struct fleet *fleet;

/* Runs a command line against the fleet; its standard output is in *ret_text. */
static int run(const char *line, char **ret_text)
{
	char copy[512];
	char *argv[32] = { (char *)"pathbell", (char *)"--config", (char *)fleet_config(fleet) };
	int argc = 3;
	char path[128];
	int saved;
	int code;
	FILE *file;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	snprintf(path, sizeof(path), "%s/out", fleet_folder(fleet));
	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	assert_non_null(freopen(path, "w", stdout));
	code = cli_main(registry_commands, argc, argv);
	fflush(stdout);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	*ret_text = calloc(1, 1 << 20);
	file = fopen(path, "r");
	assert_true(fread(*ret_text, 1, (1 << 20) - 1, file) < 1 << 20);
	fclose(file);
	return code;
}

static size_t lines_of(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static int setup(void **state)
{
	fleet = fleet_new();
	return 0;
}

static int teardown(void **state)
{
	fleet = fleet_free(fleet);
	return 0;
}

static void test_hosts(void **state)
{
	char *text = NULL;

	assert_int_equal(run("hosts -o json", &text), CLI_OK);
	assert_non_null(strstr(text, "\"host_id\":\"alpha\",\"connected\":true"));
	free(text);
	assert_int_equal(run("hosts", &text), CLI_OK);
	assert_int_equal(lines_of(text), 2);
	free(text);
}

/* The newest N in the order of storing; pages of the server are smaller. */
static void test_events_newest(void **state)
{
	char *text = NULL;
	char *at;

	fleet_store(fleet, "alpha", 50);
	assert_int_equal(run("events -o json --limit 20", &text), CLI_OK);
	assert_int_equal(lines_of(text), 20);
	at = text;
	for (unsigned id = 31; id <= 50; id++) {
		char wanted[32];

		snprintf(wanted, sizeof(wanted), "{\"id\":%u,", id);
		assert_memory_equal(at, wanted, strlen(wanted));
		at = strchr(at, '\n') + 1;
	}
	free(text);
	assert_int_equal(run("events -o json", &text), CLI_OK);
	assert_int_equal(lines_of(text), 50);
	free(text);
}

static void test_events_from_a_point(void **state)
{
	char *text = NULL;

	assert_int_equal(run("events -o json --after 40", &text), CLI_OK);
	assert_int_equal(lines_of(text), 10);
	assert_memory_equal(text, "{\"id\":41,", 9);
	free(text);
	assert_int_equal(run("events -o json --after 0 --limit 9", &text), CLI_OK);
	assert_int_equal(lines_of(text), 9);
	assert_memory_equal(text, "{\"id\":1,", 8);
	free(text);
	assert_int_equal(run("events --since 2020-01-01", &text), CLI_OK);
	assert_int_equal(lines_of(text), 50);
	free(text);
}

static void test_refusals_have_exit_codes(void **state)
{
	static const struct {
		int status, code;
	} cases[] = {
		{ RPC_NOT_FOUND, CLI_NOT_FOUND },
		{ RPC_PERMISSION_DENIED, CLI_PERMISSION },
		{ RPC_UNAUTHENTICATED, CLI_PERMISSION },
		{ RPC_UNAVAILABLE, CLI_UNAVAILABLE },
		{ RPC_DEADLINE_EXCEEDED, CLI_UNAVAILABLE },
		{ RPC_INVALID_ARGUMENT, CLI_FAILED },
		{ RPC_UNIMPLEMENTED, CLI_FAILED },
		{ RPC_RESOURCE_EXHAUSTED, CLI_FAILED },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = NULL;

		fleet_refuse(fleet, cases[i].status, "because of the test");
		assert_int_equal(run("hosts", &text), cases[i].code);
		assert_string_equal(text, "");
		free(text);
	}
	fleet_refuse(fleet, 0, NULL);
}

static void test_nobody_listens(void **state)
{
	char *text = NULL;

	/* Port 1 of loopback: tcpmux, which nobody runs; refused at once. */
	assert_int_equal(run("hosts --server 127.0.0.1:1", &text), CLI_UNAVAILABLE);
	free(text);
	assert_int_equal(run("hosts --server nowhere", &text), CLI_USAGE);
	free(text);
}

static void test_certificates_are_looked_at_first(void **state)
{
	char *text = NULL;
	char line[256];

	assert_int_equal(run("hosts --certificate /nonexistent/x.pem", &text), CLI_NOT_FOUND);
	free(text);
	snprintf(line, sizeof(line), "hosts --key %s/ca.key", fleet_folder(fleet));
	assert_int_equal(run(line, &text), CLI_PERMISSION);
	free(text);
	snprintf(line, sizeof(line), "pki operator late --dir %s --not-after 2020-01-01T00:00:00Z",
		 fleet_folder(fleet));
	assert_int_equal(run(line, &text), CLI_OK);
	free(text);
	snprintf(line, sizeof(line),
		 "hosts --certificate %s/operator-late.pem --key %s/operator-late.key",
		 fleet_folder(fleet), fleet_folder(fleet));
	assert_int_equal(run(line, &text), CLI_PERMISSION);
	free(text);
}

/* Another authority: TLS fails, and the sentence names the files. */
static void test_a_foreign_authority(void **state)
{
	char *text = NULL;
	char line[256];

	snprintf(line, sizeof(line), "pki init --dir %s/other --trust-domain other.example",
		 fleet_folder(fleet));
	assert_int_equal(run(line, &text), CLI_OK);
	free(text);
	snprintf(line, sizeof(line), "hosts --ca %s/other/ca.pem", fleet_folder(fleet));
	assert_int_equal(run(line, &text), CLI_UNAVAILABLE);
	free(text);
}

static void explain(int status, const char *details, const char *reason, int code,
		    const char *wanted)
{
	const struct settings settings = { .server = (char *)"agg:7441",
					   .ca_file = (char *)"/ca.pem",
					   .certificate_file = (char *)"/me.pem",
					   .timeout_ns = CLOCK_NS_PER_S };
	char text[1024];

	assert_int_equal(client_explain(&settings, status, details, reason, text, sizeof(text)),
			 code);
	if (!strstr(text, wanted))
		fail_msg("no '%s' in '%s'", wanted, text);
}

static void test_failures_say_what_to_try(void **state)
{
	explain(RPC_UNAVAILABLE, "", "Failed to connect to remote host: Connection refused", 5,
		"systemctl status pathbell-aggregator");
	explain(RPC_UNAVAILABLE, "", "DNS resolution failed", 5, "cannot be resolved");
	explain(RPC_UNAVAILABLE, "", "Ssl handshake failed: CERTIFICATE_VERIFY_FAILED", 5,
		"/ca.pem");
	explain(RPC_UNAVAILABLE, "", "No route to host", 5, "firewalls");
	explain(RPC_UNAVAILABLE, "shutting down", "", 5, "shutting down");
	explain(RPC_DEADLINE_EXCEEDED, "", "", 5, "--timeout");
	explain(RPC_PERMISSION_DENIED, "needs operator", "", 4, "roles");
	explain(RPC_NOT_FOUND, "no host x", "", 3, "no host x");
	explain(RPC_UNIMPLEMENTED, "Foo", "", 1, "older");
	explain(RPC_INTERNAL, "", "", 1, "agg:7441");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_events_newest),
		cmocka_unit_test(test_events_from_a_point),
		cmocka_unit_test(test_refusals_have_exit_codes),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_certificates_are_looked_at_first),
		cmocka_unit_test(test_a_foreign_authority),
		cmocka_unit_test(test_failures_say_what_to_try),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
