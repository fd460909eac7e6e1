/* SPDX-License-Identifier: Apache-2.0 */
/* Every refusal that core/config.h lists, each with its place and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/config.h"
#include "fuzz_config_table.h"

static struct fuzz_config config;

static void assert_bad_bytes(const char *text, size_t text_len, const char *expected)
{
	static const struct fuzz_config zero;
	struct errmsg err = { 0 };
	char message[1024];
	char *copy = malloc(text_len ? text_len : 1); /* no NUL behind it */

	assert_non_null(copy);
	memcpy(copy, text, text_len);
	memset(&config, 0x5a, sizeof(config));
	assert_int_equal(config_parse(&fuzz_config_table, "f", copy, text_len, &config, &err),
			 CONFIG_E_INVALID);
	errmsg_format(&err, message, sizeof(message));
	assert_string_equal(message, expected);
	assert_memory_equal(&config, &zero, sizeof(config));
	/* Nobody needs to listen. */
	assert_int_equal(config_parse(&fuzz_config_table, "f", copy, text_len, &config, NULL),
			 CONFIG_E_INVALID);
	free(copy);
}

static void assert_bad(const char *text, const char *expected)
{
	assert_bad_bytes(text, strlen(text), expected);
}

static void test_unknown_options(void **state)
{
	(void)state;
	assert_bad("name: x\nnmber: 3\n",
		   "f:2:1: unknown option \"nmber\", did you mean \"number\"?");
	assert_bad("section:\n  byte: 3\n",
		   "f:2:3: section: unknown option \"byte\", did you mean \"bytes\"?");
	assert_bad("rules:\n  - kind: a\n  - knd: a\n",
		   "f:3:5: rules[1]: unknown option \"knd\", did you mean \"kind\"?");
	assert_bad("something_else: 1\n", "f:1:1: unknown option \"something_else\"");
	assert_bad("xyz: 1\n", "f:1:1: unknown option \"xyz\"");
	assert_bad("<<: { name: x }\n", "f:1:1: unknown option \"<<\"");
	assert_bad("\"\\e[31m\": 1\n", "f:1:1: unknown option \"?[31m\"");
}

static void test_duplicates(void **state)
{
	(void)state;
	assert_bad("name: x\nnumber: 1\nname: y\n",
		   "f:3:1: duplicate key \"name\", first on line 1");
	assert_bad("rules: [{kind: a, kind: b}]",
		   "f:1:19: duplicate key \"kind\", first on line 1");
	assert_bad("section: {}\nsection: {}\n",
		   "f:2:1: duplicate key \"section\", first on line 1");
}

static void test_wrong_types(void **state)
{
	(void)state;
	assert_bad("name: [x]\n", "f:1:7: name: a single value is wanted here, not a list");
	assert_bad("name:\n  x: 1\n", "f:2:3: name: a single value is wanted here, not a map");
	assert_bad("section: 5\n",
		   "f:1:10: section: a map is wanted here, lines of \"option: value\"");
	assert_bad("addresses: a\n", "f:1:12: addresses: a list is wanted here, write [a, b] or "
				     "lines that start with \"- \"");
	assert_bad("addresses: [a, [b]]\n",
		   "f:1:16: addresses[1]: a single value is wanted here, not a list");
	assert_bad("addresses: [a, ~]\n", "f:1:16: addresses[1]: has no value");
	assert_bad("rules: [a]\n",
		   "f:1:9: rules[0]: a map is wanted here, lines of \"option: value\"");
	assert_bad("- a\n- b\n", "f:1:1: a map is wanted here, lines of \"option: value\"");
	assert_bad("word\n", "f:1:1: a map is wanted here, lines of \"option: value\"");
	assert_bad("name:\n", "f:1:6: name: has no value");
	assert_bad("name: ~\n", "f:1:7: name: has no value");
	assert_bad("enabled: yes\n", "f:1:10: enabled: \"yes\" is not a truth value, write true");
	assert_bad("enabled: Off\n", "f:1:10: enabled: \"Off\" is not a truth value, write false");
	assert_bad("enabled: \"true\"\n", "f:1:10: enabled: \"true\" is not true or false");
	assert_bad("enabled: 1\n", "f:1:10: enabled: \"1\" is not true or false");
	assert_bad("number: five\n", "f:1:9: number: \"five\" is not a number");
	assert_bad("number: -5\n", "f:1:9: number: \"-5\" is not a number from 0 upwards");
	assert_bad("number: 1.5\n", "f:1:9: number: \"1.5\" is not a whole number");
	assert_bad("number: 0x10\n", "f:1:9: number: \"0x10\" is not a whole number");
	assert_bad("number: 010\n",
		   "f:1:9: number: \"010\" has a leading zero, numbers are decimal");
	assert_bad("number: \"5\"\n",
		   "f:1:9: number: \"5\" is a string, write the number without quotes");
	assert_bad("level: loud\n",
		   "f:1:8: level: \"loud\" is not one of error, warning or notice");
	assert_bad("section: {path: relative/x}\n",
		   "f:1:17: section.path: \"relative/x\" is not an absolute path");
	assert_bad("section: {path: \"/a\\nb\"}\n",
		   "f:1:17: section.path: control character 0x0a in the value");
	assert_bad("name: \"\\e[31m\"\n", "f:1:7: name: control character 0x1b in the value");
	assert_bad("section:\n  wait: 30\n", "f:2:9: section.wait: \"30\" has no unit, write for "
					     "example 500ms, 30s, 10m, 24h or 7d");
	assert_bad(
		"section:\n  bytes: 5MB\n",
		"f:2:10: section.bytes: \"5MB\" has an unknown unit, write for example 512, 64KiB, "
		"256MiB or 1GiB");
}

static void test_out_of_range(void **state)
{
	(void)state;
	assert_bad("number: 0\n", "f:1:9: number: value 0 is not within 1 and 65535");
	assert_bad("number: 65536\n", "f:1:9: number: value 65536 is not within 1 and 65535");
	assert_bad("number: 18446744073709551616\n",
		   "f:1:9: number: \"18446744073709551616\" is larger than 2^64");
	assert_bad("any_number: 99999999999999999999999999999999999999999999999999\n",
		   "f:1:13: any_number: \"9999999999999999999999999999999999999999\" is larger "
		   "than 2^64");
	assert_bad("section: {bytes: 1023}\n",
		   "f:1:18: section.bytes: value 1023B is not within 1KiB and 1TiB");
	assert_bad("section: {wait: 213504d}\n", "f:1:17: section.wait: \"213504d\" is too large");
	assert_bad("label: 123456789\n", "f:1:8: label: length 9 is not within 0 and 8");
	assert_bad("addresses: []\n",
		   "f:1:12: addresses: number of elements 0 is not within 1 and 4");
	assert_bad("addresses: [a, b, c, d, e]\n",
		   "f:1:12: addresses: number of elements 5 is not within 1 and 4");
	assert_bad("rules:\n- {kind: a}\n- {kind: b, hosts: [1, 2, 3, 4]}\n",
		   "f:3:20: rules[1].hosts: number of elements 4 is not within 0 and 3");
}

static void test_required(void **state)
{
	(void)state;
	assert_bad("number: 3\n", "f:1:1: required option \"name\" is missing");
	assert_bad("{}\n", "f:1:1: required option \"name\" is missing");
	assert_bad("name: x\nrules:\n  - kind: a\n  - drop: true\n",
		   "f:4:5: required option \"kind\" is missing");
}

static void test_yaml_that_is_not_ours(void **state)
{
	(void)state;
	assert_bad("name: &a x\n", "f:1:7: anchors (&) are not supported");
	assert_bad("addresses: &a [x]\n", "f:1:12: anchors (&) are not supported");
	assert_bad("section: &a {}\n", "f:1:10: anchors (&) are not supported");
	assert_bad("name: *a\n", "f:1:7: aliases (*) are not supported");
	assert_bad("name: !!str x\n", "f:1:7: tags (!) are not supported");
	assert_bad("addresses: !x []\n", "f:1:12: tags (!) are not supported");
	assert_bad("name: x\n---\nname: y\n", "f:2:1: more than one document");
	assert_bad("? [a]\n: b\n", "f:1:3: a key must be a word, not a map or a list");
	assert_bad("? {a: b}\n: b\n", "f:1:3: a key must be a word, not a map or a list");
	assert_bad("'': b\n", "f:1:1: empty key");
	assert_bad("\"a\\0b\": c\n", "f:1:1: NUL character in a value");
	assert_bad("name: \"a\\0b\"\n", "f:1:7: NUL character in a value");
}

static void test_empty(void **state)
{
	(void)state;
	assert_bad("", "f:1:1: the file is empty");
	assert_bad("\n\n  \n", "f:1:1: the file is empty");
	assert_bad("# only a comment\n", "f:1:1: the file is empty");
	assert_bad("---\n", "f:1:1: the file is empty");
	assert_bad("null\n", "f:1:1: the file is empty");
	assert_bad("\xef\xbb\xbf", "f:1:1: the file is empty");
}

static void test_bytes(void **state)
{
	(void)state;
	assert_bad("name: x\n\tnumber: 1\n", "f:2:1: tab in the indentation, use spaces");
	assert_bad("section:\n  \tbytes: 1\n", "f:2:3: tab in the indentation, use spaces");
	assert_bad_bytes("name: a\0b\n", 10, "f:1:8: NUL byte in a text file");
	assert_bad("name: \xc3\xa4\xff\n", "f:1:8: byte that is not UTF-8");
	assert_bad("name: \xc0\x80\n", "f:1:7: byte that is not UTF-8");
	assert_bad("name: \xed\xa0\x80\n", "f:1:7: byte that is not UTF-8");
	assert_bad("name: \xf4\x90\x80\x80\n", "f:1:7: byte that is not UTF-8");
	assert_bad_bytes("name: \xe2\x82\xac", 8, "f:1:7: byte that is not UTF-8");
	assert_bad("\xff\xfe", "f:1:1: byte that is not UTF-8"); /* UTF-16 */
	assert_bad("name: x\nlabel: \x1b[31m\n", "f:2:8: control character U+001B is not allowed");
	assert_bad("name: \xc2\x9b\n", "f:1:7: control character U+009B is not allowed");
	assert_bad("name: \xef\xbb\xbf\n", "f:1:7: control character U+FEFF is not allowed");
}

static void test_syntax(void **state)
{
	(void)state;
	assert_bad("name: [a\n",
		   "f:2:1: did not find expected ',' or ']' while parsing a flow sequence");
	assert_bad("name: \"a\n",
		   "f:2:1: found unexpected end of stream while scanning a quoted scalar");
	assert_bad("name: x\n  y: z\n", "f:2:4: mapping values are not allowed in this context");
	assert_bad("name: @x\n", "f:1:7: found character that cannot start any token while "
				 "scanning for the next token");
	assert_bad("name: x\n- a\n",
		   "f:2:1: did not find expected key while parsing a block mapping");
}

/* @n times @piece behind @head. */
static char *repeat(const char *head, const char *piece, size_t n)
{
	size_t head_len = strlen(head), piece_len = strlen(piece);
	char *text = malloc(head_len + n * piece_len + 1);

	assert_non_null(text);
	memcpy(text, head, head_len + 1);
	for (size_t i = 0; i < n; i++)
		memcpy(text + head_len + i * piece_len, piece, piece_len + 1);
	return text;
}

static void assert_bad_repeat(const char *head, const char *piece, size_t n, const char *expected)
{
	char *text = repeat(head, piece, n);

	assert_bad(text, expected);
	free(text);
}

static void test_bombs(void **state)
{
	(void)state;
	assert_bad_repeat("name: ", "[", 15,
			  "f:2:1: did not find expected node content while parsing a flow node");
	assert_bad_repeat("name: ", "[", 16, "f:1:22: more than 16 levels");
	assert_bad_repeat("name: ", "[", 1000, "f:1:22: more than 16 levels");
	assert_bad_repeat("", "- ", 1000, "f:1:33: more than 16 levels");
	assert_bad_repeat("name: ", "{a: ", 100000, "f:1:67: more than 16 levels");
	assert_bad_repeat("addresses: [", "a,", 65535,
			  "f:1:131081: more than 65536 values in one file");
	assert_bad_repeat("a: &a [x,x]\n", "b: [*a,*a]\n", 100,
			  "f:1:4: anchors (&) are not supported");
	assert_bad_repeat("", "#", (1 << 20) + 1, "f:1:1: file is larger than 1 MiB");
	assert_bad_repeat("", "#", 1 << 20, "f:1:1: the file is empty");
	assert_bad_repeat(
		"number: ", "9", 1000000,
		"f:1:9: number: \"9999999999999999999999999999999999999999\" is larger than 2^64");
	assert_bad_repeat("section: {path: /", "x", 4096,
			  "f:2:1: did not find expected ',' or '}' while parsing a flow mapping");
	assert_bad_repeat("section:\n  path: /", "x", 4096,
			  "f:2:9: section.path: path is longer than 4095 bytes");
}

static void test_too_many_keys(void **state)
{
	char text[8192] = "";

	(void)state;
	for (int i = 0; i < 257; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "k%d: 1\n", i);
	assert_bad(text, "f:257:1: more than 256 keys in one map");
}

/* A file that was cut anywhere says so or is a smaller good one; never a crash. */
static void test_truncated_at_every_byte(void **state)
{
	static const char text[] = "name: \"x\\u00e4y\"\nsection:\n  bytes: 4KiB\nrules:\n"
				   "  - { kind: a, hosts: [b, 'c'] }\n  - kind: |\n      d\n";

	(void)state;
	for (size_t len = 0; len < sizeof(text); len++) {
		struct errmsg err = { 0 };
		char *copy = malloc(len ? len : 1);
		int r;

		memcpy(copy, text, len);
		r = config_parse(&fuzz_config_table, "f", copy, len, &config, &err);
		assert_true(r == 0 || (r == CONFIG_E_INVALID && err.line > 0 && err.column > 0));
		config_free(&fuzz_config_table, &config);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_options),
		cmocka_unit_test(test_duplicates),
		cmocka_unit_test(test_wrong_types),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_required),
		cmocka_unit_test(test_yaml_that_is_not_ours),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_too_many_keys),
		cmocka_unit_test(test_truncated_at_every_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
