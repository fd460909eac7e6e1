/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "ctl/command.h"
#include "ctl/registry.h"
#include "ctl/verb.h"

/* A registry of our own: what the parser hands to a command. */
static struct {
	const char *command, *glob, *last, *server;
	size_t n_last, n_operands;
	char operands[4][32];
	bool flag, json;
	int result;
} seen;

static int record(struct cli *cli)
{
	const char *all[4];

	seen.command = cli->command->path;
	seen.glob = cli_get(cli, "glob");
	seen.last = cli_get(cli, "list");
	seen.server = cli_get(cli, "server");
	seen.n_last = cli_get_all(cli, "list", all, 4);
	seen.flag = cli_has(cli, "flag");
	seen.json = cli->out.json;
	seen.n_operands = (size_t)cli->n_operands;
	for (int i = 0; i < cli->n_operands && i < 4; i++)
		snprintf(seen.operands[i], sizeof(seen.operands[i]), "%s", cli->operands[i]);
	return seen.result;
}

static const struct cli_option options[] = {
	{ "glob", "GLOB", "a glob", 'g', false }, { "list", "ITEM", "may be repeated", 'l', false },
	{ "flag", NULL, "a switch", 'f', false }, { "secret", NULL, "hidden", 0, true },
	{ NULL, NULL, NULL, 0, false },
};

static const struct cli_command one = { .path = "one",
					.summary = "First",
					.operands = "[A] [B]",
					.max_operands = 2,
					.options = options,
					.run = record };
static const struct cli_command one_deep = { .path = "one deep thing",
					     .summary = "Second",
					     .operands = "A",
					     .min_operands = 1,
					     .max_operands = 1,
					     .options = options,
					     .help = "More words.",
					     .run = record };
static const struct cli_command two = {
	.path = "two", .summary = "Third", .operands = "", .run = record
};
static const struct cli_command *const registry[] = { &one, &one_deep, &two, NULL };

static int call(const char *line)
{
	char copy[512];
	char *argv[32] = { (char *)"pathbell" };
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	memset(&seen, 0, sizeof(seen));
	return cli_main(registry, argc, argv);
}

static void test_the_longest_path_wins(void **state)
{
	assert_int_equal(call("one"), CLI_OK);
	assert_string_equal(seen.command, "one");
	assert_int_equal(call("one deep"), CLI_OK);
	assert_string_equal(seen.command, "one");
	assert_string_equal(seen.operands[0], "deep");
	assert_int_equal(call("one deep thing x"), CLI_OK);
	assert_string_equal(seen.command, "one deep thing");
	assert_string_equal(seen.operands[0], "x");
}

static void test_options_stand_anywhere(void **state)
{
	static const char *const lines[] = {
		"-o json one deep thing x --glob y -f",
		"one -o json deep --glob=y thing -f x",
		"one deep thing -o json --glob y x -f",
		"--glob y -ojson -f one deep thing x",
		"one deep thing --output=json -gy -f -- x",
		"one deep thing --out json --gl y --flag x",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (call(lines[i]) != CLI_OK)
			fail_msg("%s", lines[i]);
		assert_string_equal(seen.command, "one deep thing");
		assert_string_equal(seen.operands[0], "x");
		assert_int_equal(seen.n_operands, 1);
		assert_string_equal(seen.glob, "y");
		assert_true(seen.flag);
		assert_true(seen.json);
	}
}

static void test_the_value_of_an_option_is_no_word(void **state)
{
	assert_int_equal(call("--server two one"), CLI_OK);
	assert_string_equal(seen.command, "one");
	assert_string_equal(seen.server, "two");
}

static void test_repeated_options(void **state)
{
	assert_int_equal(call("one -l a --list b -l c"), CLI_OK);
	assert_int_equal(seen.n_last, 3);
	assert_string_equal(seen.last, "c");
}

static void test_wrong_usage_is_2_and_runs_nothing(void **state)
{
	static const char *const lines[] = {
		"",
		"three",
		"one --nope",
		"one -z",
		"one --glob",
		"one --flag=x",
		"one a b c",
		"one deep thing",
		"one deep thing x y",
		"two --glob x",
		"one -o xml",
		"two x",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (call(lines[i]) != CLI_USAGE)
			fail_msg("%s", lines[i]);
		assert_null(seen.command);
	}
}

static void test_results_are_passed_on(void **state)
{
	int code;

	memset(&seen, 0, sizeof(seen));
	for (code = 0; code < 7; code++) {
		static const struct cli_command *const one_only[] = { &one, NULL };
		char *argv[] = { (char *)"pathbell", (char *)"one", NULL };

		seen.result = code;
		assert_int_equal(cli_main(one_only, 2, argv), code);
	}
}

static void test_too_many_options(void **state)
{
	char line[512] = "one";

	for (int i = 0; i < 30; i++)
		strcat(line, " -ffffffff");
	assert_int_equal(call(line), CLI_USAGE);
}

static void test_help_is_no_failure(void **state)
{
	assert_int_equal(call("--help"), CLI_OK);
	assert_int_equal(call("one --help"), CLI_OK);
	assert_int_equal(call("one deep thing -h"), CLI_OK);
	assert_int_equal(call("--version"), CLI_OK);
	assert_null(seen.command);
}

static void test_help_shows_all_but_what_is_hidden(void **state)
{
	struct buf out = { 0 };

	assert_int_equal(cli_help(registry, &one, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_non_null(strstr((char *)out.data, "Usage: pathbell one [OPTION]... [A] [B]"));
	assert_non_null(strstr((char *)out.data, "-g, --glob GLOB"));
	assert_null(strstr((char *)out.data, "secret"));
	buf_deinit(&out);
}

/* ---- the real tables ---- */

static void test_every_command_is_complete(void **state)
{
	for (const struct cli_command *const *c = registry_commands; *c; c++) {
		struct buf out = { 0 };

		assert_non_null((*c)->summary);
		assert_non_null((*c)->operands);
		assert_non_null((*c)->run);
		assert_true((*c)->min_operands <= (*c)->max_operands);
		assert_int_equal((*c)->max_operands > 0, *(*c)->operands != '\0');
		assert_int_equal(cli_help(registry_commands, *c, &out), 0);
		buf_deinit(&out);
		for (const struct cli_command *const *d = registry_commands; d < c; d++)
			assert_string_not_equal((*c)->path, (*d)->path);
	}
}

/* The search for words relies on it: a name or letter takes a value everywhere or nowhere. */
static void test_options_mean_the_same_everywhere(void **state)
{
	static const struct cli_option *all[8192];
	size_t n = 0;

	for (const struct cli_option *o = cli_global_options; o->name; o++)
		all[n++] = o;
	for (const struct cli_command *const *c = registry_commands; *c; c++) {
		const struct cli_option *tables[CLI_MAX_TABLES];
		size_t n_tables = cli_tables(*c, tables);
		size_t own = 0;

		for (size_t i = 0; i < n_tables; i++) {
			for (const struct cli_option *o = tables[i]; o->name; o++, own++)
				all[n++] = o;
		}
		assert_true(n_tables < CLI_MAX_TABLES);
		assert_true(own <= CLI_MAX_OPTIONS);
		assert_true(n + CLI_MAX_OPTIONS < sizeof(all) / sizeof(all[0]));
	}
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(all[i]->name, all[j]->name) == 0)
				assert_int_equal(!all[i]->argument, !all[j]->argument);
			if (all[i]->letter && all[i]->letter == all[j]->letter)
				assert_int_equal(!all[i]->argument, !all[j]->argument);
		}
	}
}

/* ---- a command from options ---- */

static struct cli probe_line(const struct cli_value *values, size_t n_values, char **hosts,
			     int n_hosts)
{
	struct cli cli = { .command = &verb_commands[VERB_PROBE],
			   .n_values = n_values,
			   .operands = hosts,
			   .n_operands = n_hosts };

	memcpy(cli.values, values, n_values * sizeof(*values));
	return cli;
}

static const struct cli_option device_option = { .name = "device" }, id_option = { .name = "id" },
			       expires_option = { .name = "expires" },
			       read_option = { .name = "read" },
			       reason_option = { .name = "reason" };

static void test_a_probe_is_built(void **state)
{
	const struct cli_value values[] = { { &device_option, "/dev/sda" },
					    { &read_option, "" },
					    { &expires_option, "90s" } };
	char *hosts[] = { (char *)"a", (char *)"b" };
	struct cli cli = probe_line(values, 3, hosts, 2);
	uint64_t now_ns = UINT64_C(1795224600) * CLOCK_NS_PER_S;
	struct command_plan plan;

	assert_int_equal(command_build(&cli, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE,
				       "alice", now_ns, &plan),
			 CLI_OK);
	assert_int_equal(plan.command.id.len, 16);
	assert_int_equal(plan.command.n_host_ids, 2);
	assert_string_equal(plan.command.issuer, "alice");
	assert_string_equal(plan.command.target->name, "sda");
	assert_true(plan.command.probe->read_sector);
	assert_int_equal(plan.command.expires_unix_ms, UINT64_C(1795224690000));
	assert_true(plan.command.not_before_unix_ms < UINT64_C(1795224600000));
	assert_true(plan.command.expires_unix_ms - plan.command.not_before_unix_ms <=
		    UINT64_C(86400000));
}

static void test_bad_commands_are_refused(void **state)
{
	static char long_reason[600];
	memset(long_reason, 'x', sizeof(long_reason) - 1);
	const struct cli_value cases[][2] = {
		{ { &device_option, "sda" }, { &id_option, "wwid:x" } },
		{ { &read_option, "" }, { &read_option, "" } },
		{ { &device_option, "sda" }, { &expires_option, "24h" } },
		{ { &device_option, "sda" }, { &expires_option, "5" } },
		{ { &device_option, "sda" }, { &reason_option, long_reason } },
	};
	char *hosts[] = { (char *)"a", (char *)"a" };
	struct command_plan plan;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cli cli = probe_line(cases[i], 2, hosts, 1);

		assert_int_equal(command_build(&cli, 1, "alice", clock_realtime_ns(), &plan),
				 CLI_USAGE);
	}
	struct cli twice = probe_line(cases[0], 1, hosts, 2);
	struct cli nobody = probe_line(cases[0], 1, hosts, 1);

	assert_int_equal(command_build(&twice, 1, "alice", clock_realtime_ns(), &plan), CLI_USAGE);
	assert_int_equal(command_build(&nobody, 1, NULL, clock_realtime_ns(), &plan), CLI_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_longest_path_wins),
		cmocka_unit_test(test_options_stand_anywhere),
		cmocka_unit_test(test_the_value_of_an_option_is_no_word),
		cmocka_unit_test(test_repeated_options),
		cmocka_unit_test(test_wrong_usage_is_2_and_runs_nothing),
		cmocka_unit_test(test_results_are_passed_on),
		cmocka_unit_test(test_too_many_options),
		cmocka_unit_test(test_help_is_no_failure),
		cmocka_unit_test(test_help_shows_all_but_what_is_hidden),
		cmocka_unit_test(test_every_command_is_complete),
		cmocka_unit_test(test_options_mean_the_same_everywhere),
		cmocka_unit_test(test_a_probe_is_built),
		cmocka_unit_test(test_bad_commands_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
