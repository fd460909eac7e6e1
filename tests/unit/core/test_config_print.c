/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <json.h>

#include "core/config.h"
#include "fuzz_config_table.h"

static char *dump(const struct fuzz_config *config)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(config_dump(&fuzz_config_table, config, out), 0);
	fclose(out);
	return text;
}

static void parse(const char *text, struct fuzz_config *ret_config)
{
	struct errmsg err = { 0 };
	int r = config_parse(&fuzz_config_table, "t", text, strlen(text), ret_config, &err);

	if (r != 0)
		print_error("%u:%u: %s in\n%s\n", err.line, err.column, err.text, text);
	assert_int_equal(r, 0);
}

static void test_dump_can_be_read_back(void **state)
{
	static const char text[] = "enabled: false\n"
				   "number: 17\n"
				   "any_number: 18446744073709551615\n"
				   "name: \"q\\\"b\\\\s\\u000a \\u2028 \xc3\xa4 #: - \"\n"
				   "label: \"\"\n"
				   "level: notice\n"
				   "section:\n"
				   "  bytes: 1025B\n"
				   "  wait: 90s\n"
				   "  path: \"/x\"\n"
				   "addresses: [\"a\", \"7\", \"true\"]\n"
				   "rules:\n"
				   "  -\n"
				   "    kind: \"k*\"\n"
				   "    drop: true\n"
				   "    hosts: [\"h\"]\n"
				   "  -\n"
				   "    kind: \"l\"\n"
				   "    drop: false\n"
				   "    hosts: []\n";
	struct fuzz_config config;
	char *again;

	(void)state;
	parse(text, &config);
	again = dump(&config);
	assert_string_equal(again, text);
	free(again);
	config_free(&fuzz_config_table, &config);
}

static void test_dump_of_the_defaults(void **state)
{
	struct fuzz_config config;
	char *text;

	(void)state;
	config_defaults(&fuzz_config_table, &config);
	text = dump(&config);
	assert_non_null(strstr(text, "# name:\n"));
	assert_non_null(strstr(text, "  bytes: 64MiB\n  wait: 30s\n"));
	assert_non_null(strstr(text, "rules: []\n"));
	free(text);
	config_free(&fuzz_config_table, &config);
}

static char *sample(void)
{
	static char *text; /* gcc 12 takes the address in the stream for the pointer */
	static size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(config_sample(&fuzz_config_table, "What this file is.", out), 0);
	fclose(out);
	return text;
}

/* The sample with its one required option is the defaults; without a comment sign, too. */
static void test_sample_is_the_defaults(void **state)
{
	struct fuzz_config config, defaults;
	char *text = sample(), *one, *two, *place;

	(void)state;
	assert_non_null(strstr(text, "# What this file is.\n"));
	assert_non_null(strstr(text, "# One of: error, warning, notice\nlevel: warning\n"));
	assert_non_null(strstr(text, "# From 1KiB to 1TiB.\n  bytes: 64MiB\n"));
	assert_non_null(strstr(text, "# rules:\n#   -\n#     kind: "));
	place = strstr(text, "# Required.\n# name: ");
	assert_non_null(place);
	memcpy(place, "name: x    \n#", 13);
	parse(text, &config);
	config_defaults(&fuzz_config_table, &defaults);
	defaults.name = strdup("x");
	one = dump(&config);
	two = dump(&defaults);
	assert_string_equal(one, two);
	free(one);
	free(two);
	free(text);
	config_free(&fuzz_config_table, &config);
	config_free(&fuzz_config_table, &defaults);
}

static const struct config_option long_options[] = {
	{ "x", CONFIG_BOOL, 0, "true",
	  .help = "A sentence that is so long that it cannot stand on one line of the sample, "
		  "which "
		  "has a hundred columns and no more, and so it is broken at a blank.\nNew line." },
};
static const struct config_table long_table = { long_options, 1, sizeof(bool) };

static void test_help_is_wrapped(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(config_sample(&long_table, "Head.", out), 0);
	fclose(out);
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
		assert_true(strcspn(line, "\n") <= 100);
		assert_true(*line == '#' || *line == '\n' || strncmp(line, "x: true", 7) == 0);
	}
	assert_non_null(strstr(text, "# New line.\nx: true\n"));
	free(text);
}

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	assert_true(json_object_object_get_ex(object, key, &value));
	return value;
}

static void test_schema_is_json_and_says_the_table(void **state)
{
	struct json_object *root, *properties, *number, *rules;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(config_schema(&fuzz_config_table, "A \"title\"", out), 0);
	fclose(out);
	root = json_tokener_parse(text);
	assert_non_null(root);
	assert_string_equal(json_object_get_string(get(root, "title")), "A \"title\"");
	assert_false(json_object_get_boolean(get(root, "additionalProperties")));
	assert_string_equal(json_object_get_string(get(root, "required")), "[ \"name\" ]");
	properties = get(root, "properties");
	assert_int_equal(json_object_object_length(properties), 9);
	number = get(properties, "number");
	assert_int_equal(json_object_get_int(get(number, "maximum")), 65535);
	assert_int_equal(json_object_get_int(get(number, "default")), 5);
	rules = get(properties, "rules");
	assert_int_equal(json_object_get_int(get(rules, "maxItems")), 5);
	assert_string_equal(json_object_get_string(get(get(rules, "items"), "required")),
			    "[ \"kind\" ]");
	get(get(get(properties, "section"), "properties"), "path");
	json_object_put(root);
	free(text);
}

static void test_a_full_disk_is_reported(void **state)
{
	struct fuzz_config config;
	FILE *out = fopen("/dev/full", "w");

	(void)state;
	if (!out)
		skip();
	config_defaults(&fuzz_config_table, &config);
	assert_int_equal(config_dump(&fuzz_config_table, &config, out), -ENOSPC);
	config_free(&fuzz_config_table, &config);
	fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dump_can_be_read_back),
		cmocka_unit_test(test_dump_of_the_defaults),
		cmocka_unit_test(test_sample_is_the_defaults),
		cmocka_unit_test(test_help_is_wrapped),
		cmocka_unit_test(test_schema_is_json_and_says_the_table),
		cmocka_unit_test(test_a_full_disk_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
