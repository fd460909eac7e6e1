/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/tracefs/format.h"
#include "core/file.h"

static void load(const char *name, struct format *format)
{
	_cleanup_free_ char *text = NULL;
	char path[512];
	struct errmsg err = { 0 };
	size_t len;

	snprintf(path, sizeof(path), "%s/tracefs/%s", PATHBELL_TEST_DATA, name);
	assert_int_equal(file_read(path, 65536, &text, &len), 0);
	assert_int_equal(format_parse(text, len, format, &err), 0);
}

static void check(const struct format *format, const char *name, unsigned offset, unsigned size)
{
	const struct format_field *field = format_find(format, name);

	assert_non_null(field);
	assert_int_equal(field->offset, offset);
	assert_int_equal(field->size, size);
}

/* The offsets that moved between kernels. */
static void reads_the_formats_of_three_kernels(void **state)
{
	struct format format;

	load("block_rq_error-6.1.format", &format);
	assert_string_equal(format.event, "block_rq_error");
	assert_int_equal(format.id, 1063);
	assert_int_equal(format.n_fields, 10);
	check(&format, "rwbs", 32, 8);
	assert_null(format_find(&format, "ioprio"));
	load("block_rq_error-6.12.format", &format);
	check(&format, "ioprio", 32, 2);
	check(&format, "rwbs", 34, 8);
	load("block_rq_error-6.18.format", &format);
	assert_int_equal(format.id, 2106);
	check(&format, "dev", 8, 4);
	check(&format, "sector", 16, 8);
	check(&format, "rwbs", 34, 10);
	assert_true(format_find(&format, "rwbs")->is_array);
	assert_true(format_find(&format, "error")->is_signed);
	assert_false(format_find(&format, "sector")->is_signed);
	assert_int_equal(format_find(&format, "cmd")->kind, FORMAT_DATA_LOC);
}

static void reads_long_formats(void **state)
{
	struct format format;

	load("cxl_dram-6.12.format", &format);
	assert_string_equal(format.event, "cxl_dram");
	assert_int_equal(format_find(&format, "memdev")->kind, FORMAT_DATA_LOC);
	load("scsi_dispatch_cmd_done-6.12.format", &format);
	check(&format, "sense_key", 60, 1);
}

static int parse(const char *text, struct format *format, struct errmsg *err)
{
	*err = (struct errmsg){ 0 };
	return format_parse(text, strlen(text), format, err);
}

#define HEAD                                               \
	"name: x\nID: 7\nformat:\n\tfield:unsigned short " \
	"common_type;\toffset:0;\tsize:2;\tsigned:0;\n"

static void refuses_what_it_cannot_understand(void **state)
{
	static const char *const bad[] = {
		"",
		"name: x\nID: 7\n",
		"name: x\nID: abc\n",
		"name: x\nID: 99999999999\n",
		"name: \nID: 1\n",
		"ID: 7\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n",
		"name: x\n\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n",
		HEAD "\tfield:int;\toffset:8;\tsize:4;\tsigned:1;\n",
		HEAD "\tfield:int a\toffset:8;\tsize:4;\tsigned:1;\n",
		HEAD "\tfield:int a;\toffset:;\tsize:4;\tsigned:1;\n",
		HEAD "\tfield:int a;\toffset:8;\tsize:-4;\tsigned:1;\n",
		HEAD "\tfield:int a;\toffset:8;\tsize:4;\tsigned:2;\n",
		HEAD "\tfield:int a;\toffset:65536;\tsize:4;\tsigned:1;\n",
		HEAD "\tfield:int a;\toffset:99999999999999999999;\tsize:4;\tsigned:1;\n",
		HEAD "\tfield:__data_loc char[] a;\toffset:8;\tsize:8;\tsigned:1;\n",
		HEAD "\tfield:char a[;\toffset:8;\tsize:8;\tsigned:1;\n\tfield:",
	};
	struct format format;
	struct errmsg err;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i], &format, &err) == 0)
			fail_msg("accepted: %s", bad[i]);
		assert_true(err.text[0] != '\0');
	}
	assert_int_equal(
		parse(HEAD "\tfield:int a;\toffset:x;\tsize:4;\tsigned:1;\n", &format, &err), -74);
	assert_int_equal(err.line, 5);
}

static void limits_the_number_of_fields(void **state)
{
	static char text[32768] = HEAD;
	struct format format;
	struct errmsg err;

	for (int i = 1; i < FORMAT_MAX_FIELDS; i++)
		snprintf(text + strlen(text), 128,
			 "\tfield:int f%d;\toffset:8;\tsize:4;\tsigned:1;\n", i);
	assert_int_equal(parse(text, &format, &err), 0);
	snprintf(text + strlen(text), 128, "\tfield:int more;\toffset:8;\tsize:4;\tsigned:1;\n");
	assert_int_equal(parse(text, &format, &err), -74);
	assert_non_null(strstr(err.text, "128"));
}

static void every_cut_is_survived(void **state)
{
	static const char text[] =
		HEAD "\tfield:__rel_loc char[] a;\toffset:8;\tsize:4;\tsigned:1;\n";
	struct format format;

	for (size_t len = 0; len < sizeof(text); len++) {
		char *copy =
			malloc(len + 1); /* no terminator within: the sanitizer sees overruns */

		memcpy(copy, text, len);
		(void)format_parse(copy, len, &format, NULL);
		free(copy);
	}
	assert_int_equal(format.n_fields, 2);
}

static void values_are_bounded_by_the_record(void **state)
{
	const uint8_t record[16] = { 1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff,
				     9, 0, 3, 0, 'a',  'b',  'c',  'd' };
	struct format_field field = { .offset = 4, .size = 4 };
	const uint8_t *data;
	char text[8];
	uint64_t u;
	int64_t i;
	size_t size;

	assert_true(format_uint(&field, record, 16, &u));
	assert_int_equal(u, 0xffffffff);
	assert_true(format_int(&field, record, 16, &i));
	assert_int_equal(i, -1);
	assert_false(format_uint(&field, record, 7, &u));
	field.offset = 65000;
	assert_false(format_uint(&field, record, 16, &u));
	field = (struct format_field){ .offset = 0, .size = 3 };
	assert_false(format_uint(&field, record, 16, &u));
	field = (struct format_field){ .offset = 8, .size = 4, .kind = FORMAT_DATA_LOC };
	assert_true(format_bytes(&field, record, 16, &data, &size));
	assert_int_equal(size, 3);
	assert_ptr_equal(data, record + 9);
	field.kind = FORMAT_REL_LOC; /* 12 + 9: outside */
	assert_false(format_bytes(&field, record, 16, &data, &size));
	field = (struct format_field){ .offset = 12, .size = 4 };
	assert_true(format_string(&field, record, 16, text, sizeof(text)));
	assert_string_equal(text, "abcd");
	assert_true(format_string(&field, record, 16, text, 3));
	assert_string_equal(text, "ab");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_formats_of_three_kernels),
		cmocka_unit_test(reads_long_formats),
		cmocka_unit_test(refuses_what_it_cannot_understand),
		cmocka_unit_test(limits_the_number_of_fields),
		cmocka_unit_test(every_cut_is_survived),
		cmocka_unit_test(values_are_bounded_by_the_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
