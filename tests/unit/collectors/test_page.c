/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/tracefs/page.h"
#include "core/file.h"

static struct page_layout layout;
static uint8_t page[4096];
static size_t at; /* end of what put() wrote */

static int load_layout(void **state)
{
	_cleanup_free_ char *head = NULL, *entry = NULL;
	size_t head_len, entry_len;
	struct errmsg err = { 0 };

	assert_int_equal(
		file_read(PATHBELL_TEST_DATA "/tracefs/header_page-6.18", 65536, &head, &head_len),
		0);
	assert_int_equal(file_read(PATHBELL_TEST_DATA "/tracefs/header_event-6.18", 65536, &entry,
				   &entry_len),
			 0);
	return page_layout_parse(head, head_len, entry, entry_len, &layout, &err);
}

static void put(const void *data, size_t size)
{
	memcpy(page + at, data, size);
	at += size;
}

static void put_u32(uint32_t value)
{
	put(&value, sizeof(value));
}

static void put_entry(uint32_t type, uint32_t delta)
{
	put_u32(type | delta << 5);
}

static void begin(uint64_t timestamp)
{
	memset(page, 0xee, sizeof(page));
	at = 0;
	put(&timestamp, 8);
	at = 16;
}

static void finish(uint64_t flags)
{
	uint64_t commit = (at - 16) | flags;

	memcpy(page + 8, &commit, 8);
}

static void knows_the_layout(void **state)
{
	assert_int_equal(layout.size, 4096);
	assert_int_equal(layout.data_offset, 16);
	assert_int_equal(layout.commit_size, 8);
	assert_int_equal(layout.type_max, 28);
	assert_int_equal(layout.type_padding, 29);
}

static void refuses_other_layouts(void **state)
{
	static const char head[] = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
				   "\tfield: local_t commit;\toffset:8;\tsize:8;\tsigned:1;\n"
				   "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n";
	static const char entry[] =
		"type_len : 5 bits\ntime_delta : 27 bits\npadding : type == 29\n"
		"time_extend : type == 30\ntime_stamp : type == 31\n"
		"data max type_len == 28\n";
	static const char odd[] = "\tfield: u64 timestamp;\toffset:0;\tsize:8;\tsigned:0;\n"
				  "\tfield: local_t commit;\toffset:12;\tsize:8;\tsigned:1;\n"
				  "\tfield: char data;\toffset:16;\tsize:4080;\tsigned:0;\n";
	struct page_layout other;
	struct errmsg err = { 0 };

	assert_int_equal(page_layout_parse(head, strlen(head), entry, strlen(entry), &other, &err),
			 0);
	assert_int_equal(page_layout_parse(odd, strlen(odd), entry, strlen(entry), &other, &err),
			 -74);
	for (size_t len = 0; len < strlen(entry) - 2; len++)
		assert_int_equal(page_layout_parse(head, strlen(head), entry, len, &other, &err),
				 -74);
	assert_int_equal(page_layout_parse("", 0, entry, strlen(entry), &other, &err), -74);
}

/* One record, as a 6.12 kernel wrote it: page time 6012700373, commit 0x38. */
static void reads_a_page_of_a_real_kernel(void **state)
{
	static const uint8_t record[52] = { 0x71, 0x04, 0, 0, 0x67, 0, 0, 0,	0,
					    0,	  0x80, 0, 0, 0,    0, 0, 0x34, 0x12 };
	struct page_reader reader;
	struct page_record out;

	begin(6012700373);
	put_entry(13, 0);
	put(record, sizeof(record));
	finish(0);
	assert_int_equal(at - 16, 0x38);
	assert_int_equal(page_open(&reader, &layout, page, sizeof(page)), 0);
	assert_false(reader.missed);
	assert_int_equal(page_next(&reader, &out), 0);
	assert_int_equal(out.size, 52);
	assert_int_equal(out.timestamp, 6012700373);
	assert_memory_equal(out.data, record, sizeof(record));
	assert_int_equal(page_next(&reader, &out), PAGE_E_END);
	assert_int_equal(page_next(&reader, &out), PAGE_E_END);
}

static void adds_up_the_times(void **state)
{
	struct page_reader reader;
	struct page_record out;

	begin(1000);
	put_entry(1, 5); /* 1005 */
	put_u32(1);
	put_entry(30, 3); /* + 2 * 2^27 + 3 */
	put_u32(2);
	put_entry(1, 1);
	put_u32(2);
	put_entry(29, 7); /* discarded, 8 bytes with its own length word; its delta counts */
	put_u32(8);
	put_u32(0);
	put_entry(0, 1); /* long form: 4 + 8 */
	put_u32(12);
	put_u32(3);
	put_u32(4);
	put_entry(31, 9); /* absolute */
	put_u32(5000);
	put_entry(2, 0);
	put_u32(5);
	put_u32(6);
	put_entry(29, 0); /* the rest is empty */
	put_u32(0xffffffff);
	finish(0);
	assert_int_equal(page_open(&reader, &layout, page, sizeof(page)), 0);
	assert_int_equal(page_next(&reader, &out), 0);
	assert_int_equal(out.timestamp, 1005);
	assert_int_equal(page_next(&reader, &out), 0);
	assert_int_equal(out.timestamp, 1005 + (2ULL << 27) + 3 + 1);
	assert_int_equal(page_next(&reader, &out), 0);
	assert_int_equal(out.timestamp, 1005 + (2ULL << 27) + 3 + 1 + 7 + 1);
	assert_int_equal(out.size, 8);
	assert_int_equal(page_next(&reader, &out), 0);
	assert_int_equal(out.timestamp, (5000ULL << 27) + 9);
	assert_int_equal(page_next(&reader, &out), PAGE_E_END);
}

static void absolute_times_keep_the_upper_bits(void **state)
{
	struct page_reader reader;
	struct page_record out;

	begin((UINT64_C(1) << 60) + 100);
	put_entry(31, 200);
	put_u32(0);
	put_entry(1, 0);
	put_u32(0);
	finish(0);
	assert_int_equal(page_open(&reader, &layout, page, sizeof(page)), 0);
	assert_int_equal(page_next(&reader, &out), 0);
	assert_int_equal(out.timestamp, (UINT64_C(1) << 60) + 200);
}

static void tells_what_was_missed(void **state)
{
	struct page_reader reader;
	uint64_t count = 864;

	begin(1);
	put_entry(1, 0);
	put_u32(0);
	finish(UINT64_C(3) << 30);
	put(&count, 8);
	assert_int_equal(page_open(&reader, &layout, page, sizeof(page)), 0);
	assert_true(reader.missed && reader.missed_counted);
	assert_int_equal(reader.missed_count, 864);
	finish(0);
	at = 24;
	finish(UINT64_C(1) << 31);
	assert_int_equal(page_open(&reader, &layout, page, sizeof(page)), 0);
	assert_true(reader.missed);
	assert_false(reader.missed_counted);
	/* "stored", but there is no room behind the records for a count */
	at = 4096;
	finish(UINT64_C(3) << 30);
	assert_int_equal(page_open(&reader, &layout, page, sizeof(page)), -74);
}

static void hands_out_what_is_sound_before_what_is_not(void **state)
{
	static const struct {
		uint32_t type, word;
	} bad[] = { { 28, 0 }, { 0, 4096 }, { 0, 3 }, { 0, 0 }, { 29, 0xffffffff } };
	struct page_reader reader;
	struct page_record out;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(1);
		put_entry(1, 0);
		put_u32(77);
		put_entry(bad[i].type, 1);
		put_u32(bad[i].word);
		finish(0);
		assert_int_equal(page_open(&reader, &layout, page, sizeof(page)), 0);
		assert_int_equal(page_next(&reader, &out), 0);
		assert_int_equal(out.size, 4);
		assert_int_equal(page_next(&reader, &out), -74);
		assert_int_equal(page_next(&reader, &out), PAGE_E_END);
	}
}

static void refuses_short_pages(void **state)
{
	struct page_reader reader;

	begin(1);
	finish(0);
	for (size_t size = 0; size < 16; size++)
		assert_int_equal(page_open(&reader, &layout, page, size), -74);
	assert_int_equal(page_open(&reader, &layout, page, 16), 0);
	at = 64;
	finish(0);
	assert_int_equal(page_open(&reader, &layout, page, 63), -74);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_the_layout),
		cmocka_unit_test(refuses_other_layouts),
		cmocka_unit_test(reads_a_page_of_a_real_kernel),
		cmocka_unit_test(adds_up_the_times),
		cmocka_unit_test(absolute_times_keep_the_upper_bits),
		cmocka_unit_test(tells_what_was_missed),
		cmocka_unit_test(hands_out_what_is_sound_before_what_is_not),
		cmocka_unit_test(refuses_short_pages),
	};

	return cmocka_run_group_tests(tests, load_layout, NULL);
}
