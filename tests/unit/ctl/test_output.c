/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char *printed;
static size_t printed_size;

static struct output capture(void)
{
	struct output output = { .file = open_memstream(&printed, &printed_size) };

	return output;
}

static const char *finish(struct output *output)
{
	fclose(output->file);
	return printed;
}

static void check(const char *text, size_t len, const char *expected)
{
	struct buf out = { 0 };

	assert_int_equal(output_escape(&out, text, len), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_string_equal((char *)out.data, expected);
	buf_deinit(&out);
}

static void test_plain_text_stays(void **state)
{
	check("sda [wwid:naa.5000]", 19, "sda [wwid:naa.5000]");
	check("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x92\xbe", 15,
	      "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x92\xbe");
}

static void test_what_could_steer_a_terminal_is_escaped(void **state)
{
	check("a\033[31mb", 7, "a\\x1b[31mb");
	check("a\nb\tc\rd\177", 8, "a\\nb\\tc\\rd\\x7f");
	check("\xc2\x9b"
	      "31m",
	      5, "\\u009b31m"); /* C1: the 8-bit CSI */
	check("\xe2\x80\xae"
	      "gpj",
	      6, "\\u202egpj"); /* right-to-left override */
	check("a\0b", 3, "a\\x00b");
}

static void test_what_is_not_utf8_is_escaped(void **state)
{
	check("\xff\xfe", 2, "\\xff\\xfe");
	check("\xc0\x80", 2, "\\xc0\\x80");	     /* overlong NUL */
	check("\xed\xa0\x80", 3, "\\xed\\xa0\\x80"); /* surrogate */
	check("\xe2\x82", 2, "\\xe2\\x82");	     /* cut */
	check("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80");
}

static void test_lines_are_escaped(void **state)
{
	struct output output = capture();

	output_line(&output, "%s", "x\033]0;owned\007");
	output_line(&output, "%s", "");
	assert_string_equal(finish(&output), "x\\x1b]0;owned\\x07\n\n");
	free(printed);
}

static void test_json_is_one_line_and_safe(void **state)
{
	struct output output = capture();
	struct json_object *object = json_object_new_object();
	struct json_object *again;

	json_object_object_add(object, "text",
			       json_object_new_string("a\033\n\177\xc2\x9b\xe2\x80\xae\xff/"));
	json_object_object_add(object, "big", json_object_new_uint64(UINT64_MAX));
	assert_int_equal(output_json(&output, object), 0);
	finish(&output);
	assert_ptr_equal(strchr(printed, '\n'), printed + printed_size - 1);
	for (size_t i = 0; i + 1 < printed_size; i++)
		assert_in_range((unsigned char)printed[i], 0x20, 0x7e);
	again = json_tokener_parse(printed);
	assert_non_null(again);
	assert_string_equal(json_object_get_string(json_object_object_get(again, "text")),
			    "a\033\n\177\xc2\x9b\xe2\x80\xae\xef\xbf\xbd/");
	assert_int_equal(json_object_get_uint64(json_object_object_get(again, "big")), UINT64_MAX);
	json_object_put(again);
	free(printed);
}

static void test_no_colour_where_nobody_looks(void **state)
{
	FILE *file = tmpfile();
	struct output output;

	assert_non_null(file);
	setenv("TERM", "xterm", 1);
	output_init(&output, file);
	assert_false(output.colour);
	assert_int_equal(output.width, 0);
	assert_string_equal(output_colour_on(&output, OUTPUT_RED), "");
	assert_string_equal(output_colour_off(&output, OUTPUT_RED), "");
	fclose(file);
}

static void test_terminal(void **state)
{
	int fd = posix_openpt(02); /* O_RDWR */
	struct output output;
	FILE *file;

	if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0)
		skip();
	file = fopen(ptsname(fd), "w");
	assert_non_null(file);
	unsetenv("NO_COLOR");
	setenv("COLUMNS", "60", 1);
	output_init(&output, file);
	assert_true(output.colour);
	assert_int_equal(output.width, 60);
	assert_string_equal(output_colour_on(&output, OUTPUT_RED), "\033[31m");
	setenv("NO_COLOR", "1", 1);
	output_init(&output, file);
	assert_false(output.colour);
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	output_init(&output, file);
	assert_false(output.colour);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_text_stays),
		cmocka_unit_test(test_what_could_steer_a_terminal_is_escaped),
		cmocka_unit_test(test_what_is_not_utf8_is_escaped),
		cmocka_unit_test(test_lines_are_escaped),
		cmocka_unit_test(test_json_is_one_line_and_safe),
		cmocka_unit_test(test_no_colour_where_nobody_looks),
		cmocka_unit_test(test_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
