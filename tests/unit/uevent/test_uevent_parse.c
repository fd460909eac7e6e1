/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "collectors/uevent/uevent.h"

static char message[UEVENT_MESSAGE_MAX];
static struct uevent event;

/* String literals hold their own NULs; the last one is added by the compiler. */
#define PARSE(literal) parse(literal, sizeof(literal))

static int parse(const char *bytes, size_t size)
{
	memcpy(message, bytes, size);
	return uevent_parse(message, size, &event);
}

static void test_fields(void **state)
{
	uint64_t number;

	assert_int_equal(
		PARSE("change@/devices/virtual/block/dm-0\0ACTION=change\0SUBSYSTEM=block\0"
		      "MINOR=0\0EMPTY=\0HEX=0x7fFf\0EQUALS=a=b\0SEQNUM=807"),
		0);
	assert_string_equal(event.action, "change");
	assert_string_equal(event.devpath, "/devices/virtual/block/dm-0");
	assert_string_equal(event.subsystem, "block");
	assert_int_equal(event.seqnum, 807);
	assert_int_equal(event.n_properties, 7);
	assert_string_equal(uevent_get(&event, "EMPTY"), "");
	assert_string_equal(uevent_get(&event, "EQUALS"), "a=b");
	assert_null(uevent_get(&event, "EMPT"));
	assert_true(uevent_get_number(&event, "HEX", &number));
	assert_int_equal(number, 0x7fff);
	assert_true(uevent_get_number(&event, "MINOR", &number));
	assert_int_equal(number, 0);
	assert_false(uevent_get_number(&event, "EMPTY", &number));
	assert_false(uevent_get_number(&event, "EQUALS", &number));
	assert_false(uevent_get_number(&event, "NONE", &number));
}

static void test_header_alone(void **state)
{
	assert_int_equal(PARSE("add@/x"), 0);
	assert_string_equal(event.subsystem, "");
	assert_int_equal(event.seqnum, 0);
}

static void test_numbers(void **state)
{
	static const struct {
		const char *text;
		bool valid;
		uint64_t value;
	} rows[] = {
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 },
		{ "0xffffffffffffffff", true, UINT64_MAX },
		{ "0x10000000000000000", false, 0 },
		{ "010", true, 10 },
		{ "-1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "0x", false, 0 },
		{ "ff", false, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[128] = "add@/x";
		uint64_t value = 7;
		int len = snprintf(text + 7, sizeof(text) - 7, "N=%s", rows[i].text);

		assert_int_equal(parse(text, 7 + (size_t)len + 1), 0);
		assert_int_equal(uevent_get_number(&event, "N", &value), rows[i].valid);
		assert_true(value == (rows[i].valid ? rows[i].value : 7));
	}
}

static void test_refused(void **state)
{
	static const char udevd[] = "libudev\0\xfe\xed\xca\xfe(\0\0\0";
	char many[UEVENT_MESSAGE_MAX] = "add@/x";
	size_t at = 7;

	assert_int_equal(parse("", 0), -EBADMSG);
	assert_int_equal(parse("add@/x\0A=1", 10), -EBADMSG); /* the last NUL is missing */
	assert_int_equal(PARSE(""), -EBADMSG);
	assert_int_equal(PARSE("@/x"), -EBADMSG);
	assert_int_equal(PARSE("add"), -EBADMSG);
	assert_int_equal(PARSE("add@/x\0NOEQUALS"), -EBADMSG);
	assert_int_equal(PARSE("add@/x\0=1"), -EBADMSG);
	assert_int_equal(PARSE("add@/x\0"), -EBADMSG); /* an empty property */
	assert_int_equal(parse(udevd, sizeof(udevd)), -EBADMSG);
	for (int i = 0; i <= UEVENT_MAX_PROPERTIES; i++)
		at += (size_t)snprintf(many + at, sizeof(many) - at, "K%d=%d", i, i) + 1;
	assert_int_equal(parse(many, at), -EBADMSG);
	assert_int_equal(parse(many, at - strlen("K64=64") - 1), 0);
	assert_int_equal(event.n_properties, UEVENT_MAX_PROPERTIES);
}

/* Real uevents of kernel 6.12: blocks of lines, an empty line between two. */
static void test_recorded(void **state)
{
	FILE *file = fopen(PATHBELL_TEST_DATA "/uevent/recorded.txt", "re");
	char line[1024], text[UEVENT_MESSAGE_MAX];
	size_t size = 0, n = 0, n_paths = 0;
	bool more;

	assert_non_null(file);
	do {
		more = fgets(line, sizeof(line), file) != NULL;
		line[strcspn(line, "\n")] = '\0';
		if (more && line[0] != '\0') {
			memcpy(text + size, line, strlen(line) + 1);
			size += strlen(line) + 1;
			continue;
		}
		assert_int_equal(parse(text, size), 0);
		assert_string_equal(event.action, uevent_get(&event, "ACTION"));
		assert_string_equal(event.devpath, uevent_get(&event, "DEVPATH"));
		assert_true(event.seqnum > 700);
		n_paths += uevent_get(&event, "DM_SEQNUM") != NULL;
		size = 0;
		n++;
	} while (more);
	fclose(file);
	assert_int_equal(n, 96);
	assert_int_equal(n_paths, 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),	 cmocka_unit_test(test_header_alone),
		cmocka_unit_test(test_numbers),	 cmocka_unit_test(test_refused),
		cmocka_unit_test(test_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
