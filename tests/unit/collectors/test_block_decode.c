/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/block/decode.h"
#include "core/file.h"

#define CLASS(x)     PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_##x
#define OPERATION(x) PATHBELL__V1__BLOCK_OPERATION__BLOCK_OPERATION_##x

/* What a 6.12 kernel wrote for a medium error: `8,0 RS () 808 + 8 be,0,4 [-61]`. */
static const uint8_t record_6_12[52] = {
	0x94, 0x04, 0x24, 0x01, 0xbb, 0,    0,	  0,	0,    0,    0x80, 0,	0,
	0,    0,    0,	  0x28, 0x03, 0,    0,	  0,	0,    0,    0,	  0x08, 0,
	0,    0,    0xc3, 0xff, 0xff, 0xff, 0x04, 0x40, 0x52, 0x53, 0,	  0,	0,
	0,    0,    0,	  0,	0,    0x30, 0,	  0x01, 0,    0,    0,	  0,	0,
};

static void load(const char *name, struct block_decoder *decoder)
{
	_cleanup_free_ char *text = NULL;
	char path[512];
	struct errmsg err = { 0 };
	struct format format;
	size_t len;

	snprintf(path, sizeof(path), "%s/tracefs/%s", PATHBELL_TEST_DATA, name);
	assert_int_equal(file_read(path, 65536, &text, &len), 0);
	assert_int_equal(format_parse(text, len, &format, &err), 0);
	assert_int_equal(block_decoder_init(decoder, &format, &err), 0);
}

static void decodes_a_record_of_6_12(void **state)
{
	struct block_decoder decoder;
	struct block_record record;
	Pathbell__V1__BlockError error;

	load("block_rq_error-6.12.format", &decoder);
	assert_int_equal(block_decode(&decoder, record_6_12, sizeof(record_6_12), &record), 0);
	assert_int_equal(record.major, 8);
	assert_int_equal(record.minor, 0);
	block_describe(&record, &error);
	assert_int_equal(error.sector, 808);
	assert_int_equal(error.sector_count, 8);
	assert_int_equal(error.error_number, -61);
	assert_int_equal(error.error_class, CLASS(CRITICAL_MEDIUM));
	assert_string_equal(error.error_type, "ENODATA");
	assert_string_equal(error.rwbs, "RS");
	assert_int_equal(error.operation, OPERATION(READ));
	assert_int_equal(error.io_priority, 0x4004);
}

/* The same happening in the layouts before and after. */
static void decodes_the_other_layouts(void **state)
{
	static const struct {
		const char *file;
		uint16_t id;
		size_t rwbs;
	} layouts[] = { { "block_rq_error-6.1.format", 1063, 32 },
			{ "block_rq_complete-6.1.format", 1064, 32 },
			{ "block_rq_error-6.18.format", 2106, 34 } };

	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		struct block_decoder decoder;
		struct block_record record;
		uint8_t data[52];

		memcpy(data, record_6_12, sizeof(data));
		memcpy(data, &layouts[i].id, 2);
		memset(data + 32, 0, 20);
		memcpy(data + layouts[i].rwbs, "WFS", sizeof("WFS"));
		load(layouts[i].file, &decoder);
		assert_int_equal(block_decode(&decoder, data, sizeof(data), &record), 0);
		assert_int_equal(record.sector, 808);
		assert_int_equal(record.error, -61);
		assert_string_equal(record.rwbs, "WFS");
		assert_int_equal(record.ioprio, 0);
	}
}

static void short_and_foreign_records(void **state)
{
	struct block_decoder decoder;
	struct block_record record;
	uint8_t other[52] = { 1, 0 };

	load("block_rq_error-6.12.format", &decoder);
	assert_int_equal(block_decode(&decoder, other, sizeof(other), &record),
			 BLOCK_E_OTHER_EVENT);
	for (size_t size = 0; size < 42; size++) {
		uint8_t *copy = malloc(size + 1);

		memcpy(copy, record_6_12, size);
		assert_int_equal(block_decode(&decoder, copy, size, &record), -74);
		free(copy);
	}
	assert_int_equal(block_decode(&decoder, record_6_12, 42, &record), 0);
}

static void a_missing_field_is_named(void **state)
{
	static const char text[] =
		"name: block_rq_error\nID: 5\nformat:\n"
		"\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
		"\tfield:dev_t dev;\toffset:8;\tsize:4;\tsigned:0;\n";
	struct block_decoder decoder;
	struct errmsg err = { 0 };
	struct format format;

	assert_int_equal(format_parse(text, strlen(text), &format, &err), 0);
	assert_int_equal(block_decoder_init(&decoder, &format, &err), -74);
	assert_non_null(strstr(err.text, "sector"));
}

static void classes_follow_the_kernel_table(void **state)
{
	static const struct {
		int error;
		unsigned error_class;
		const char *name;
	} rows[] = {
		{ -110, 1, "ETIMEDOUT" }, { -28, 2, "ENOSPC" },		{ -67, 3, "ENOLINK" },
		{ -121, 4, "EREMOTEIO" }, { -52, 5, "EBADE" },		{ -61, 6, "ENODATA" },
		{ -84, 7, "EILSEQ" },	  { -12, 8, "ENOMEM" },		{ -16, 9, "EBUSY" },
		{ -5, 10, "EIO" },	  { -95, 17, "EOPNOTSUPP" },	{ -78, 18, "EREMCHG" },
		{ -11, 19, "EAGAIN" },	  { -109, 20, "ETOOMANYREFS" }, { -75, 21, "EOVERFLOW" },
		{ -19, 22, "ENODEV" },	  { -62, 23, "ETIME" },		{ -22, 24, "EINVAL" },
		{ -13, 25, "EACCES" },	  { 0, 0, "_OTHER" },		{ -9999, 25, "_OTHER" },
		{ 5, 25, "_OTHER" },	  { INT32_MIN, 25, "_OTHER" }
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct block_record record = { .error = rows[i].error };
		Pathbell__V1__BlockError error;

		block_describe(&record, &error);
		assert_int_equal(error.error_class, rows[i].error_class);
		assert_string_equal(error.error_type, rows[i].name);
		assert_true(block_severity(error.error_class) >=
			    PATHBELL__V1__SEVERITY__SEVERITY_NOTICE);
	}
	assert_int_equal(block_severity(CLASS(NO_SPACE)), PATHBELL__V1__SEVERITY__SEVERITY_WARNING);
	assert_int_equal(block_severity(CLASS(IO)), PATHBELL__V1__SEVERITY__SEVERITY_ERROR);
	assert_int_equal(block_severity(CLASS(UNSPECIFIED)),
			 PATHBELL__V1__SEVERITY__SEVERITY_ERROR);
}

static void operations_by_letters(void **state)
{
	static const struct {
		const char *rwbs;
		unsigned operation;
	} rows[] = { { "R", OPERATION(READ) },		{ "RA", OPERATION(READ) },
		     { "WS", OPERATION(WRITE) },	{ "FWFS", OPERATION(WRITE) },
		     { "FF", OPERATION(FLUSH) },	{ "F", OPERATION(FLUSH) },
		     { "FS", OPERATION(FLUSH) },	{ "D", OPERATION(DISCARD) },
		     { "DE", OPERATION(SECURE_ERASE) }, { "ZR", OPERATION(ZONE) },
		     { "N", OPERATION(OTHER) },		{ "", OPERATION(UNSPECIFIED) },
		     { "?", OPERATION(OTHER) } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(block_operation(rows[i].rwbs), rows[i].operation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decodes_a_record_of_6_12),
		cmocka_unit_test(decodes_the_other_layouts),
		cmocka_unit_test(short_and_foreign_records),
		cmocka_unit_test(a_missing_field_is_named),
		cmocka_unit_test(classes_follow_the_kernel_table),
		cmocka_unit_test(operations_by_letters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
