/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fabrics/identify.h"

static void put32(uint8_t *data, size_t index, uint32_t value)
{
	for (size_t i = 0; i < 4; i++)
		data[index * 4 + i] = (uint8_t)(value >> (8 * i));
}

static void test_list(void **state)
{
	uint8_t data[IDENTIFY_SIZE] = { 0 };
	uint32_t nsids[IDENTIFY_MAX];
	size_t n = 7;

	assert_int_equal(identify_parse_list(data, 0, nsids, &n), 0);
	assert_int_equal(n, 0);
	put32(data, 0, 1);
	put32(data, 1, 0x01020304);
	assert_int_equal(identify_parse_list(data, 0, nsids, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(nsids[1], 0x01020304);
	assert_int_equal(identify_parse_list(data, 1, nsids, &n), -EBADMSG);
	put32(data, 2, 0x01020304);
	assert_int_equal(identify_parse_list(data, 0, nsids, &n), -EBADMSG);
	for (uint32_t i = 0; i < IDENTIFY_MAX; i++)
		put32(data, i, i + 1);
	assert_int_equal(identify_parse_list(data, 0, nsids, &n), 0);
	assert_int_equal(n, IDENTIFY_MAX);
}

static void test_sectors(void **state)
{
	uint8_t data[IDENTIFY_SIZE] = { 0 };
	uint64_t sectors;

	data[0] = 0x10; /* blocks */
	data[25] = 1;	/* two formats */
	data[26] = 1;	/* the second */
	data[128 + 2] = 9;
	data[128 + 4 + 2] = 12;
	assert_int_equal(identify_parse_sectors(data, &sectors), 0);
	assert_int_equal(sectors, 0x10 * 8);
	data[26] = 0x20; /* bits that count only above 16 formats */
	assert_int_equal(identify_parse_sectors(data, &sectors), 0);
	assert_int_equal(sectors, 0x10);
	data[25] = 16;
	data[128 + 4 * 16 + 2] = 13;
	assert_int_equal(identify_parse_sectors(data, &sectors), 0);
	assert_int_equal(sectors, 0x10 * 16);

	data[128 + 4 * 16 + 2] = 8;
	assert_int_equal(identify_parse_sectors(data, &sectors), -EBADMSG);
	data[128 + 4 * 16 + 2] = 32;
	assert_int_equal(identify_parse_sectors(data, &sectors), -EBADMSG);
	data[128 + 4 * 16 + 2] = 12;
	memset(data, 0xff, 8); /* more than 64 bits of sectors */
	assert_int_equal(identify_parse_sectors(data, &sectors), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_sectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
