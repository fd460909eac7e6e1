/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 1. The gRPC thread puts jobs (batches, tombstones, hellos, commands); a condition wakes the
 * thread.
 * 2. The thread takes from the front what fits one transaction, by rows and bytes.
 * 3. store_write: all of it durable, or nothing.
 * 4. The jobs move to `finished` and writer_deliver is posted once: it runs each `done` on the gRPC
 *    thread, then on_commit once. Acknowledgements leave from there.
 *
 * Failures. What may pass (disk full, I/O error, busy): the group is kept, readiness goes, and the
 * same group is tried again after 100 ms doubling to 5 s; nothing is acknowledged, the queue fills,
 * and the gRPC thread stops reading from hosts, whose spools hold the data. What will not pass
 * (-EINVAL: one write that the store refuses): each write of the group is tried alone, so that one
 * bad job fails alone. Idle: a probe write each interval proves that a commit still works; the WAL
 * is settled once after the last commit; retention runs in small steps between groups.
 */
#include "aggregator/writer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"

#define WRITER_GROUP_JOBS   1024
#define WRITER_RETRY_MIN_NS (100 * CLOCK_NS_PER_MS)
#define WRITER_RETRY_MAX_NS (5 * CLOCK_NS_PER_S)
#define WRITER_SETTLE_NS    (500 * CLOCK_NS_PER_MS)
#define WRITER_RETAIN_NS    (3600 * CLOCK_NS_PER_S)
#define WRITER_RETAIN_BYTES (16u << 20) /* written since the last look at the size */

struct writer {
	struct writer_options options;
	struct store *store;
	pthread_t thread;
	bool started;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct writer_jobs waiting, finished; /* under lock */
	struct store_retention retention;     /* under lock */
	bool stop, posted;		      /* under lock */
	uint64_t deadline_ns;		      /* under lock, with stop */
	int ready_error, told_error;	      /* under lock; told: last passed to on_ready */
	bool told, any_events, any_commands;  /* under lock */

	/* the thread's own */
	bool unsettled, retain_more;
	uint64_t next_probe_ns, next_retain_ns, settle_ns, unretained_bytes;
	struct store_write *writes[WRITER_GROUP_JOBS];
};

/* ---- back to the gRPC thread ---- */

static void writer_move(struct writer_jobs *to, struct writer_jobs *from)
{
	struct writer_job *job;

	while ((job = STAILQ_FIRST(from))) {
		STAILQ_REMOVE_HEAD(from, link);
		STAILQ_INSERT_TAIL(to, job, link);
	}
}

static void writer_deliver(void *data)
{
	struct writer *writer = data;
	struct writer_jobs jobs = STAILQ_HEAD_INITIALIZER(jobs);
	struct writer_job *job;
	bool events, commands, tell;
	int error;

	pthread_mutex_lock(&writer->lock);
	writer_move(&jobs, &writer->finished);
	writer->posted = false;
	events = writer->any_events;
	commands = writer->any_commands;
	writer->any_events = writer->any_commands = false;
	error = writer->ready_error;
	tell = !writer->told || error != writer->told_error;
	writer->told = true;
	writer->told_error = error;
	pthread_mutex_unlock(&writer->lock);
	if (tell)
		writer->options.on_ready(writer->options.data, error);
	while ((job = STAILQ_FIRST(&jobs))) {
		STAILQ_REMOVE_HEAD(&jobs, link);
		job->done(job);
	}
	writer->options.on_commit(writer->options.data, events, commands);
}

/* With the lock. */
static void writer_post(struct writer *writer)
{
	if (writer->posted)
		return;
	writer->posted = true;
	rpc_post(writer->options.rpc, writer_deliver, writer);
}

/* ---- the thread ---- */

static uint32_t writer_rows(const struct writer_job *job)
{
	switch (job->write.type) {
	case STORE_BATCH:
		return job->write.batch.count;
	case STORE_COMMAND:
		return (uint32_t)job->write.command.n_hosts;
	case STORE_CAMPAIGN:
		return (uint32_t)job->write.campaign.n_hosts;
	default:
		return 1;
	}
}

/* With the lock: from the front, what fits. Never nothing when something waits. */
static size_t writer_take(struct writer *writer, struct writer_jobs *group)
{
	uint64_t rows = 0, bytes = 0;
	struct writer_job *job;
	size_t n = 0;

	while ((job = STAILQ_FIRST(&writer->waiting)) && n < WRITER_GROUP_JOBS) {
		rows += writer_rows(job);
		bytes += job->bytes;
		if (n > 0 &&
		    (rows > writer->options.group_rows || bytes > writer->options.group_bytes))
			break;
		STAILQ_REMOVE_HEAD(&writer->waiting, link);
		STAILQ_INSERT_TAIL(group, job, link);
		writer->writes[n++] = &job->write;
	}
	return n;
}

static void writer_count_batch(struct metrics *metrics, const struct store_batch *batch)
{
	counter_add(&metrics->events_stored, batch->ret_stored);
	counter_add(&metrics->events_duplicate, batch->ret_duplicates);
	counter_add(&metrics->events_conflicting, batch->ret_conflicts);
	counter_add(&metrics->events_rejected, batch->ret_rejected);
	counter_add(&metrics->audit_lost, batch->ret_audit_lost);
	for (size_t i = 0; i < batch->ret_n_changes; i++)
		counter_add(&metrics->command_changes[batch->ret_changes[i].life & 15], 1);
}

static bool writer_is_command(const struct store_write *write)
{
	return write->type == STORE_COMMAND || write->type == STORE_COMMAND_STATE ||
	       write->type == STORE_CANCEL || write->type == STORE_CAMPAIGN ||
	       write->type == STORE_CAMPAIGN_STATE;
}

/* With the lock. */
static void writer_count(struct writer *writer, struct writer_job *job)
{
	const struct store_write *write = &job->write;

	counter_add(&writer->options.metrics->queue_jobs, (uint64_t)-1);
	counter_add(&writer->options.metrics->queue_bytes, -(uint64_t)job->bytes);
	if (job->error < 0)
		return;
	if (write->type == STORE_BATCH) {
		writer_count_batch(writer->options.metrics, &write->batch);
		writer->any_events |= write->batch.ret_stored > 0;
		writer->any_commands |= write->batch.ret_n_changes > 0;
		writer->unretained_bytes += write->batch.events_size;
	}
	if (writer_is_command(write))
		writer->any_commands = true;
}

static void writer_finish(struct writer *writer, struct writer_jobs *group, int error)
{
	struct writer_job *job;

	pthread_mutex_lock(&writer->lock);
	while ((job = STAILQ_FIRST(group))) {
		STAILQ_REMOVE_HEAD(group, link);
		if (error < 0)
			job->error = error;
		writer_count(writer, job);
		STAILQ_INSERT_TAIL(&writer->finished, job, link);
	}
	writer_post(writer);
	pthread_mutex_unlock(&writer->lock);
}

static void writer_ready(struct writer *writer, int error)
{
	counter_set(&writer->options.metrics->ready, error == 0);
	if (error < 0)
		counter_add(&writer->options.metrics->commit_failures, 1);
	pthread_mutex_lock(&writer->lock);
	if (writer->ready_error != error || !writer->told) {
		writer->ready_error = error;
		writer_post(writer);
	}
	pthread_mutex_unlock(&writer->lock);
}

static int writer_commit(struct writer *writer, struct store_write *const *writes, size_t n)
{
	uint64_t begin = clock_monotonic_ns();
	int r = store_write(writer->store, writes, n);

	if (r == 0) {
		counter_add(&writer->options.metrics->commits, 1);
		counter_add(&writer->options.metrics->commit_ns, clock_monotonic_ns() - begin);
		writer->unsettled = true;
	}
	return r;
}

static void writer_deadline(uint64_t at_ns, struct timespec *ret_time)
{
	ret_time->tv_sec = (time_t)(at_ns / CLOCK_NS_PER_S);
	ret_time->tv_nsec = (long)(at_ns % CLOCK_NS_PER_S);
}

/* Waits for the next try; false: stopping and out of time. */
static bool writer_pause(struct writer *writer, uint64_t pause_ns)
{
	uint64_t until = clock_monotonic_ns() + pause_ns;
	struct timespec time;
	bool go_on;

	pthread_mutex_lock(&writer->lock);
	while (clock_monotonic_ns() < until) {
		if (writer->stop && writer->deadline_ns < until)
			until = writer->deadline_ns;
		writer_deadline(until, &time);
		pthread_cond_timedwait(&writer->wake, &writer->lock, &time);
	}
	go_on = !writer->stop || clock_monotonic_ns() < writer->deadline_ns;
	pthread_mutex_unlock(&writer->lock);
	return go_on;
}

/* Until it is durable. 0; -EINVAL; -ECANCELED. */
static int writer_insist(struct writer *writer, struct store_write *const *writes, size_t n)
{
	uint64_t pause = WRITER_RETRY_MIN_NS;
	int r;

	while ((r = writer_commit(writer, writes, n)) < 0 && r != -EINVAL) {
		writer_ready(writer, r);
		if (!writer_pause(writer, pause))
			return -ECANCELED;
		pause = pause * 2 < WRITER_RETRY_MAX_NS ? pause * 2 : WRITER_RETRY_MAX_NS;
	}
	if (r == 0)
		writer_ready(writer, 0);
	return r;
}

/* One of the group is refused for good: which one? */
static void writer_isolate(struct writer *writer, struct writer_jobs *group)
{
	struct writer_job *job;

	STAILQ_FOREACH (job, group, link) {
		struct store_write *write = &job->write;

		job->error = writer_insist(writer, &write, 1);
	}
}

static void writer_group(struct writer *writer, struct writer_jobs *group, size_t n)
{
	int r = writer_insist(writer, writer->writes, n);

	if (r == -EINVAL) {
		writer_isolate(writer, group);
		r = 0;
	}
	writer_finish(writer, group, r);
}

static void writer_retain(struct writer *writer, uint64_t now)
{
	struct store_retained done = { 0 };
	struct store_retention retention;
	uint64_t bytes;

	pthread_mutex_lock(&writer->lock);
	retention = writer->retention;
	pthread_mutex_unlock(&writer->lock);
	retention.now_unix_ns = clock_realtime_ns();
	/* A failure here shows in the next commit or probe too. */
	if (store_retain(writer->store, &retention, &done) == 0)
		counter_add(&writer->options.metrics->events_retired, done.deleted);
	if (store_size(writer->store, &bytes) == 0)
		counter_set(&writer->options.metrics->store_bytes, bytes);
	writer->retain_more = done.more;
	writer->unretained_bytes = 0;
	writer->next_retain_ns = now + WRITER_RETAIN_NS;
}

static void writer_probe(struct writer *writer, uint64_t now)
{
	struct store_write probe = { .type = STORE_PROBE, .now_unix_ns = clock_realtime_ns() };
	struct store_write *write = &probe;
	int r = writer_commit(writer, &write, 1);

	writer_ready(writer, r);
	writer->unsettled = false; /* not worth a checkpoint */
	writer->next_probe_ns =
		now + (r < 0 ? WRITER_RETRY_MAX_NS : writer->options.probe_interval_ns);
}

static void writer_idle(struct writer *writer)
{
	uint64_t now = clock_monotonic_ns();

	if (writer->unsettled && now >= writer->settle_ns) {
		store_settle(writer->store);
		writer->unsettled = false;
	}
	if (now >= writer->next_probe_ns)
		writer_probe(writer, now);
}

static bool writer_wants_retain(const struct writer *writer, uint64_t now)
{
	return writer->retain_more || now >= writer->next_retain_ns ||
	       writer->unretained_bytes >= WRITER_RETAIN_BYTES;
}

/* With the lock: until there is work or something is due. */
static void writer_wait(struct writer *writer)
{
	uint64_t until = writer->next_probe_ns;
	struct timespec time;

	if (writer->next_retain_ns < until)
		until = writer->next_retain_ns;
	if (writer->unsettled && writer->settle_ns < until)
		until = writer->settle_ns;
	writer_deadline(until, &time);
	while (STAILQ_EMPTY(&writer->waiting) && !writer->stop && !writer->retain_more)
		if (pthread_cond_timedwait(&writer->wake, &writer->lock, &time) == ETIMEDOUT)
			return;
}

static void *writer_main(void *data)
{
	struct writer *writer = data;
	bool stop = false;

	while (!stop) {
		struct writer_jobs group = STAILQ_HEAD_INITIALIZER(group);
		uint64_t now;
		size_t n;

		pthread_mutex_lock(&writer->lock);
		writer_wait(writer);
		stop = writer->stop && (STAILQ_EMPTY(&writer->waiting) ||
					clock_monotonic_ns() >= writer->deadline_ns);
		n = stop ? 0 : writer_take(writer, &group);
		pthread_mutex_unlock(&writer->lock);
		if (stop)
			break;
		if (n > 0)
			writer_group(writer, &group, n);
		else
			writer_idle(writer);
		now = clock_monotonic_ns();
		if (n > 0) {
			writer->settle_ns = now + WRITER_SETTLE_NS;
			writer->next_probe_ns = now + writer->options.probe_interval_ns;
		}
		if (writer_wants_retain(writer, now))
			writer_retain(writer, now);
	}
	return NULL;
}

/* ---- outside ---- */

static int writer_run(struct writer *writer)
{
	sigset_t all, old;
	int r;

	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&writer->thread, NULL, writer_main, writer);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		pthread_setname_np(writer->thread, "store-writer");
	writer->started = r == 0;
	return -r;
}

static struct writer *writer_alloc(const struct writer_options *options)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	pthread_condattr_t attributes;

	if (!writer)
		return NULL;
	writer->options = *options;
	writer->retention = options->retention;
	STAILQ_INIT(&writer->waiting);
	STAILQ_INIT(&writer->finished);
	pthread_mutex_init(&writer->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	return writer;
}

int writer_start(const struct writer_options *options, struct writer **ret_writer,
		 struct errmsg *err)
{
	struct writer *writer = writer_alloc(options);
	int r;

	if (!writer)
		return -ENOMEM;
	r = store_open(options->ops, &options->store, STORE_WRITE, &writer->store, err);
	if (r == 0)
		r = writer_run(writer);
	if (r < 0) {
		writer_free(writer);
		return r;
	}
	*ret_writer = writer;
	return 0;
}

void writer_put(struct writer *writer, struct writer_job *job)
{
	job->error = 0;
	pthread_mutex_lock(&writer->lock);
	counter_add(&writer->options.metrics->queue_jobs, 1);
	counter_add(&writer->options.metrics->queue_bytes, job->bytes);
	STAILQ_INSERT_TAIL(&writer->waiting, job, link);
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->lock);
}

bool writer_is_full(const struct writer *writer)
{
	return counter_get(&writer->options.metrics->queue_bytes) >= writer->options.queue_bytes;
}

bool writer_has_room(const struct writer *writer)
{
	return counter_get(&writer->options.metrics->queue_bytes) < writer->options.queue_bytes / 2;
}

void writer_set_retention(struct writer *writer, const struct store_retention *retention)
{
	pthread_mutex_lock(&writer->lock);
	writer->retention = *retention;
	pthread_mutex_unlock(&writer->lock);
}

void writer_stop(struct writer *writer, uint64_t deadline_ns)
{
	struct writer_jobs rest = STAILQ_HEAD_INITIALIZER(rest);

	if (!writer || !writer->started)
		return;
	pthread_mutex_lock(&writer->lock);
	writer->stop = true;
	writer->deadline_ns = deadline_ns;
	pthread_cond_signal(&writer->wake);
	pthread_mutex_unlock(&writer->lock);
	pthread_join(writer->thread, NULL);
	writer->started = false;
	pthread_mutex_lock(&writer->lock);
	writer_move(&rest, &writer->waiting);
	pthread_mutex_unlock(&writer->lock);
	writer_finish(writer, &rest, -ECANCELED);
}

struct writer *writer_free(struct writer *writer)
{
	if (!writer)
		return NULL;
	writer_stop(writer, 0);
	store_close(writer->store);
	pthread_cond_destroy(&writer->wake);
	pthread_mutex_destroy(&writer->lock);
	free(writer);
	return NULL;
}
