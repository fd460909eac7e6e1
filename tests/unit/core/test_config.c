/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/config.h"
#include "core/file.h"
#include "fuzz_config_table.h"

#define DATA PATHBELL_TEST_DATA "/config/"

static struct fuzz_config config;

static void parse(const char *text)
{
	struct errmsg err = { 0 };
	int r;

	memset(&config, 0x5a, sizeof(config)); /* any content */
	r = config_parse(&fuzz_config_table, "t.yaml", text, strlen(text), &config, &err);
	if (r != 0)
		print_error("%s:%u:%u: %s\n", err.file, err.line, err.column, err.text);
	assert_int_equal(r, 0);
}

static int done(void **state)
{
	(void)state;
	config_free(&fuzz_config_table, &config);
	return 0;
}

static void assert_is_zero(void)
{
	static const struct fuzz_config zero;

	assert_memory_equal(&config, &zero, sizeof(config));
}

static void test_defaults(void **state)
{
	(void)state;
	memset(&config, 0x5a, sizeof(config));
	config_defaults(&fuzz_config_table, &config);
	assert_true(config.enabled);
	assert_int_equal(config.number, 5);
	assert_int_equal(config.any_number, 0);
	assert_int_equal(config.bytes, 64 << 20);
	assert_int_equal(config.wait, UINT64_C(30000000000));
	assert_null(config.name);
	assert_string_equal(config.label, "");
	assert_string_equal(config.path, "/var/lib/x");
	assert_int_equal(config.level, 1);
	assert_int_equal(config.addresses.n_items, 1);
	assert_string_equal(config.addresses.items[0], "127.0.0.1:1");
	assert_int_equal(config.rules.n_items, 0);
	config_free(&fuzz_config_table, &config);
	assert_is_zero();
	config_free(&fuzz_config_table, &config);
}

static void test_every_type(void **state)
{
	const struct fuzz_rule *rules;

	(void)state;
	parse("enabled: false\nnumber: 65535\nany_number: 18446744073709551615\nname: 'it''s'\n"
	      "label: \"a\\tb\"\nlevel: notice\nsection: { bytes: 1TiB, wait: 7d, path: \"/x y\" "
	      "}\n"
	      "addresses:\n- a\n- 7\nrules:\n  - kind: k*\n    drop: true\n    hosts: [h1, h2]\n"
	      "  - {kind: l}\n");
	assert_false(config.enabled);
	assert_int_equal(config.number, 65535);
	assert_true(config.any_number == UINT64_MAX);
	assert_string_equal(config.name, "it's");
	assert_string_equal(config.label, "a\tb");
	assert_int_equal(config.level, 2);
	assert_int_equal(config.bytes, UINT64_C(1) << 40);
	assert_int_equal(config.wait, UINT64_C(604800000000000));
	assert_string_equal(config.path, "/x y");
	assert_int_equal(config.addresses.n_items, 2);
	assert_string_equal(config.addresses.items[1], "7");
	assert_int_equal(config.rules.n_items, 2);
	rules = config.rules.items;
	assert_string_equal(rules[0].kind, "k*");
	assert_true(rules[0].drop);
	assert_string_equal(rules[0].hosts.items[1], "h2");
	assert_false(rules[1].drop);
	assert_int_equal(rules[1].hosts.n_items, 0);
}

static void test_forms_of_a_document(void **state)
{
	(void)state;
	parse("name: x");
	config_free(&fuzz_config_table, &config);
	parse("\xef\xbb\xbf# a comment\r\nname: x\r\n");
	assert_string_equal(config.name, "x");
	config_free(&fuzz_config_table, &config);
	parse("%YAML 1.1\n---\nname: x\n...\n");
	config_free(&fuzz_config_table, &config);
	parse("name: x\nsection:\n  # bytes: 3\n"); /* all of it commented out */
	config_free(&fuzz_config_table, &config);
	parse("name: x\nrules: []\nlabel: null_ # not null\n");
	assert_string_equal(config.label, "null_");
	config_free(&fuzz_config_table, &config);
	parse("name: ''\nlabel: \"~\"\nnumber: 1\t# tab behind a value\n");
	assert_string_equal(config.name, "");
	assert_string_equal(config.label, "~");
	config_free(&fuzz_config_table, &config);
	parse("name: |\n  two\n  lines\n");
	assert_string_equal(config.name, "two\nlines\n");
}

static void test_durations_and_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t value;
	} durations[] = {
		{ "0", 0 },	      { "0s", 0 },
		{ "1ns", 1 },	      { "7us", 7000 },
		{ "500ms", 500000000 }, { "30s", UINT64_C(30000000000) },
		{ "10m", UINT64_C(600000000000) }, { "24h", UINT64_C(86400000000000) },
		{ "7d", UINT64_C(604800000000000) }, { "18446744073709551615ns", UINT64_MAX },
	}, sizes[] = {
		{ "0", 0 },	   { "64", 64 },
		{ "64B", 64 },	   { "64KiB", 65536 },
		{ "256MiB", 1 << 28 }, { "1GiB", 1 << 30 },
		{ "3TiB", UINT64_C(3) << 40 },
	};
	static const char *const bad[] = { "",
					   "s",
					   "5",
					   "-5s",
					   "5 s",
					   "5S",
					   "1.5s",
					   "5sec",
					   "1h30m",
					   " 5s",
					   "05s",
					   "213504d",
					   "99999999999999999999s" };
	static const char *const bad_sizes[] = { "",	   "B",	 "64kB", "64KB",       "64M",
						 "64 KiB", "-1", "0x10", "16777216TiB" };
	uint64_t value = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		assert_int_equal(config_parse_duration(durations[i].text, &value, NULL), 0);
		assert_true(value == durations[i].value);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(config_parse_size(sizes[i].text, &value, NULL), 0);
		assert_true(value == sizes[i].value);
	}
	value = 77;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(config_parse_duration(bad[i], &value, NULL), CONFIG_E_INVALID);
	for (size_t i = 0; i < sizeof(bad_sizes) / sizeof(bad_sizes[0]); i++)
		assert_int_equal(config_parse_size(bad_sizes[i], &value, NULL), CONFIG_E_INVALID);
	assert_int_equal(value, 77);
}

static void test_load_with_drop_ins(void **state)
{
	struct errmsg err = { 0 };
	const struct fuzz_rule *rules;

	(void)state;
	assert_int_equal(config_load(&fuzz_config_table, DATA "good.yaml", &config, &err), 0);
	assert_string_equal(config.name, "from the main file");
	assert_int_equal(config.number, 20);	       /* 20-last.yaml after 10-first.yaml */
	assert_int_equal(config.level, 0);	       /* of 10-first.yaml */
	assert_int_equal(config.bytes, 1 << 20);       /* sections merge: main file, */
	assert_int_equal(config.wait, 1000000000);     /* and drop-in */
	assert_int_equal(config.addresses.n_items, 1); /* lists replace */
	assert_string_equal(config.addresses.items[0], "d");
	assert_int_equal(config.rules.n_items, 1);
	rules = config.rules.items;
	assert_string_equal(rules[0].kind, "second");
}

static void test_load_names_the_file_at_fault(void **state)
{
	struct errmsg err = { 0 };

	(void)state;
	assert_int_equal(config_load(&fuzz_config_table, DATA "bad_drop_in.yaml", &config, &err),
			 CONFIG_E_INVALID);
	assert_string_equal(err.file, DATA "bad_drop_in.yaml.d/50-bad.yaml");
	assert_int_equal(err.line, 3);
	assert_int_equal(err.column, 9);
	assert_is_zero();
	/* What a later file overrides is checked all the same. */
	assert_int_equal(config_load(&fuzz_config_table, DATA "overridden.yaml", &config, &err),
			 CONFIG_E_INVALID);
	assert_string_equal(err.file, DATA "overridden.yaml");
	assert_int_equal(err.line, 3);
	/* The option that is missing there comes from the drop-in. */
	assert_int_equal(config_load(&fuzz_config_table, DATA "completed.yaml", &config, &err), 0);
	assert_string_equal(config.name, "from the drop-in");
}

static void test_load_of_unreadable_files(void **state)
{
	struct errmsg err = { 0 };

	(void)state;
	assert_int_equal(config_load(&fuzz_config_table, DATA "none.yaml", &config, &err), -ENOENT);
	assert_string_equal(err.file, DATA "none.yaml");
	assert_string_equal(err.text, "cannot read: No such file or directory");
	assert_int_equal(err.line, 0);
	assert_is_zero();
	assert_int_equal(config_load(&fuzz_config_table, DATA, &config, &err), -EISDIR);
	assert_int_equal(config_load(&fuzz_config_table, "/dev/zero", &config, &err),
			 CONFIG_E_INVALID);
	assert_string_equal(err.text, "file is larger than 1 MiB");
	assert_int_equal(err.line, 1);
}

static void write_file(const char *folder, const char *name, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
}

static void test_number_of_drop_ins_is_limited(void **state)
{
	char folder[] = "/tmp/pathbell-config-XXXXXX", path[64], name[32];
	struct errmsg err = { 0 };

	(void)state;
	assert_non_null(mkdtemp(folder));
	write_file(folder, "c.yaml", "name: x\n");
	snprintf(path, sizeof(path), "%s/c.yaml.d", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	for (int i = 0; i < 64; i++) {
		snprintf(name, sizeof(name), "%d.yaml", i);
		write_file(path, name, "number: 7\n");
	}
	write_file(path, ".hidden.yaml", "junk: 1\n");
	write_file(path, "note.txt", "junk: 1\n");
	snprintf(path, sizeof(path), "%s/c.yaml", folder);
	assert_int_equal(config_load(&fuzz_config_table, path, &config, &err), 0);
	config_free(&fuzz_config_table, &config);
	snprintf(path, sizeof(path), "%s/c.yaml.d", folder);
	write_file(path, "65.yaml", "number: 7\n");
	snprintf(path, sizeof(path), "%s/c.yaml", folder);
	assert_int_equal(config_load(&fuzz_config_table, path, &config, &err), CONFIG_E_INVALID);
	assert_string_equal(err.text, "more than 64 files");
	assert_is_zero();

	snprintf(path, sizeof(path), "rm -r %s", folder);
	assert_int_equal(system(path), 0);
}

#define config_test(name) cmocka_unit_test_teardown(name, done)

int main(void)
{
	const struct CMUnitTest tests[] = {
		config_test(test_defaults),
		config_test(test_every_type),
		config_test(test_forms_of_a_document),
		config_test(test_durations_and_sizes),
		config_test(test_load_with_drop_ins),
		config_test(test_load_names_the_file_at_fault),
		config_test(test_load_of_unreadable_files),
		config_test(test_number_of_drop_ins_is_limited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
