/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/spool/crash.h"
#include "agent/spool/layout.h"
#include "agent/spool/slot.h"
#include "agent/spool/spool.h"
#include "core/clock.h"
#include "fixture.h"
#include "pathbell/v1/ingest.pb-c.h"

#define CORRUPT PATHBELL__V1__GONE_REASON__GONE_REASON_CORRUPT_RECORD
#define DIED	99

/* ---- small helpers over the folder ---- */

#define MAX_NAMES 64
struct names {
	char name[MAX_NAMES][64];
	unsigned n;
};

static void list(const char *dir, const char *suffix, struct names *ret_names)
{
	DIR *stream = opendir(dir);
	struct dirent *entry;

	assert_non_null(stream);
	ret_names->n = 0;
	while ((entry = readdir(stream)) != NULL) {
		size_t len = strlen(entry->d_name), n = strlen(suffix);

		if (entry->d_name[0] == '.' || len < n ||
		    strcmp(entry->d_name + len - n, suffix) != 0)
			continue;
		assert_true(ret_names->n < MAX_NAMES);
		snprintf(ret_names->name[ret_names->n++], 64, "%.63s", entry->d_name);
	}
	closedir(stream);
}

static int open_in(const char *dir, const char *name, int flags)
{
	char path[192];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	return fd;
}

static off_t size_of(const char *dir, const char *name)
{
	int fd = open_in(dir, name, O_RDONLY);
	off_t size = lseek(fd, 0, SEEK_END);

	close(fd);
	return size;
}

static void flip(const char *dir, const char *name, off_t offset, unsigned bit)
{
	int fd = open_in(dir, name, O_RDWR);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	byte ^= (uint8_t)(1U << bit);
	assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
	close(fd);
}

static void copy_tree(const struct fixture *f, const char *from, const char *to)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf %s/%s && cp -r %s/%s %s/%s", f->dir, to, f->dir,
		 from, f->dir, to);
	assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): folders this test made */
}

/* ---- a process that dies ---- */

static void body_append_and_die(void *data)
{
	struct fixture *f = data;

	fixture_open(f);
	fixture_append(f, 200, SPOOL_LANE_BULK, 300);
	fixture_append(f, 50, SPOOL_LANE_IMPORTANT, 200);
	fixture_sync(f);
	fixture_append(f, 20, SPOOL_LANE_BULK, 300);
	_exit(DIED);
}

static void test_kill_keeps_what_was_durable(void **state)
{
	struct spool_stats stats;
	struct fixture f;

	fixture_init(&f);
	assert_int_equal(fixture_fork(body_append_and_die, &f), DIED);
	fixture_open(&f);
	stats = fixture_stats(&f);
	assert_in_range(stats.captured, 250, 270);
	assert_int_equal(stats.tombstoned, 0);
	assert_in_range(spool_source_cursor(f.spool, 1), 250, 270);
	assert_int_equal(fixture_drain(&f, true).records, stats.captured);
	fixture_deinit(&f);
}

/* The epoch goes on after a crash within this boot, and does not when the live file is missing. */
static void test_epoch_after_crash(void **state)
{
	struct spool_epoch_info infos[SPOOL_MAX_EPOCHS];
	uint8_t epoch[16];
	struct fixture f;

	fixture_init(&f);
	fixture_open(&f);
	memcpy(epoch, fixture_stats(&f).epoch, 16);
	fixture_close(&f);
	assert_int_equal(fixture_fork(body_append_and_die, &f), DIED);
	fixture_open(&f);
	assert_memory_equal(fixture_stats(&f).epoch, epoch, 16);
	fixture_close(&f);
	assert_int_equal(fixture_fork(body_append_and_die, &f), DIED);
	assert_int_equal(unlink(f.live), 0);
	fixture_open(&f);
	assert_memory_not_equal(fixture_stats(&f).epoch, epoch, 16);
	assert_int_equal(spool_cursor_epochs(f.cursor, infos), 2);
	assert_memory_equal(infos[0].epoch, epoch, 16);
	assert_true(infos[0].tail_seq >= 500);
	assert_int_equal(infos[1].tail_seq, 0);
	fixture_append(&f, 3, SPOOL_LANE_BULK, 100);
	fixture_sync(&f);
	/* The old epoch comes first, to its end. */
	assert_int_equal(fixture_drain(&f, true).last_seq, 3);
	assert_int_equal(fixture_stats(&f).unacked, 0);
	fixture_turn(&f);
	fixture_deinit(&f);
}

/* ---- crash points ---- */

static const char *point_what;
static bool point_after;
static int point_skip;

static void on_point(const char *what, bool after)
{
	if (strcmp(what, point_what) == 0 && after == point_after && point_skip-- == 0)
		_exit(DIED);
}

static void body_crash_point(void *data)
{
	struct fixture *f = data;

	crash_hook = on_point;
	fixture_open(f);
	for (unsigned i = 0; i < 12; i++) {
		fixture_append(f, 60, SPOOL_LANE_BULK, 1000);
		fixture_append(f, 5, SPOOL_LANE_IMPORTANT, 100);
		fixture_sync(f);
		fixture_drain(f, true);
		fixture_turn(f);
	}
	fixture_close(f);
}

static void check_crash_point(const char *what, bool after, int skip)
{
	struct fixture_drained drained;
	struct spool_stats stats;
	struct fixture f;
	int status = DIED;

	point_what = what;
	point_after = after;
	fixture_init(&f);
	f.options.segment_bytes = 128 << 10;
	/* Twice in a row at the same point, then a third start that may finish. */
	for (unsigned i = 0; i < 2; i++) {
		point_skip = skip;
		status = fixture_fork(body_crash_point, &f);
		assert_true(status == DIED || status == 0);
	}
	fixture_open(&f);
	stats = fixture_stats(&f);
	assert_int_equal(stats.tombstoned, 0);
	assert_int_equal(spool_source_cursor(f.spool, 1), stats.captured);
	drained = fixture_drain(&f, true);
	assert_int_equal(drained.gone, 0);
	assert_int_equal(fixture_stats(&f).acked, stats.captured);
	fixture_append(&f, 10, SPOOL_LANE_BULK, 100);
	fixture_sync(&f);
	assert_int_equal(fixture_drain(&f, true).records, 10);
	fixture_deinit(&f);
}

static void test_crash_points(void **state)
{
	static const char *const points[] = { "segment-create", "dir-sync", "append", "sync",
					      "seal",		"state",    "unlink" };

	for (unsigned i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		for (int skip = 0; skip < 6; skip += skip < 2 ? 1 : 3) {
			check_crash_point(points[i], false, skip);
			check_crash_point(points[i], true, skip);
		}
	}
}

/* ---- damage ---- */

static void make_small(struct fixture *f)
{
	fixture_init(f);
	fixture_open(f);
	fixture_append(f, 12, SPOOL_LANE_BULK, 100);
	fixture_append(f, 4, SPOOL_LANE_IMPORTANT, 50);
	fixture_append(f, 4, SPOOL_LANE_BULK, 100);
	fixture_close(f);
	copy_tree(f, "main", "saved");
}

/* After a flip anywhere: opens, at most one record is lost, with a tombstone; all others come, in
 * order. */
static void check_flipped(struct fixture *f, bool is_state)
{
	struct fixture_drained drained;

	/* It remembers the life before this copy. */
	(void)unlink(f->live);
	fixture_open(f);
	drained = fixture_drain(f, true);
	assert_int_equal(drained.records + drained.gone, 20);
	assert_in_range(drained.gone, 0, is_state ? 0 : 1);
	assert_int_equal(drained.gone_by_reason[CORRUPT], drained.gone);
	assert_int_equal(fixture_stats(f).tombstoned, drained.gone);
	fixture_turn(f);
	assert_int_equal(f->lost[CORRUPT], drained.gone);
	f->lost[CORRUPT] = 0;
	fixture_append(f, 1, SPOOL_LANE_BULK, 10);
	fixture_sync(f);
	assert_int_equal(fixture_drain(f, true).records, 1);
	fixture_close(f);
}

static void test_every_bit_of_segments(void **state)
{
	struct names names;
	struct fixture f;

	make_small(&f);
	list(f.main, ".seg", &names);
	assert_int_equal(names.n, 2);
	for (unsigned i = 0; i < names.n; i++) {
		off_t size;

		copy_tree(&f, "saved", "main");
		size = size_of(f.main, names.name[i]);
		for (off_t offset = 0; offset < size; offset += offset < 512 ? 17 : 3) {
			copy_tree(&f, "saved", "main");
			flip(f.main, names.name[i], offset, (unsigned)offset % 8);
			check_flipped(&f, false);
		}
	}
	fixture_deinit(&f);
}

static void test_every_bit_of_state(void **state)
{
	struct fixture f;

	make_small(&f);
	for (off_t offset = 0; offset < 2048; offset += 23) {
		copy_tree(&f, "saved", "main");
		flip(f.main, SLOT_FILE, offset, (unsigned)offset % 8);
		flip(f.main, SLOT_FILE, SLOT_SIZE + offset, (unsigned)offset % 8);
		check_flipped(&f, true);
	}
	fixture_deinit(&f);
}

static void test_both_slots_bad_prefers_duplicates(void **state)
{
	struct spool_epoch_info infos[SPOOL_MAX_EPOCHS];
	struct fixture_drained drained;
	struct fixture f;
	int fd;

	make_small(&f);
	fixture_open(&f);
	fixture_drain(&f, true);
	/* The last file is kept by a replay window in the next life. */
	fixture_close(&f);
	copy_tree(&f, "saved", "main");
	fd = open_in(f.main, SLOT_FILE, O_WRONLY);
	assert_int_equal(pwrite(fd, "garbage", 7, 0), 7);
	assert_int_equal(pwrite(fd, "garbage", 7, SLOT_SIZE), 7);
	close(fd);
	fixture_open(&f);
	drained = fixture_drain(&f, true);
	assert_int_equal(drained.records, 20);
	assert_int_equal(drained.gone, 0);
	assert_true(spool_cursor_epochs(f.cursor, infos) >= 1);
	fixture_deinit(&f);
}

static void test_missing_truncated_and_foreign_files(void **state)
{
	struct fixture_drained drained;
	struct names names;
	struct fixture f;
	char path[256];

	make_small(&f);
	list(f.main, "-important.seg", &names);
	assert_int_equal(names.n, 1);
	/* Missing: its records become tombstones, the others come. */
	snprintf(path, sizeof(path), "%s/%s", f.main, names.name[0]);
	assert_int_equal(unlink(path), 0);
	/* A link in its place is not followed; nor is any other foreign thing touched. */
	assert_int_equal(symlink("/etc/passwd", path), 0);
	snprintf(path, sizeof(path), "%s/notes.txt", f.main);
	assert_int_equal(symlink("/dev/zero", path), 0);
	snprintf(path, sizeof(path), "%s/00000000000000f0-bulk.seg", f.main);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/00000000000000f1-bulk.seg", f.main);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(path, sizeof(path), "%s/00000000000000f2-bulk.seg", f.main);
	assert_true(close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)) == 0);
	fixture_open(&f);
	drained = fixture_drain(&f, true);
	assert_int_equal(drained.records, 16);
	assert_int_equal(drained.gone_by_reason[CORRUPT], 4);
	fixture_append(&f, 2, SPOOL_LANE_IMPORTANT, 10);
	fixture_sync(&f);
	assert_int_equal(fixture_drain(&f, true).records, 2);
	fixture_deinit(&f);
}

static void test_truncated_segment(void **state)
{
	struct fixture_drained drained;
	struct names names;
	struct fixture f;
	char path[256];
	off_t size;

	make_small(&f);
	list(f.main, "-bulk.seg", &names);
	size = size_of(f.main, names.name[0]);
	snprintf(path, sizeof(path), "%s/%s", f.main, names.name[0]);
	for (off_t cut = 0; cut < size; cut += 61) {
		copy_tree(&f, "saved", "main");
		assert_int_equal(truncate(path, cut), 0);
		fixture_open(&f);
		drained = fixture_drain(&f, true);
		assert_int_equal(drained.records + drained.gone, 20);
		assert_true(drained.records >= 4);
		fixture_close(&f);
	}
	fixture_deinit(&f);
}

/* A crash in the middle of a write: the torn end is cut, never a tombstone, and its seqs are used
 * again. */
static void test_torn_tail(void **state)
{
	struct spool_stats stats;
	struct names names;
	struct fixture f;
	int fd;

	fixture_init(&f);
	assert_int_equal(fixture_fork(body_append_and_die, &f), DIED);
	list(f.main, "-bulk.seg", &names);
	assert_int_equal(names.n, 1);
	/* Half a record where the next would have gone. */
	fixture_open(&f);
	stats = fixture_stats(&f);
	fixture_close(&f);
	copy_tree(&f, "main", "saved");
	fd = open_in(f.main, names.name[0], O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "PBR1 and a torn rest", 20), 20);
	close(fd);
	fixture_open(&f);
	assert_int_equal(fixture_stats(&f).captured, stats.captured);
	assert_int_equal(fixture_stats(&f).tombstoned, 0);
	assert_int_equal(fixture_drain(&f, true).records, stats.captured);
	fixture_deinit(&f);
}

static void body_offer_and_die(void *data)
{
	struct fixture *f = data;

	fixture_open(f);
	fixture_append(f, 12, SPOOL_LANE_BULK, 100);
	fixture_append(f, 8, SPOOL_LANE_IMPORTANT, 100);
	fixture_sync(f);
	fixture_drain(f, false);
	_exit(DIED);
}

/* Damage in what was offered is one tombstone, also in the last group before a crash. */
static void test_damage_and_crash(void **state)
{
	struct fixture_drained drained;
	struct names names;
	struct fixture f;
	off_t record = 48 + 104;

	for (unsigned i = 0; i < 12; i++) {
		fixture_init(&f);
		assert_int_equal(fixture_fork(body_offer_and_die, &f), DIED);
		list(f.main, "-bulk.seg", &names);
		flip(f.main, names.name[0], 512 + i * record + 60, 3);
		fixture_open(&f);
		drained = fixture_drain(&f, true);
		assert_int_equal(drained.records, 19);
		assert_int_equal(drained.gone_by_reason[CORRUPT], 1);
		fixture_deinit(&f);
	}
}

/* After a power cut the seal may be there and records before it not: nothing above the hole was
 * promised. */
static void test_seal_without_its_records(void **state)
{
	static const uint8_t zeros[104 + 48];
	struct fixture_drained drained;
	struct names names;
	struct fixture f;
	int fd;

	make_small(&f);
	list(f.main, "-bulk.seg", &names);
	fd = open_in(f.main, names.name[0], O_WRONLY);
	assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 512 + 5 * (off_t)sizeof(zeros)),
			 sizeof(zeros));
	close(fd);
	/* As the state was before the stop, and in another boot. */
	fd = open_in(f.main, SLOT_FILE, O_WRONLY | O_TRUNC);
	close(fd);
	assert_int_equal(unlink(f.live), 0);
	fixture_open(&f);
	drained = fixture_drain(&f, true);
	assert_int_equal(drained.records, 5);
	assert_int_equal(drained.gone, 0);
	assert_int_equal(spool_source_cursor(f.spool, 1), 5);
	fixture_deinit(&f);
}

static void test_two_agents(void **state)
{
	struct fixture f, g;

	fixture_init(&f);
	fixture_open(&f);
	g = f;
	assert_int_equal(fixture_try_open(&g), -EBUSY);
	fixture_close(&f);
	/* The lock of a process that died is no lock. */
	assert_int_equal(fixture_fork(body_append_and_die, &f), DIED);
	fixture_open(&f);
	fixture_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill_keeps_what_was_durable),
		cmocka_unit_test(test_epoch_after_crash),
		cmocka_unit_test(test_crash_points),
		cmocka_unit_test(test_every_bit_of_segments),
		cmocka_unit_test(test_every_bit_of_state),
		cmocka_unit_test(test_both_slots_bad_prefers_duplicates),
		cmocka_unit_test(test_missing_truncated_and_foreign_files),
		cmocka_unit_test(test_truncated_segment),
		cmocka_unit_test(test_torn_tail),
		cmocka_unit_test(test_damage_and_crash),
		cmocka_unit_test(test_seal_without_its_records),
		cmocka_unit_test(test_two_agents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
