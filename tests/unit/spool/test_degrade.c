/* SPDX-License-Identifier: Apache-2.0 */
/* The disk fails, fills, or hangs: one call of the sweep at a time, for ever, or until told. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/spool/disk.h"
#include "agent/spool/spool.h"
#include "core/clock.h"
#include "fixture.h"
#include "pathbell/v1/ingest.pb-c.h"

#define DISK_ERROR PATHBELL__V1__GONE_REASON__GONE_REASON_DISK_ERROR

enum call {
	CALL_OPEN,
	CALL_READ,
	CALL_WRITE,
	CALL_FALLOCATE,
	CALL_DATASYNC,
	CALL_SYNC,
	CALL_TRUNCATE,
	CALL_UNLINK,
	N_CALLS
};

/* What the injected disk does. Read by the writer thread. */
static atomic_int fail_call = -1, fail_countdown, fail_error, fail_hits;
static atomic_bool fail_always, fail_main_only, hang_writes, hanging;
static pthread_mutex_t hang_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hang_over = PTHREAD_COND_INITIALIZER;

static bool is_main(int fd)
{
	char link[64], path[256];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = 0;
	return strstr(path, "/main") != NULL;
}

static bool fails(enum call call, int fd)
{
	if (atomic_load(&fail_call) != (int)call ||
	    (atomic_load(&fail_main_only) && fd >= 0 && !is_main(fd)))
		return false;
	if (!atomic_load(&fail_always) && atomic_fetch_sub(&fail_countdown, 1) != 0)
		return false;
	atomic_fetch_add(&fail_hits, 1);
	errno = atomic_load(&fail_error);
	return true;
}

static int faulty_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	return fails(CALL_OPEN, dirfd) ? -1 : openat(dirfd, name, flags, mode);
}

static ssize_t faulty_pread(int fd, void *buffer, size_t size, off_t offset)
{
	return fails(CALL_READ, fd) ? -1 : pread(fd, buffer, size, offset);
}

static ssize_t faulty_pwrite(int fd, const void *data, size_t size, off_t offset)
{
	if (atomic_load(&hang_writes) && is_main(fd)) {
		pthread_mutex_lock(&hang_mutex);
		atomic_store(&hanging, true);
		while (atomic_load(&hang_writes))
			pthread_cond_wait(&hang_over, &hang_mutex);
		atomic_store(&hanging, false);
		pthread_mutex_unlock(&hang_mutex);
	}
	return fails(CALL_WRITE, fd) ? -1 : pwrite(fd, data, size, offset);
}

static int faulty_fallocate(int fd, int mode, off_t offset, off_t size)
{
	return fails(CALL_FALLOCATE, fd) ? -1 : fallocate(fd, mode, offset, size);
}

static int faulty_fdatasync(int fd)
{
	return fails(CALL_DATASYNC, fd) ? -1 : fdatasync(fd);
}

static int faulty_fsync(int fd)
{
	return fails(CALL_SYNC, fd) ? -1 : fsync(fd);
}

static int faulty_ftruncate(int fd, off_t size)
{
	return fails(CALL_TRUNCATE, fd) ? -1 : ftruncate(fd, size);
}

static int faulty_unlinkat(int dirfd, const char *name, int flags)
{
	return fails(CALL_UNLINK, dirfd) ? -1 : unlinkat(dirfd, name, flags);
}

static const struct disk faulty = { faulty_openat,    faulty_pread,	faulty_pwrite,
				    faulty_fallocate, faulty_fdatasync, faulty_fsync,
				    faulty_ftruncate, faulty_unlinkat };

static void inject(int call, int countdown, int error, bool always, bool main_only)
{
	atomic_store(&fail_hits, 0);
	atomic_store(&fail_countdown, countdown);
	atomic_store(&fail_error, error);
	atomic_store(&fail_always, always);
	atomic_store(&fail_main_only, main_only);
	atomic_store(&fail_call, call);
}

static void hang(bool on)
{
	pthread_mutex_lock(&hang_mutex);
	atomic_store(&hang_writes, on);
	pthread_cond_broadcast(&hang_over);
	pthread_mutex_unlock(&hang_mutex);
}

static void begin(struct fixture *f)
{
	disk_set(&faulty);
	disk_retry_s = 0.01;
	inject(-1, 0, 0, false, false);
	fixture_init(f);
}

static void end(struct fixture *f)
{
	inject(-1, 0, 0, false, false);
	hang(false);
	fixture_deinit(f);
	disk_set(NULL);
	disk_retry_s = 30.;
}

/* A life with every kind of operation in it; each record must come out, whatever fails once. */
static void live_through(struct fixture *f, uint64_t *captured)
{
	struct fixture_drained drained;

	fixture_open(f);
	for (unsigned i = 0; i < 6; i++) {
		*captured = fixture_append(f, 40, SPOOL_LANE_BULK, 1000);
		*captured = fixture_append(f, 4, SPOOL_LANE_IMPORTANT, 100);
		/* Degraded means synced at once; here all shall be on some disk. */
		fixture_sync(f);
		fixture_wait(f, fixture_stats(f).durable_seq == *captured);
		drained = fixture_drain(f, i != 3);
		assert_int_equal(drained.gone, 0);
		assert_int_equal(drained.records, 44);
		fixture_turn(f);
		if (i == 3)
			spool_cursor_rewind(f->cursor);
		if (i == 3)
			assert_int_equal(fixture_drain(f, true).records, 44);
	}
	fixture_close(f);
}

static void test_sweep_of_single_failures(void **state)
{
	static const int errors[] = { EIO, ENOSPC };
	unsigned swept = 0;

	for (int call = 0; call < N_CALLS; call++) {
		for (int n = 0, hits = 1; hits > 0; n++) {
			uint64_t captured = 0;
			struct fixture f;

			begin(&f);
			f.options.segment_bytes = 128 << 10;
			f.options.memory_bytes = 300 << 10;
			inject(call, n, errors[n % 2], false, false);
			live_through(&f, &captured);
			hits = atomic_load(&fail_hits);
			inject(-1, 0, 0, false, false);
			/* What did not reach the disk in time is not promised; what was acked stays
			 * counted. */
			fixture_open(&f);
			assert_true(fixture_stats(&f).captured <= captured);
			fixture_drain(&f, true);
			end(&f);
			swept++;
		}
	}
	printf("%u lives\n", swept);
}

static void test_failing_disk_uses_fallback_and_returns(void **state)
{
	struct fixture f;

	begin(&f);
	fixture_open(&f);
	fixture_append(&f, 10, SPOOL_LANE_BULK, 100);
	fixture_sync(&f);
	inject(CALL_DATASYNC, 0, EIO, true, true);
	fixture_append(&f, 10, SPOOL_LANE_BULK, 100);
	fixture_wait(&f, f.degraded);
	assert_non_null(strstr(fixture_stats(&f).degraded_reason, "/main"));
	fixture_wait(&f, fixture_stats(&f).durable_seq == 20);
	fixture_append(&f, 10, SPOOL_LANE_IMPORTANT, 100);
	fixture_sync(&f);
	assert_int_equal(fixture_drain(&f, false).records, 30);
	/* Still broken: the probes fail, nothing flaps. */
	fixture_wait(&f, fixture_stats(&f).disk_errors > 5);
	assert_true(f.degraded);
	assert_int_equal(f.n_degraded, 1);
	inject(-1, 0, 0, false, false);
	fixture_wait(&f, !f.degraded);
	assert_int_equal(f.n_degraded, 2);
	fixture_append(&f, 10, SPOOL_LANE_BULK, 100);
	fixture_sync(&f);
	fixture_close(&f);
	/* All came home: the fallback folder may vanish with the next boot. */
	fixture_open(&f);
	assert_int_equal(fixture_drain(&f, true).records, 40);
	assert_int_equal(fixture_stats(&f).tombstoned, 0);
	end(&f);
}

static void test_memory_only_drops_bulk_first(void **state)
{
	struct fixture_drained drained;
	struct fixture f;

	begin(&f);
	f.options.fallback_dir = NULL;
	f.options.memory_bytes = 1 << 20;
	fixture_open(&f);
	inject(CALL_WRITE, 0, EROFS, true, false);
	fixture_append(&f, 1, SPOOL_LANE_IMPORTANT, 100);
	fixture_wait(&f, f.degraded);
	for (unsigned i = 0; i < 20; i++) {
		fixture_append(&f, 100, SPOOL_LANE_BULK, 1000);
		fixture_append(&f, 10, SPOOL_LANE_IMPORTANT, 100);
	}
	fixture_turn(&f);
	assert_true(f.lost[DISK_ERROR] > 0);
	assert_true(fixture_stats(&f).memory_used <= 1 << 20);
	drained = fixture_drain(&f, true);
	assert_int_equal(drained.records + drained.gone, 2201);
	assert_int_equal(drained.gone_by_reason[DISK_ERROR], drained.gone);
	assert_true(drained.records > 201);
	/* All important ones: only bulk was dropped. */
	assert_int_equal(drained.gone, fixture_stats(&f).tombstoned);
	assert_true(drained.gone <= 2000);
	inject(-1, 0, 0, false, false);
	fixture_wait(&f, !f.degraded);
	fixture_append(&f, 5, SPOOL_LANE_BULK, 100);
	fixture_sync(&f);
	assert_int_equal(fixture_drain(&f, true).records, 5);
	end(&f);
}

static void test_hanging_disk(void **state)
{
	struct fixture f;

	begin(&f);
	f.options.stall_ns = 20 * CLOCK_NS_PER_MS;
	fixture_open(&f);
	fixture_append(&f, 100, SPOOL_LANE_BULK, 300);
	fixture_sync(&f);
	assert_int_equal(fixture_drain(&f, true).records, 100);
	hang(true);
	fixture_append(&f, 50, SPOOL_LANE_BULK, 300);
	fixture_wait(&f, f.degraded);
	assert_true(atomic_load(&hanging));
	/* Capture and delivery go on while the thread is still in there. */
	fixture_append(&f, 50, SPOOL_LANE_IMPORTANT, 300);
	fixture_sync(&f);
	assert_int_equal(fixture_drain(&f, true).records, 100);
	fixture_wait(&f, fixture_stats(&f).durable_seq == 200);
	hang(false);
	fixture_wait(&f, !f.degraded);
	fixture_append(&f, 50, SPOOL_LANE_BULK, 300);
	fixture_sync(&f);
	assert_int_equal(fixture_drain(&f, true).records, 50);
	assert_int_equal(fixture_stats(&f).tombstoned, 0);
	fixture_close(&f);
	fixture_open(&f);
	assert_int_equal(fixture_stats(&f).acked, 250);
	end(&f);
}

static void test_close_does_not_wait_for_a_hung_disk(void **state)
{
	uint64_t started;
	struct fixture f;

	begin(&f);
	fixture_open(&f);
	hang(true);
	fixture_append(&f, 50, SPOOL_LANE_BULK, 300);
	fixture_wait(&f, atomic_load(&hanging));
	started = clock_monotonic_ns();
	f.spool = spool_close(f.spool, started + 50 * CLOCK_NS_PER_MS);
	assert_true(clock_monotonic_ns() - started < 20 * CLOCK_NS_PER_S);
	/* The orphan wakes with nothing but its own left to touch. */
	hang(false);
	while (atomic_load(&hanging))
		sched_yield();
	end(&f);
}

static void test_full_ring_waits_for_a_slow_disk(void **state)
{
	static uint8_t data[1000];
	struct spool_append append = { data, sizeof(data), SPOOL_LANE_BULK, 1, 1, 1 };
	uint64_t seq, n = 0;
	struct fixture f;
	int r;

	begin(&f);
	f.options.memory_bytes = 300 << 10;
	fixture_open(&f);
	hang(true);
	while ((r = spool_append(f.spool, &append, &seq)) == 0) {
		n++;
		fixture_turn(&f);
	}
	assert_int_equal(r, SPOOL_E_FULL);
	assert_in_range(n, 100, 300);
	assert_int_equal(fixture_stats(&f).tail_seq, n);
	assert_int_equal(f.n_room, 0);
	hang(false);
	fixture_wait(&f, f.n_room == 1);
	assert_int_equal(spool_append(f.spool, &append, &seq), 0);
	assert_int_equal(seq, n + 1);
	assert_false(f.degraded);
	end(&f);
}

/* ---- a file system that is full, for real ---- */

static void body_full_disk(void *data)
{
	struct fixture *f = data;
	uint64_t captured;

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdir(f->main, 0700) < 0 || mount("spool", f->main, "tmpfs", 0, "size=1m,mode=700") < 0)
		_exit(77);
	fixture_open(f);
	for (unsigned i = 0; i < 100; i++) {
		captured = fixture_append(f, 100, SPOOL_LANE_BULK, 1000);
		fixture_sync(f);
	}
	assert_true(f->degraded);
	assert_non_null(strstr(fixture_stats(f).degraded_reason, "No space left"));
	fixture_wait(f, fixture_stats(f).durable_seq == captured);
	assert_int_equal(fixture_drain(f, true).records, captured);
	fixture_turn(f);
	/* Acked segments went: there is room again. */
	fixture_wait(f, !f->degraded);
	fixture_append(f, 10, SPOOL_LANE_BULK, 1000);
	fixture_sync(f);
	assert_int_equal(fixture_drain(f, true).records, 10);
	fixture_close(f);
	_exit(0);
}

static void test_full_disk(void **state)
{
	struct fixture f;
	int status;

	begin(&f);
	f.options.segment_bytes = 128 << 10;
	status = fixture_fork(body_full_disk, &f);
	end(&f);
	if (status == 77) {
		print_message("no mount namespace here: skipped\n");
		skip();
	}
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sweep_of_single_failures),
		cmocka_unit_test(test_failing_disk_uses_fallback_and_returns),
		cmocka_unit_test(test_memory_only_drops_bulk_first),
		cmocka_unit_test(test_hanging_disk),
		cmocka_unit_test(test_close_does_not_wait_for_a_hung_disk),
		cmocka_unit_test(test_full_ring_waits_for_a_slow_disk),
		cmocka_unit_test(test_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
