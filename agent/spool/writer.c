/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/writer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/spool/slab.h"
#include "core/clock.h"

TAILQ_HEAD(job_list, job);

struct writer {
	pthread_t thread;
	pthread_mutex_t mutex; /* of the lists and flags */
	pthread_cond_t wake, idle;
	struct job_list queue, done;
	bool stop, orphan;
	atomic_bool finished;
	atomic_uint refs; /* loop and thread */
	atomic_ullong progress;
	struct ev_loop *loop;
	ev_async *async;
	struct writer_files *files; /* the thread's own */
};

struct job *job_new(void (*done)(void *data, struct job *job), void *data)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job != NULL) {
		job->done = done;
		job->data = data;
	}
	return job;
}

struct op *job_add(struct job *job, enum op_kind kind)
{
	struct op *op;

	if (job->n_ops == job->capacity) {
		size_t capacity = job->capacity ? job->capacity * 2 : 8;
		struct op *ops = realloc(job->ops, capacity * sizeof(*ops));

		if (ops == NULL)
			return NULL;
		job->ops = ops;
		job->capacity = capacity;
	}
	op = &job->ops[job->n_ops++];
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	return op;
}

struct job *job_free(struct job *job)
{
	if (job == NULL)
		return NULL;
	for (size_t i = 0; i < job->n_ops; i++) {
		free(job->ops[i].owned);
		slab_unref(job->ops[i].slab);
	}
	free(job->ops);
	free(job);
	return NULL;
}

static void writer_free_jobs(struct job_list *jobs)
{
	struct job *job;

	while ((job = TAILQ_FIRST(jobs)) != NULL) {
		TAILQ_REMOVE(jobs, job, link);
		job_free(job);
	}
}

struct writer *writer_unref(struct writer *writer)
{
	if (writer == NULL ||
	    atomic_fetch_sub_explicit(&writer->refs, 1, memory_order_acq_rel) != 1)
		return NULL;
	writer_free_jobs(&writer->queue);
	writer_free_jobs(&writer->done);
	pthread_mutex_destroy(&writer->mutex);
	pthread_cond_destroy(&writer->wake);
	pthread_cond_destroy(&writer->idle);
	free(writer);
	return NULL;
}

static void writer_run(struct writer *writer, struct job *job)
{
	job->error = 0;
	for (job->n_done = 0; job->n_done < job->n_ops && job->error == 0; job->n_done++) {
		job->error = writer_run_op(writer->files, job, &job->ops[job->n_done]);
		atomic_fetch_add_explicit(&writer->progress, 1, memory_order_relaxed);
		if (job->error != 0)
			break;
	}
}

static void *writer_main(void *data)
{
	struct writer *writer = data;
	struct job *job;

	pthread_mutex_lock(&writer->mutex);
	while (!writer->orphan) {
		job = TAILQ_FIRST(&writer->queue);
		if (job == NULL && writer->stop)
			break;
		if (job == NULL) {
			pthread_cond_wait(&writer->wake, &writer->mutex);
			continue;
		}
		TAILQ_REMOVE(&writer->queue, job, link);
		pthread_mutex_unlock(&writer->mutex);
		writer_run(writer, job);
		pthread_mutex_lock(&writer->mutex);
		/* Orphaned meanwhile: the freeing of writer_unref takes it. */
		TAILQ_INSERT_TAIL(&writer->done, job, link);
		if (!writer->orphan)
			ev_async_send(writer->loop, writer->async);
	}
	writer->files = writer_files_free(writer->files);
	atomic_store(&writer->finished, true);
	pthread_cond_signal(&writer->idle);
	pthread_mutex_unlock(&writer->mutex);
	writer_unref(writer);
	return NULL;
}

/* Signals are the loop's; the stack is small because nothing here is deep. */
static int writer_start_thread(struct writer *writer)
{
	pthread_attr_t attr;
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, (size_t)256 * 1024);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&writer->thread, &attr, writer_main, writer);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_attr_destroy(&attr);
	if (r == 0)
		pthread_setname_np(writer->thread, "spool-writer");
	return -r;
}

int writer_start(struct writer **ret_writer, const int dirfds[WRITER_N_DIRS], struct ev_loop *loop,
		 ev_async *async)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	pthread_condattr_t attr;
	int r;

	if (writer == NULL)
		return -ENOMEM;
	TAILQ_INIT(&writer->queue);
	TAILQ_INIT(&writer->done);
	pthread_mutex_init(&writer->mutex, NULL);
	pthread_cond_init(&writer->wake, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->idle, &attr);
	pthread_condattr_destroy(&attr);
	atomic_init(&writer->refs, 2);
	writer->loop = loop;
	writer->async = async;
	writer->files = writer_files_new(dirfds);
	r = writer->files != NULL ? writer_start_thread(writer) : -ENOMEM;
	if (r < 0) {
		writer->files = writer_files_free(writer->files);
		atomic_store(&writer->refs, 1); /* there is no thread */
		writer_unref(writer);
		return r;
	}
	*ret_writer = writer;
	return 0;
}

void writer_submit(struct writer *writer, struct job *job)
{
	pthread_mutex_lock(&writer->mutex);
	TAILQ_INSERT_TAIL(&writer->queue, job, link);
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->mutex);
}

struct job *writer_take_done(struct writer *writer)
{
	struct job *job;

	pthread_mutex_lock(&writer->mutex);
	job = TAILQ_FIRST(&writer->done);
	if (job != NULL)
		TAILQ_REMOVE(&writer->done, job, link);
	pthread_mutex_unlock(&writer->mutex);
	return job;
}

uint64_t writer_progress(const struct writer *writer)
{
	return atomic_load_explicit(&writer->progress, memory_order_relaxed);
}

void writer_orphan(struct writer *writer)
{
	struct job_list jobs = TAILQ_HEAD_INITIALIZER(jobs);

	pthread_mutex_lock(&writer->mutex);
	writer->orphan = true;
	TAILQ_CONCAT(&jobs, &writer->queue, link);
	TAILQ_CONCAT(&jobs, &writer->done, link);
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->mutex);
	pthread_detach(writer->thread);
	writer_free_jobs(&jobs);
}

bool writer_is_finished(const struct writer *writer)
{
	return atomic_load(&writer->finished);
}

struct writer *writer_stop(struct writer *writer, uint64_t deadline_ns, bool *ret_in_time)
{
	struct timespec deadline = { .tv_sec = (time_t)(deadline_ns / CLOCK_NS_PER_S),
				     .tv_nsec = (long)(deadline_ns % CLOCK_NS_PER_S) };
	bool in_time;

	if (writer == NULL)
		return NULL;
	pthread_mutex_lock(&writer->mutex);
	writer->stop = true;
	pthread_cond_signal(&writer->wake);
	while (!atomic_load(&writer->finished))
		if (pthread_cond_timedwait(&writer->idle, &writer->mutex, &deadline) == ETIMEDOUT)
			break;
	in_time = atomic_load(&writer->finished);
	pthread_mutex_unlock(&writer->mutex);
	if (in_time)
		pthread_join(writer->thread, NULL);
	else
		writer_orphan(writer);
	if (ret_in_time != NULL)
		*ret_in_time = in_time;
	return writer_unref(writer);
}
