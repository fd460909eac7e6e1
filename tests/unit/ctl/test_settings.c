/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/file.h"

static char folder[64];

static void write_text(const char *path, const char *text)
{
	assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
}

static struct cli with_option(const struct cli_option *option, const char *value)
{
	struct cli cli = { .n_values = option ? 1 : 0 };

	cli.values[0] = (struct cli_value){ option, value };
	return cli;
}

static const struct cli_option config_option = { .name = "config" },
			       server_option = { .name = "server" },
			       timeout_option = { .name = "timeout" };

static int setup(void **state)
{
	strcpy(folder, "/tmp/pathbell-settings.XXXXXX");
	assert_non_null(mkdtemp(folder));
	unsetenv("PATHBELL_CONFIG");
	unsetenv("XDG_CONFIG_HOME");
	setenv("HOME", folder, 1);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static void test_defaults_without_a_file(void **state)
{
	struct cli cli = with_option(&server_option, "there:1");
	struct settings settings;

	if (access("/etc/pathbell/pathbell.yaml", F_OK) == 0)
		skip();
	assert_int_equal(settings_load(&cli, &settings), CLI_OK);
	assert_string_equal(settings.server, "there:1");
	assert_string_equal(settings.socket, "/run/pathbell/agent.sock");
	assert_int_equal(settings.timeout_ns, 10 * CLOCK_NS_PER_S);
	assert_null(settings.signing_key);
	settings_deinit(&settings);
}

static void test_order_of_the_files(void **state)
{
	char home[128];
	char given[128];
	struct settings settings;
	struct cli none = with_option(NULL, NULL);

	snprintf(home, sizeof(home), "%s/.config/pathbell", folder);
	assert_int_equal(file_mkdirs(home, 0755), 0);
	strcat(home, "/pathbell.yaml");
	write_text(home, "server: home:1\ntimeout: 3s\n");
	assert_int_equal(settings_load(&none, &settings), CLI_OK);
	assert_string_equal(settings.server, "home:1");
	assert_int_equal(settings.timeout_ns, 3 * CLOCK_NS_PER_S);
	settings_deinit(&settings);

	snprintf(given, sizeof(given), "%s/given.yaml", folder);
	write_text(given, "server: given:1\n");
	setenv("PATHBELL_CONFIG", given, 1);
	assert_int_equal(settings_load(&none, &settings), CLI_OK);
	assert_string_equal(settings.server, "given:1");
	settings_deinit(&settings);

	struct cli option = with_option(&config_option, home);

	assert_int_equal(settings_load(&option, &settings), CLI_OK);
	assert_string_equal(settings.server, "home:1");
	settings_deinit(&settings);
	unsetenv("PATHBELL_CONFIG");
}

static void test_a_bad_file_is_78(void **state)
{
	char bad[128];
	struct settings settings;

	snprintf(bad, sizeof(bad), "%s/bad.yaml", folder);
	struct cli cli = with_option(&config_option, bad);

	assert_int_equal(settings_load(&cli, &settings), CLI_CONFIG);
	settings_deinit(&settings);
	write_text(bad, "sever: x:1\n");
	assert_int_equal(settings_load(&cli, &settings), CLI_CONFIG);
	settings_deinit(&settings);
}

static void test_a_bad_timeout_is_wrong_usage(void **state)
{
	static const char *const bad[] = { "x", "5", "0s", "8d" };
	struct settings settings;

	for (size_t i = 0; i < 4; i++) {
		struct cli cli = with_option(&timeout_option, bad[i]);

		assert_int_equal(settings_load(&cli, &settings), CLI_USAGE);
		settings_deinit(&settings);
	}
}

static void test_the_sample_is_the_table(void **state)
{
	char *sample = NULL;
	size_t sample_size = 0;
	char *file = NULL;
	size_t file_size = 0;
	FILE *out = open_memstream(&sample, &sample_size);

	assert_int_equal(config_sample(&settings_table, settings_heading, out), 0);
	fclose(out);
	assert_int_equal(file_read(PATHBELL_TEST_DATA "/../../conf/pathbell.yaml", 1 << 20, &file,
				   &file_size),
			 0);
	assert_string_equal(file, sample);
	free(file);
	free(sample);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_without_a_file),
		cmocka_unit_test(test_order_of_the_files),
		cmocka_unit_test(test_a_bad_file_is_78),
		cmocka_unit_test(test_a_bad_timeout_is_wrong_usage),
		cmocka_unit_test(test_the_sample_is_the_table),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
