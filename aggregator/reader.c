/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/reader.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct reader {
	struct reader_options options;
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	STAILQ_HEAD(, reader_job) waiting; /* under lock */
	size_t n_waiting;		   /* under lock */
	bool stop;			   /* under lock */
};

static void reader_done(void *data)
{
	struct reader_job *job = data;

	job->done(job);
}

static void reader_deliver(struct reader *reader, struct reader_job *job)
{
	if (job->home == READER_GRPC)
		rpc_post(reader->options.rpc, reader_done, job);
	else
		mailbox_post(reader->options.mailbox, reader_done, reader_done, job);
}

/* NULL: stopping and nothing waits. */
static struct reader_job *reader_take(struct reader *reader, bool *ret_stop)
{
	struct reader_job *job;

	pthread_mutex_lock(&reader->lock);
	while (!reader->stop && STAILQ_EMPTY(&reader->waiting))
		pthread_cond_wait(&reader->wake, &reader->lock);
	job = STAILQ_FIRST(&reader->waiting);
	if (job) {
		STAILQ_REMOVE_HEAD(&reader->waiting, link);
		reader->n_waiting--;
	}
	*ret_stop = reader->stop;
	pthread_mutex_unlock(&reader->lock);
	return job;
}

static void *reader_main(void *data)
{
	struct reader *reader = data;
	struct reader_job *job;
	bool stop;

	while ((job = reader_take(reader, &stop))) {
		job->error = stop ? -ECANCELED : job->run(job, reader->store);
		counter_add(&reader->options.metrics->reads, 1);
		if (job->error < 0)
			counter_add(&reader->options.metrics->read_failures, 1);
		reader_deliver(reader, job);
	}
	return NULL;
}

static int reader_run(struct reader *reader)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&reader->thread, NULL, reader_main, reader);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		pthread_setname_np(reader->thread, "store-reader");
	return -r;
}

int reader_start(const struct reader_options *options, struct reader **ret_reader,
		 struct errmsg *err)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	int r;

	if (!reader)
		return -ENOMEM;
	reader->options = *options;
	STAILQ_INIT(&reader->waiting);
	pthread_mutex_init(&reader->lock, NULL);
	pthread_cond_init(&reader->wake, NULL);
	r = store_open(options->ops, &options->store, STORE_READ, &reader->store, err);
	if (r == 0)
		r = reader_run(reader);
	if (r < 0) {
		store_close(reader->store);
		free(reader);
		return r;
	}
	*ret_reader = reader;
	return 0;
}

bool reader_put(struct reader *reader, struct reader_job *job)
{
	bool room;

	pthread_mutex_lock(&reader->lock);
	room = reader->n_waiting < reader->options.max_jobs && !reader->stop;
	if (room) {
		STAILQ_INSERT_TAIL(&reader->waiting, job, link);
		reader->n_waiting++;
		pthread_cond_signal(&reader->wake);
	}
	pthread_mutex_unlock(&reader->lock);
	if (!room)
		counter_add(&reader->options.metrics->reads_refused, 1);
	return room;
}

struct reader *reader_stop(struct reader *reader)
{
	if (!reader)
		return NULL;
	pthread_mutex_lock(&reader->lock);
	reader->stop = true;
	pthread_cond_signal(&reader->wake);
	pthread_mutex_unlock(&reader->lock);
	pthread_join(reader->thread, NULL);
	store_close(reader->store);
	pthread_cond_destroy(&reader->wake);
	pthread_mutex_destroy(&reader->lock);
	free(reader);
	return NULL;
}
