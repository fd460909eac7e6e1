/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/errmsg.h"
#include "core/id.h"

static void test_v7_is_stamped_and_ordered_by_time(void **state)
{
	uint8_t earlier[ID_SIZE], later[ID_SIZE];
	uint64_t ms = clock_realtime_ns() / CLOCK_NS_PER_MS, of_id = 0;

	(void)state;
	id_new(earlier);
	for (int i = 0; i < 6; i++)
		of_id = of_id << 8 | earlier[i];
	assert_in_range(of_id, ms, ms + 10000);
	assert_int_equal(earlier[6] >> 4, 7);
	assert_int_equal(earlier[8] >> 6, 2);
	/* Until the millisecond changes: no longer than that, whatever the machine does. */
	do {
		id_new(later);
	} while (memcmp(earlier, later, 6) == 0);
	assert_true(memcmp(earlier, later, ID_SIZE) < 0);
}

static void test_ids_differ(void **state)
{
	static uint8_t ids[2000][ID_SIZE];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		id_new(ids[i]);
		id_random(ids[1000 + i]);
		assert_int_equal(ids[1000 + i][6] >> 4, 4);
		assert_int_equal(ids[1000 + i][8] >> 6, 2);
	}
	for (int i = 0; i < 2000; i++) {
		for (int j = 0; j < i; j++)
			assert_true(memcmp(ids[i], ids[j], ID_SIZE) != 0);
	}
}

static void test_text_forms(void **state)
{
	static const char *const bad[] = {
		"",
		"0192f0c1-2345-7abc-8def-0123456789a",
		"0192f0c1-2345-7abc-8def-0123456789abc",
		"0192f0c1-2345-7abc-8def-0123456789ag",
		"0192f0c12345-7abc-8def-00123456789ab",
		"0192f0c1-2345-7abc-8def0-123456789ab",
		"0192f0c123457abc8def0123456789a",
		"0192f0c123457abc8def0123456789abc",
		"0192f0c123457abc8def0123456789a ",
		"{192f0c1-2345-7abc-8def-0123456789a}",
	};
	static const char text[] = "0192f0c1-2345-7abc-8def-0123456789ab";
	uint8_t id[ID_SIZE], other[ID_SIZE] = { 0xee }, kept[ID_SIZE] = { 0xee };
	char back[ID_TEXT_SIZE];

	(void)state;
	assert_true(id_parse(text, id));
	id_format(id, back);
	assert_string_equal(back, text);
	assert_true(id_parse("0192F0C123457ABC8DEF0123456789AB", other));
	assert_memory_equal(id, other, ID_SIZE);
	memcpy(other, kept, ID_SIZE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(id_parse(bad[i], other));
	assert_memory_equal(other, kept, ID_SIZE);
}

static void test_hex(void **state)
{
	uint8_t data[3] = { 0 };
	char text[7];

	(void)state;
	id_hex((const uint8_t[]){ 0x00, 0xa5, 0xff }, 3, text);
	assert_string_equal(text, "00a5ff");
	assert_true(id_unhex("00A5ff", data, 3));
	assert_int_equal(data[1], 0xa5);
	assert_false(id_unhex("00a5f", data, 3));
	assert_false(id_unhex("00a5ff0", data, 3));
	assert_false(id_unhex("00a5fx", data, 3));
	assert_true(id_unhex("", data, 0));
}

static void test_boot_id_stays(void **state)
{
	static const uint8_t zero[ID_SIZE];
	const uint8_t *boot = id_boot();

	(void)state;
	assert_ptr_equal(boot, id_boot());
	assert_memory_not_equal(boot, zero, ID_SIZE);
}

static void test_clock(void **state)
{
	char text[CLOCK_TEXT_SIZE];
	uint64_t before = clock_monotonic_ns();

	(void)state;
	clock_format(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000000000Z");
	clock_format(UINT64_C(1795224600123456789), text);
	assert_string_equal(text, "2026-11-21T01:30:00.123456789Z");
	for (uint64_t day = 0; day < 213503; day++) {
		time_t seconds = (time_t)(day * 86400 + 3661);
		char date[CLOCK_TEXT_SIZE];
		struct tm tm;

		gmtime_r(&seconds, &tm);
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S.000000000Z", &tm);
		clock_format((uint64_t)seconds * CLOCK_NS_PER_S, text);
		assert_string_equal(text, date);
	}
	clock_format(UINT64_MAX, text);
	assert_string_equal(text, "2554-07-21T23:34:33.709551615Z");
	assert_true(clock_monotonic_ns() >= before);
	assert_true(clock_boottime_ns() > 0);
	clock_is_synchronised(); /* either answer is right; it must not fail on any machine */
}

static void test_errmsg(void **state)
{
	struct errmsg err = { 0 };
	char text[64];

	(void)state;
	errmsg_set(NULL, "nobody listens");
	errmsg_at(NULL, "x", 1, 1, "nobody listens");
	errmsg_set(&err, "bad %s", "thing\n\x1b[31m");
	errmsg_format(&err, text, sizeof(text));
	assert_string_equal(text, "bad thing??[31m");
	errmsg_at(&err, "a.yaml", 3, 14, "bad");
	errmsg_set(&err, "worse");
	errmsg_format(&err, text, sizeof(text));
	assert_string_equal(text, "a.yaml:3:14: worse");
	errmsg_at(&err, "a.yaml", 3, 0, "bad");
	errmsg_format(&err, text, sizeof(text));
	assert_string_equal(text, "a.yaml:3: bad");
	errmsg_at(&err, "a.yaml", 0, 0, "bad");
	errmsg_format(&err, text, sizeof(text));
	assert_string_equal(text, "a.yaml: bad");
	errmsg_format(&err, text, 5);
	assert_string_equal(text, "a.ya");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v7_is_stamped_and_ordered_by_time),
		cmocka_unit_test(test_ids_differ),
		cmocka_unit_test(test_text_forms),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_boot_id_stays),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_errmsg),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
