/* SPDX-License-Identifier: Apache-2.0 */
/* One map: events and snapshots in, changes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/multipath/map.h"

#define KIND(x)	 PATHBELL__V1__EVENT_KIND__EVENT_KIND_##x
#define PHASE(x) PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_##x
#define SECOND	 UINT64_C(1000000000)

static const char table[] = "0 0 2 1 round-robin 0 2 1 8:0 1 8:16 1 round-robin 0 1 1 8:32 1";
static struct map *map;
static struct map_changes changes;
static struct map_clock now;
static struct status info, table_status;
static bool present[3];

static int setup(void **state)
{
	map = map_new(254, 0, "mp", "mpath-test");
	map->order.next = 1;
	changes = (struct map_changes){ 0 };
	now = (struct map_clock){ .now_ns = 100 * SECOND,
				  .unix_ns = 1000 * SECOND,
				  .damp = { .limit = 5000, .half_life_ns = 60 * SECOND } };
	memset(present, true, sizeof(present));
	return 0;
}

static int teardown(void **state)
{
	map = map_free(map);
	map_changes_deinit(&changes);
	return 0;
}

static void snapshot_of(const char *info_text, const char *table_text)
{
	struct map_snapshot snapshot = { .name = "mp",
					 .uuid = "mpath-test",
					 .info = &info,
					 .table = &table_status,
					 .present = present };

	assert_int_equal(status_parse_info(info_text, &info), 0);
	assert_int_equal(status_parse_table(table_text, &table_status), 0);
	assert_int_equal(map_apply_snapshot(map, &snapshot, &now, &changes), 0);
}

static void snapshot(const char *info_text)
{
	snapshot_of(info_text, table);
}

static int event(uint64_t seqnum, bool failed, uint32_t minor)
{
	struct order_event e = { .seqnum = seqnum,
				 .failed = failed,
				 .path_major = 8,
				 .path_minor = minor,
				 .time_unix_ns = now.unix_ns };

	return map_apply_event(map, &e, &now, &changes);
}

/* The next change that was told must be this one. */
static const struct map_change *expect(unsigned kind, unsigned phase)
{
	const struct map_change *change = &changes.items[changes.next];

	assert_true(changes.next < changes.n);
	changes.next++;
	assert_int_equal(change->kind, kind);
	assert_int_equal(change->phase, phase);
	return change;
}

static void expect_none(void)
{
	assert_int_equal(changes.next, changes.n);
}

#define ALL_UP "2 0 0 0 2 1 A 0 2 0 8:0 A 0 8:16 A 0 E 0 1 0 8:32 A 0"

static void test_fail_and_reinstate(void **state)
{
	const struct map_change *change;

	snapshot(ALL_UP);
	expect_none();
	assert_int_equal(event(1, true, 0), 0);
	change = expect(KIND(STORAGE_PATH_FAILED), PHASE(RAISED));
	assert_string_equal(change->action, "PATH_FAILED");
	assert_int_equal(change->seqnum, 1);
	assert_int_equal(change->valid_paths, 2);
	assert_int_equal(change->group, 1);
	assert_int_equal(change->penalty, 1000);
	/* The survey that follows has nothing to add, but the fail count. */
	snapshot("2 0 0 0 2 1 A 0 2 0 8:0 F 1 8:16 A 0 E 0 1 0 8:32 A 0");
	expect_none();
	now.unix_ns += 5 * SECOND;
	assert_int_equal(event(2, false, 0), 0);
	change = expect(KIND(STORAGE_PATH_REINSTATED), PHASE(CLEARED));
	assert_int_equal(change->since_unix_ns, 1000 * SECOND);
	assert_int_equal(change->fail_count, 1);
	expect_none();
}

/* The survey sees the state before the event comes: one happening, told once. */
static void test_survey_is_first(void **state)
{
	const struct map_change *change;

	snapshot(ALL_UP);
	snapshot("2 0 0 0 2 1 A 0 2 0 8:0 F 1 8:16 A 0 E 0 1 0 8:32 A 0");
	change = expect(KIND(STORAGE_PATH_FAILED), PHASE(RAISED));
	assert_string_equal(change->action, "compared");
	assert_int_equal(event(1, true, 0), 0);
	expect_none();
	assert_int_equal(event(2, false, 0), 0);
	expect(KIND(STORAGE_PATH_REINSTATED), PHASE(CLEARED));
	/* Said again by the kernel: a happening, no second fault. */
	assert_int_equal(event(3, false, 0), 0);
	expect(KIND(STORAGE_PATH_REINSTATED), PHASE(UNSPECIFIED));
	expect_none();
}

static void test_all_paths_down(void **state)
{
	const struct map_change *change;

	snapshot(ALL_UP);
	event(1, true, 0);
	event(2, true, 16);
	assert_int_equal(event(4, true, 32), MAP_E_HELD);
	expect(KIND(STORAGE_PATH_FAILED), PHASE(RAISED));
	expect(KIND(STORAGE_PATH_FAILED), PHASE(RAISED));
	expect_none();
	now.unix_ns += SECOND;
	/* Late, as the last one out of the kernel's list. */
	assert_int_equal(event(3, false, 0), 0);
	expect(KIND(STORAGE_PATH_REINSTATED), PHASE(CLEARED));
	expect(KIND(STORAGE_PATH_FAILED), PHASE(RAISED));
	event(5, true, 0);
	expect(KIND(STORAGE_PATH_FAILED), PHASE(RAISED));
	change = expect(KIND(STORAGE_DEVICE_ALL_PATHS_DOWN), PHASE(RAISED));
	assert_int_equal(change->valid_paths, 0);
	now.unix_ns += 60 * SECOND;
	event(6, false, 16);
	expect(KIND(STORAGE_PATH_REINSTATED), PHASE(CLEARED));
	change = expect(KIND(STORAGE_DEVICE_ALL_PATHS_DOWN_CLEARED), PHASE(CLEARED));
	assert_int_equal(now.unix_ns - change->since_unix_ns, 60 * SECOND);
	expect_none();
}

/* Deleted devices: reinstating helps no more, and what the kernel says of them is no news. */
static void test_permanent_loss(void **state)
{
	const struct map_change *change;
	bool ours;

	snapshot(ALL_UP);
	for (uint32_t minor = 0; minor <= 32; minor += 16) {
		assert_int_equal(map_path_gone(map, 8, minor, &now, &changes, &ours), 0);
		assert_true(ours);
		change = expect(KIND(STORAGE_PATH_REMOVED), PHASE(UNSPECIFIED));
		assert_int_equal(change->valid_paths, 2 - minor / 16);
	}
	expect(KIND(STORAGE_DEVICE_ALL_PATHS_DOWN), PHASE(RAISED));
	expect(KIND(STORAGE_DEVICE_PERMANENT_LOSS), PHASE(RAISED));
	assert_int_equal(map_path_gone(map, 8, 48, &now, &changes, &ours), 0);
	assert_false(ours);
	/* sysfs still shows them. */
	snapshot(ALL_UP);
	event(1, true, 0);
	expect(KIND(STORAGE_PATH_FAILED), PHASE(RAISED));
	event(2, false, 0);
	expect(KIND(STORAGE_PATH_REINSTATED), PHASE(CLEARED));
	expect_none();
	map_path_back(map, 8, 16);
	snapshot(ALL_UP);
	expect(KIND(STORAGE_DEVICE_ALL_PATHS_DOWN_CLEARED), PHASE(CLEARED));
	expect(KIND(STORAGE_DEVICE_PERMANENT_LOSS_CLEARED), PHASE(CLEARED));
	expect_none();
}

static void test_groups_and_queueing(void **state)
{
	const struct map_change *change;

	snapshot(ALL_UP);
	snapshot("2 0 0 0 2 2 E 0 2 0 8:0 A 0 8:16 A 0 A 0 1 0 8:32 A 0");
	change = expect(KIND(MULTIPATH_GROUP_SWITCHED), PHASE(UNSPECIFIED));
	assert_int_equal(change->previous_group, 1);
	assert_int_equal(change->group, 2);
	snapshot("2 0 0 0 2 2 D 0 2 0 8:0 A 0 8:16 A 0 A 0 1 0 8:32 A 0");
	change = expect(KIND(MULTIPATH_GROUP_DISABLED), PHASE(UNSPECIFIED));
	assert_int_equal(change->group, 1);
	snapshot("2 0 0 0 2 2 E 0 2 0 8:0 A 0 8:16 A 0 A 0 1 0 8:32 A 0");
	expect(KIND(MULTIPATH_GROUP_ENABLED), PHASE(UNSPECIFIED));
	snapshot_of(
		"2 0 0 0 2 2 E 0 2 0 8:0 A 0 8:16 A 0 A 0 1 0 8:32 A 0",
		"1 queue_if_no_path 0 2 2 round-robin 0 2 1 8:0 1 8:16 1 round-robin 0 1 1 8:32 1");
	expect(KIND(MULTIPATH_QUEUEING_CHANGED), PHASE(UNSPECIFIED));
	assert_true(map->queueing);
	expect_none();
}

/* A handler's initialisation ends when I/O waits no more. */
static void test_initialised(void **state)
{
	static const char alua[] = "0 1 alua 1 1 service-time 0 1 2 8:0 1 1";

	snapshot_of("2 1 0 0 1 1 E 0 1 2 8:0 A 0 0 1", alua);
	expect_none();
	snapshot_of("2 0 1 0 1 1 A 0 1 2 8:0 A 0 0 1", alua);
	expect(KIND(MULTIPATH_GROUP_INITIALISED), PHASE(UNSPECIFIED));
	expect_none();
	assert_string_equal(map->handler, "alua");
}

static void test_another_table(void **state)
{
	snapshot("2 0 0 0 2 1 A 0 2 0 8:0 F 1 8:16 A 0 E 0 1 0 8:32 A 0");
	expect(KIND(STORAGE_PATH_FAILED), PHASE(RAISED));
	snapshot_of("2 0 0 0 1 1 A 0 2 0 8:48 A 0 8:16 A 0",
		    "0 0 1 1 round-robin 0 2 1 8:48 1 8:16 1");
	/* 8:0 was failed: its fault ends with it. */
	expect(KIND(STORAGE_PATH_REMOVED), PHASE(CLEARED));
	expect(KIND(STORAGE_PATH_REMOVED), PHASE(UNSPECIFIED));
	assert_int_equal(expect(KIND(STORAGE_PATH_ADDED), PHASE(UNSPECIFIED))->path_minor, 48);
	expect_none();
	assert_int_equal(map->n_paths, 2);
	assert_int_equal(map->paths[0].group, 1);
}

static void test_removed_map_ends_its_faults(void **state)
{
	snapshot(ALL_UP);
	event(1, true, 0);
	event(2, true, 16);
	event(3, true, 32);
	event(5, false, 32); /* held: 4 is missing */
	changes.next = changes.n;
	assert_int_equal(map_remove(map, &now, &changes), 0);
	expect(KIND(STORAGE_PATH_REINSTATED), PHASE(CLEARED));
	expect(KIND(STORAGE_DEVICE_ALL_PATHS_DOWN_CLEARED), PHASE(CLEARED));
	expect(KIND(STORAGE_PATH_REMOVED), PHASE(CLEARED));
	expect(KIND(STORAGE_PATH_REMOVED), PHASE(CLEARED));
	expect(KIND(MULTIPATH_MAP_REMOVED), PHASE(UNSPECIFIED));
	expect_none();
}

static void test_flapping(void **state)
{
	const struct map_change *change;
	uint64_t due, seqnum = 1;

	snapshot(ALL_UP);
	for (int i = 0; i < 4; i++) {
		event(seqnum++, true, 0);
		expect(KIND(STORAGE_PATH_FAILED), PHASE(RAISED));
		event(seqnum++, false, 0);
		expect(KIND(STORAGE_PATH_REINSTATED), PHASE(CLEARED));
	}
	event(seqnum++, true, 0);
	expect(KIND(STORAGE_PATH_FAILED), PHASE(RAISED));
	change = expect(KIND(STORAGE_PATH_MARGINAL), PHASE(RAISED));
	assert_int_equal(change->penalty, 5000);
	for (int i = 0; i < 3; i++) {
		event(seqnum++, false, 0);
		event(seqnum++, true, 0);
	}
	event(seqnum++, false, 0);
	expect_none();
	assert_int_equal(map_settle(map, &now, &changes, &due), 0);
	expect_none();
	assert_in_range(due, now.now_ns + 200 * SECOND, now.now_ns + 260 * SECOND);
	now.now_ns = due;
	assert_int_equal(map_settle(map, &now, &changes, &due), 0);
	change = expect(KIND(STORAGE_PATH_MARGINAL_CLEARED), PHASE(CLEARED));
	assert_int_equal(change->coalesced, 7);
	/* The last told was a failure. */
	expect(KIND(STORAGE_PATH_REINSTATED), PHASE(CLEARED));
	expect_none();
	assert_int_equal(due, UINT64_MAX);
}

/* Damping keeps back what is told of a path, never that a map is down. */
static void test_flapping_does_not_hide_a_dead_map(void **state)
{
	uint64_t seqnum = 1;

	snapshot(ALL_UP);
	for (int i = 0; i < 10; i++) {
		event(seqnum++, true, 0);
		event(seqnum++, false, 0);
	}
	event(seqnum++, true, 16);
	event(seqnum++, true, 32);
	changes.next = changes.n;
	event(seqnum++, true, 0);
	expect(KIND(STORAGE_DEVICE_ALL_PATHS_DOWN), PHASE(RAISED));
	expect_none();
}

/* An event of a map that no survey has seen. */
static void test_event_before_the_first_survey(void **state)
{
	const struct map_change *change;

	assert_int_equal(event(1, true, 0), 0);
	change = expect(KIND(STORAGE_PATH_FAILED), PHASE(RAISED));
	assert_int_equal(change->path_minor, 0);
	snapshot("2 0 0 0 2 1 A 0 2 0 8:0 F 1 8:16 A 0 E 0 1 0 8:32 A 0");
	expect_none();
	assert_int_equal(map->n_paths, 3);
}

/* Any input: faults are raised and cleared in turn, and all are cleared when the map is removed. */
static void test_balance(void **state)
{
	int raised[4] = { 0 };
	uint64_t seqnum = 1, missing;
	bool ours;

	srand(7);
	snapshot(ALL_UP);
	for (int i = 0; i < 20000; i++) {
		uint32_t minor = (uint32_t)(rand() % 3) * 16;

		now.unix_ns += SECOND / 10;
		now.now_ns += SECOND / 10;
		if (rand() % 50 == 0)
			seqnum += (uint64_t)(rand() % 3);
		if (rand() % 10 == 0)
			assert_int_equal(map_settle(map, &now, &changes, &missing), 0);
		if (rand() % 200 == 0)
			assert_int_equal(map_path_gone(map, 8, minor, &now, &changes, &ours), 0);
		if (rand() % 200 == 0)
			map_paths_back(map);
		if (rand() % 20 == 0)
			snapshot(rand() % 2
					 ? ALL_UP
					 : "2 0 0 0 2 1 A 0 2 0 8:0 F 1 8:16 F 0 E 0 1 0 8:32 F 0");
		if (event(seqnum++, rand() % 2, minor) == MAP_E_HELD)
			assert_int_equal(
				map_expire(map, order_mark(&map->order), &now, &changes, &missing),
				0);
	}
	assert_int_equal(map_remove(map, &now, &changes), 0);
	for (size_t i = 0; i < changes.n; i++) {
		const struct map_change *change = &changes.items[i];
		int step = change->phase == PHASE(RAISED)    ? 1
			   : change->phase == PHASE(CLEARED) ? -1
							     : 0;
		int *fault = &raised[3];

		if (change->has_path && change->kind != KIND(STORAGE_PATH_MARGINAL) &&
		    change->kind != KIND(STORAGE_PATH_MARGINAL_CLEARED))
			fault = &raised[change->path_minor / 16];
		else if (change->has_path || change->kind >= KIND(STORAGE_DEVICE_PERMANENT_LOSS))
			continue;
		*fault += step;
		assert_in_range(*fault, 0, 1);
	}
	for (int i = 0; i < 4; i++)
		assert_int_equal(raised[i], 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_fail_and_reinstate),
		TEST(test_survey_is_first),
		TEST(test_all_paths_down),
		TEST(test_permanent_loss),
		TEST(test_groups_and_queueing),
		TEST(test_initialised),
		TEST(test_another_table),
		TEST(test_removed_map_ends_its_faults),
		TEST(test_flapping),
		TEST(test_flapping_does_not_hide_a_dead_map),
		TEST(test_event_before_the_first_survey),
		TEST(test_balance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
