/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's thread on a real store: groups, a disk that is full for a while, a job refused for
 * good, stopping. */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "aggregator/writer.h"
#include "core/buf.h"
#include "core/clock.h"

#define BOUND_S 120

struct fixture {
	struct rpc *rpc;
	struct writer *writer;
	struct metrics metrics;
	char dir[64], path[128];
	sem_t failed, done, committed;
	int error; /* last of on_ready */
};

struct job {
	struct writer_job job; /* first */
	struct fixture *f;
};

static void on_commit(void *data, bool events, bool commands)
{
	struct fixture *f = data;

	if (events)
		sem_post(&f->committed);
}

static void on_ready(void *data, int error)
{
	struct fixture *f = data;

	f->error = error;
	if (error < 0)
		sem_post(&f->failed);
}

static void on_done(struct writer_job *job)
{
	sem_post(&((struct job *)job)->f->done);
}

static void wait_for(sem_t *semaphore)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += BOUND_S;
	while (sem_timedwait(semaphore, &until) < 0)
		assert_int_equal(errno, EINTR);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct writer_options options = { .ops = &store_sqlite,
					  .metrics = &f->metrics,
					  .queue_bytes = 1 << 20,
					  .group_rows = 1000,
					  .group_bytes = 1 << 20,
					  .probe_interval_ns = 3600 * CLOCK_NS_PER_S,
					  .data = f,
					  .on_commit = on_commit,
					  .on_ready = on_ready };
	struct errmsg err = { 0 };

	assert_non_null(f);
	strcpy(f->dir, "/tmp/pathbell-writer.XXXXXX"); /* NOLINT: fits */
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/store.db", f->dir);
	options.store =
		(struct store_options){ .path = f->path, .cache_bytes = 1 << 20, .busy_ms = 100 };
	sem_init(&f->failed, 0, 0);
	sem_init(&f->done, 0, 0);
	sem_init(&f->committed, 0, 0);
	assert_int_equal(rpc_start(&f->rpc, &err), 0);
	options.rpc = f->rpc;
	assert_int_equal(writer_start(&options, &f->writer, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };
	struct fixture *f = *state;
	char path[160];

	writer_stop(f->writer, clock_monotonic_ns() + CLOCK_NS_PER_S);
	rpc_stop(f->rpc);
	writer_free(f->writer);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

/* @count events of some 1000 bytes, from @first. */
static void fill(struct fixture *f, struct job *job, struct buf *events, uint64_t first,
		 uint32_t count)
{
	/* Event{kind: 100, raw: 1000 bytes}: framed 0x42, length, tag 0x08, 100, tag 0x6a (raw),
	 * length */
	uint8_t event[3 + 1005] = { 0x42, 0xed, 0x07, 0x08, 100, 0x6a, 0xe8, 0x07 };

	memset(job, 0, sizeof(*job));
	memset(event + 8, 'r', 1000);
	for (uint32_t i = 0; i < count; i++)
		assert_int_equal(buf_append(events, event, sizeof(event)), 0);
	job->f = f;
	job->job.done = on_done;
	job->job.bytes = events->size;
	job->job.write.type = STORE_BATCH;
	job->job.write.host_id = "h1";
	job->job.write.now_unix_ns = 1000;
	memset(job->job.write.batch.epoch, 'e', 16);
	job->job.write.batch.first_seq = first;
	job->job.write.batch.count = count;
	job->job.write.batch.events = events->data;
	job->job.write.batch.events_size = events->size;
}

static void test_jobs_come_back_in_order(void **state)
{
	struct fixture *f = *state;
	struct buf events[3] = { 0 };
	struct job jobs[3];

	for (unsigned i = 0; i < 3; i++)
		fill(f, &jobs[i], &events[i], i * 10 + 1, 10);
	for (unsigned i = 0; i < 3; i++)
		writer_put(f->writer, &jobs[i].job);
	for (unsigned i = 0; i < 3; i++)
		wait_for(&f->done);
	wait_for(&f->committed);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(jobs[i].job.error, 0);
		assert_int_equal(jobs[i].job.write.ret_outcome, 0);
		assert_int_equal(jobs[i].job.write.batch.ret_mark, i * 10 + 10);
		buf_deinit(&events[i]);
	}
	assert_int_equal(counter_get(&f->metrics.events_stored), 30);
	assert_int_equal(counter_get(&f->metrics.queue_bytes), 0);
	assert_int_equal(counter_get(&f->metrics.ready), 1);
}

/* RLIMIT_FSIZE stands for a full disk: writes of the WAL fail, and work again when it is lifted. */
static void test_a_full_disk_passes(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, tight;
	struct buf events = { 0 };
	struct job job;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = 200000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	fill(f, &job, &events, 1, 900);
	writer_put(f->writer, &job.job);
	wait_for(&f->failed);
	assert_true(f->error < 0);
	assert_int_equal(counter_get(&f->metrics.ready), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	wait_for(&f->done);
	assert_int_equal(job.job.error, 0);
	assert_int_equal(job.job.write.batch.ret_mark, 900);
	assert_int_equal(job.job.write.batch.ret_stored, 900);
	assert_int_equal(counter_get(&f->metrics.ready), 1);
	buf_deinit(&events);
}

static void test_one_bad_job_fails_alone(void **state)
{
	struct fixture *f = *state;
	struct buf events[3] = { 0 };
	struct job jobs[3];

	for (unsigned i = 0; i < 3; i++)
		fill(f, &jobs[i], &events[i], i == 2 ? 6 : 1, 5);
	jobs[1].job.write.batch.first_seq = 0; /* never valid */
	for (unsigned i = 0; i < 3; i++)
		writer_put(f->writer, &jobs[i].job);
	for (unsigned i = 0; i < 3; i++)
		wait_for(&f->done);
	assert_int_equal(jobs[0].job.error, 0);
	assert_int_equal(jobs[1].job.error, -EINVAL);
	assert_int_equal(jobs[2].job.error, 0);
	assert_int_equal(jobs[2].job.write.batch.ret_mark, 10);
	for (unsigned i = 0; i < 3; i++)
		buf_deinit(&events[i]);
}

static void test_stopping_gives_back_what_it_cannot_store(void **state)
{
	struct fixture *f = *state;
	struct rlimit old, tight;
	struct buf events[2] = { 0 };
	struct job jobs[2];

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	tight = old;
	tight.rlim_cur = 200000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	for (unsigned i = 0; i < 2; i++) {
		fill(f, &jobs[i], &events[i], i * 900 + 1, 900);
		writer_put(f->writer, &jobs[i].job);
	}
	assert_false(writer_has_room(f->writer));
	assert_true(writer_is_full(f->writer));
	wait_for(&f->failed);
	writer_stop(f->writer, clock_monotonic_ns());
	for (unsigned i = 0; i < 2; i++)
		wait_for(&f->done);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(jobs[i].job.error, -ECANCELED);
		buf_deinit(&events[i]);
	}
	assert_int_equal(counter_get(&f->metrics.queue_jobs), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_jobs_come_back_in_order),
		TEST(test_a_full_disk_passes),
		TEST(test_one_bad_job_fails_alone),
		TEST(test_stopping_gives_back_what_it_cannot_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
