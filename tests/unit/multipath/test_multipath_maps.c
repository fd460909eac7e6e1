/* SPDX-License-Identifier: Apache-2.0 */
/* All maps: decoded uevents and the records of surveys in, changes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "collectors/multipath/maps.h"

#define KIND(x) PATHBELL__V1__EVENT_KIND__EVENT_KIND_##x
#define SECOND	UINT64_C(1000000000)

static const char info_up[] = "2 0 0 0 1 1 A 0 2 0 8:0 A 0 8:16 A 0";
static const char info_failed[] = "2 0 0 0 1 1 A 0 2 0 8:0 F 1 8:16 A 0";
static const char table[] = "0 0 1 1 round-robin 0 2 1 8:0 1 8:16 1";

static struct maps maps;
static struct map_clock now = { .now_ns = SECOND,
				.unix_ns = SECOND,
				.damp = { .limit = 0, .half_life_ns = SECOND } };

static bool is_present(void *data, uint32_t major, uint32_t minor)
{
	return true;
}

static int setup(void **state)
{
	return maps_init(&maps);
}

static int teardown(void **state)
{
	maps_deinit(&maps);
	return 0;
}

/* A uevent as text, lines for NULs. */
static int hear(const char *text)
{
	char message[UEVENT_MESSAGE_MAX];
	size_t size = strlen(text) + 1;
	struct uevent uevent;
	struct event event;

	for (size_t i = 0; i < size; i++)
		message[i] = text[i] == '\n' ? '\0' : text[i];
	assert_int_equal(uevent_parse(message, size, &uevent), 0);
	if (event_decode(&uevent, &event) != 0)
		return -EBADMSG;
	event.path.time_unix_ns = now.unix_ns;
	assert_int_equal(maps_hear(&maps, &event, &now), 0);
	return 0;
}

static int hear_path(uint32_t map_minor, unsigned seqnum, bool failed, unsigned minor)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "change@/devices/virtual/block/dm-%u\nSUBSYSTEM=block\nDM_TARGET=multipath\n"
		 "DM_ACTION=%s\nDM_SEQNUM=%u\nDM_PATH=8:%u\nDM_NR_VALID_PATHS=1\nDM_NAME=mp\n"
		 "DM_UUID=mpath-%u\nMAJOR=254\nMINOR=%u",
		 map_minor, failed ? "PATH_FAILED" : "PATH_REINSTATED", seqnum, minor, map_minor,
		 map_minor);
	return hear(text);
}

static void begin(bool all, size_t n_expected)
{
	struct survey_known *known;
	size_t n;

	assert_int_equal(maps_begin(&maps, all, &known, &n), 0);
	assert_int_equal(n, n_expected);
	free(known);
}

static void apply(enum report_kind kind, uint32_t minor, const char *info)
{
	char uuid[32];
	struct report_record record = { .kind = kind, .major = 254, .minor = minor, .event_nr = 1 };

	snprintf(uuid, sizeof(uuid), "mpath-%u", minor);
	record.name = "mp";
	record.uuid = uuid;
	record.info = info;
	record.table = table;
	assert_int_equal(maps_apply(&maps, &record, false, &now, is_present, NULL), 0);
}

static void survey(const char *info)
{
	begin(true, 0);
	apply(REPORT_MAP, 0, info);
	apply(REPORT_END, 0, "");
}

static void expect(unsigned kind)
{
	assert_true(maps.changes.next < maps.changes.n);
	assert_int_equal(maps.changes.items[maps.changes.next++].kind, kind);
}

static void expect_none(void)
{
	assert_int_equal(maps.changes.next, maps.changes.n);
	maps_published(&maps);
}

static void test_maps_come_and_go(void **state)
{
	survey(info_up);
	expect_none(); /* it was there before us */
	begin(false, 1);
	apply(REPORT_SAME, 0, "");
	apply(REPORT_MAP, 1, info_up);
	apply(REPORT_END, 0, "");
	expect(KIND(MULTIPATH_MAP_ADDED));
	expect_none();
	begin(false, 2);
	apply(REPORT_SAME, 1, "");
	apply(REPORT_END, 0, "");
	expect(KIND(MULTIPATH_MAP_REMOVED));
	expect_none();
	hear("remove@/devices/virtual/block/dm-1\nSUBSYSTEM=block\nMAJOR=254\nMINOR=1");
	expect(KIND(MULTIPATH_MAP_REMOVED));
	expect_none();
	assert_int_equal(maps.n, 0);
}

/* An event that came while the survey ran is newer than what the survey says of its map. */
static void test_survey_is_older_than_event(void **state)
{
	survey(info_up);
	hear_path(0, 1, true, 0); /* the first number is not known: held */
	assert_true(maps.wants_survey);
	survey(info_failed);
	expect(KIND(STORAGE_PATH_FAILED));
	expect_none();
	begin(false, 1);
	hear_path(0, 2, false, 0);
	expect(KIND(STORAGE_PATH_REINSTATED));
	apply(REPORT_MAP, 0, info_failed);
	apply(REPORT_END, 0, "");
	expect_none();
	assert_true(maps.wants_survey);
	/* It is looked at again, whatever its event_nr. */
	begin(false, 0);
	apply(REPORT_MAP, 0, info_failed);
	expect(KIND(STORAGE_PATH_FAILED));
	expect_none();
}

static void test_holes_are_counted_when_the_survey_ends(void **state)
{
	hear("add@/devices/virtual/block/dm-0\nSUBSYSTEM=block\nMAJOR=254\nMINOR=0");
	survey(info_up);
	hear_path(0, 1, true, 0); /* a fresh map: 1 is the first */
	expect(KIND(STORAGE_PATH_FAILED));
	hear_path(0, 4, true, 16);
	expect_none();
	assert_true(maps.wants_survey);
	begin(false, 0);
	hear_path(0, 6, false, 16); /* behind the start: not yet its turn */
	apply(REPORT_MAP, 0, info_failed);
	assert_int_equal(maps.n_missing, 0);
	begin(false, 0);
	apply(REPORT_MAP, 0, info_failed);
	assert_int_equal(maps.n_missing, 3);
	assert_true(maps.wants_all);
	expect(KIND(STORAGE_PATH_FAILED));
	expect(KIND(STORAGE_DEVICE_ALL_PATHS_DOWN));
	expect(KIND(STORAGE_PATH_REINSTATED));
	expect(KIND(STORAGE_DEVICE_ALL_PATHS_DOWN_CLEARED));
	expect_none();
}

/* What the socket counted is not counted again by the numbers. */
static void test_lost_uevents_are_not_counted_twice(void **state)
{
	hear("add@/devices/virtual/block/dm-0\nSUBSYSTEM=block\nMAJOR=254\nMINOR=0");
	survey(info_up);
	hear_path(0, 1, true, 0);
	assert_int_equal(maps_forget_order(&maps, &now), 0);
	hear_path(0, 9, false, 0);
	survey(info_up);
	assert_int_equal(maps.n_missing, 0);
	expect(KIND(STORAGE_PATH_FAILED));
	expect(KIND(STORAGE_PATH_REINSTATED));
	expect_none();
}

static void test_bad_lines_are_told_once(void **state)
{
	survey("nonsense");
	survey("nonsense");
	assert_int_equal(maps.n_bad, 1);
	survey("2 0 0 0 33 1 A");
	assert_int_equal(maps.n_oversize, 0);
	survey(info_up);
	survey("2 0 0 0 33 1 A");
	assert_int_equal(maps.n_oversize, 1);
	/* The two lines are of two tables: again. */
	maps.wants_survey = false;
	survey("2 0 0 0 1 1 A 0 1 0 8:0 A 0");
	assert_true(maps.wants_survey);
	expect(KIND(MULTIPATH_MAP_ADDED)); /* with the first lines that could be read */
	expect_none();
	assert_int_equal(
		hear("change@/d\nSUBSYSTEM=block\nMAJOR=254\nMINOR=0\nDM_TARGET=multipath\n"
		     "DM_ACTION=PATH_FAILED\nDM_PATH=8:0"),
		-EBADMSG);
}

/* Another disk under the number: DISKSEQ says so. */
static void test_recycled_number(void **state)
{
	static const char event[] =
		"change@/d\nSUBSYSTEM=block\nMAJOR=254\nMINOR=0\nDM_TARGET=multipath\n"
		"DM_ACTION=PATH_FAILED\nDM_PATH=8:0\nDM_SEQNUM=%d\nDM_UUID=mpath-0\n"
		"DISKSEQ=%d";
	char text[256];

	survey(info_up);
	snprintf(text, sizeof(text), event, 7, 4);
	hear(text);
	survey(info_failed);
	expect(KIND(STORAGE_PATH_FAILED));
	snprintf(text, sizeof(text), event, 1, 5);
	hear(text);
	expect(KIND(STORAGE_PATH_REMOVED));
	expect(KIND(MULTIPATH_MAP_REMOVED));
	expect_none();
}

/* The report through its encoding, cut at every byte. */
static void test_report(void **state)
{
	struct report_record record = { .kind = REPORT_MAP,
					.major = 254,
					.minor = 3,
					.event_nr = 9,
					.suspended = 1,
					.error = -5,
					.name = "n",
					.uuid = "u",
					.info = info_up,
					.table = table };
	struct report_record out;
	char bytes[1024], again[1024];
	size_t size = report_encode(&record, bytes, sizeof(bytes)), offset = 0;

	assert_true(size > 0);
	assert_int_equal(report_encode(&record, again, size - 1), 0);
	for (size_t cut = 0; cut < size; cut++) {
		assert_int_equal(report_next(bytes, cut, &offset, &out), REPORT_E_PARTIAL);
		assert_int_equal(offset, 0);
	}
	assert_int_equal(report_next(bytes, size, &offset, &out), 0);
	assert_int_equal(offset, size);
	assert_int_equal(out.error, -5);
	assert_int_equal(out.event_nr, 9);
	assert_string_equal(out.table, table);
	for (size_t i = 0; i < 44; i++) {
		memcpy(again, bytes, size);
		again[i] ^= (char)0x81;
		offset = 0;
		(void)report_next(again, size, &offset, &out);
	}
	bytes[size - 1] = 'x';
	offset = 0;
	assert_int_equal(report_next(bytes, size, &offset, &out), -EBADMSG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_maps_come_and_go),
		TEST(test_survey_is_older_than_event),
		TEST(test_holes_are_counted_when_the_survey_ends),
		TEST(test_lost_uevents_are_not_counted_twice),
		TEST(test_bad_lines_are_told_once),
		TEST(test_recycled_number),
		TEST(test_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
