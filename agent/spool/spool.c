/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool, from append to ack.
 *
 * 1. spool_append gives a record the next seq of the current epoch and copies it, in the very form
 * of the segment files, into the slab of its lane (memory.c, slab.c). seqmap.c notes its lane.
 * 2. Before the loop blocks (a prepare watcher), commit.c turns all that is new into one job for
 * the writer thread (writer.c): create, write, fdatasync, seal. ev_async reports it done; `durable`
 * moves.
 * 3. Forwarders ask spool_cursor_next (cursor.c). It follows seq through both lanes by the seqmap,
 * takes records from memory or, when they left it, from windows of segment files that the writer
 * thread reads (read.c). The live file says what was offered before it is (live.c).
 * 4. spool_cursor_ack moves the cursor; what all cursors have is settled (settle.c) and its
 * segments go once the replay window lets them (evict.c), after the state slots say so (state.c,
 * slot.c).
 * 5. spool_close seals, writes a clean state and keeps the epoch; spool_open reads it all back
 * (recover.c).
 *
 * What is promised. A seq is handed out only when its record is durable, so no seq ever has two
 * contents: after kill -9 everything offered is still there. A record leaves only when all cursors
 * have it or as a tombstone that says why and is counted; the counters obey captured = acked +
 * unacked + tombstoned at every instant.
 *
 * What can go wrong.
 * - A crash: segments without a seal are scanned. Records behind the last that is known to be
 * durable count only as far as they are without holes; the rest is cut away, was never offered and
 * is captured again by its source.
 * - Damage: a record whose CRC fails is lost alone, as a tombstone CORRUPT_RECORD; a bad header or
 * seal costs a scan; bad state slots cost the acked positions, so duplicates (which the receiver
 * drops), never records.
 * - Lost tail, cloned disk, reboot without a clean stop: the epoch cannot prove its numbering, a
 * new one begins; the old one is delivered to its end first.
 * - Full, failing or hanging disk: degrade.c.
 * - Budget or age: whole segments, oldest bulk first, become tombstones (evict.c).
 */
#include "agent/spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "agent/spool/parts.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/file.h"
#include "core/id.h"

#define SPOOL_MIN_SEGMENT ((uint64_t)64 * 1024)
#define SPOOL_MAX_SEGMENT ((uint64_t)256 * 1024 * 1024)
#define SPOOL_MIN_SLAB	  ((size_t)72 * 1024)
#define SPOOL_MAX_SLAB	  ((size_t)256 * 1024)

void spool_wake(struct spool *spool)
{
	if (!ev_is_active(&spool->prepare))
		ev_prepare_start(spool->loop, &spool->prepare);
}

void spool_fire_waiters(struct spool *spool)
{
	struct spool_waiter *waiter, *next;

	for (waiter = TAILQ_FIRST(&spool->waiters); waiter != NULL; waiter = next) {
		next = TAILQ_NEXT(waiter, link);
		if (!spool->degraded && waiter->epoch->durable < waiter->seq)
			continue;
		TAILQ_REMOVE(&spool->waiters, waiter, link);
		spool->n_waiters--;
		waiter->done(waiter->data);
		free(waiter);
		/* The call may have added waiters at the end, never removed one. */
	}
}

static void spool_tell_acked(struct spool *spool)
{
	spool->acked_news = false;
	for (size_t i = 0; i < spool->n_epochs; i++) {
		struct epoch *epoch = spool->epochs[i];
		uint8_t id[16];

		if (!epoch->settled_news)
			continue;
		epoch->settled_news = false;
		memcpy(id, epoch->id, 16);
		if (spool->callbacks.acked != NULL)
			spool->callbacks.acked(spool->callbacks.data, id, epoch->settled);
	}
	settle_reap(spool);
}

static void spool_tell_lost(struct spool *spool)
{
	for (uint32_t reason = 0; reason < 16; reason++) {
		uint64_t n = spool->lost_news[reason];

		spool->lost_news[reason] = 0;
		if (n > 0 && spool->callbacks.lost != NULL)
			spool->callbacks.lost(spool->callbacks.data, n, reason);
	}
}

static void spool_tell(struct spool *spool)
{
	spool_fire_waiters(spool);
	if (spool->degraded_news) {
		spool->degraded_news = false;
		if (spool->callbacks.degraded != NULL)
			spool->callbacks.degraded(spool->callbacks.data, spool->degraded,
						  spool->degraded_reason);
	}
	spool_tell_lost(spool);
	if (spool->acked_news)
		spool_tell_acked(spool);
	if (spool->readable_news && spool->want_readable) {
		spool->want_readable = false;
		if (spool->callbacks.readable != NULL)
			spool->callbacks.readable(spool->callbacks.data);
	}
	spool->readable_news = false;
	if (spool->room_news && spool->want_room && memory_has_room(spool)) {
		spool->want_room = false;
		if (spool->callbacks.room != NULL)
			spool->callbacks.room(spool->callbacks.data);
	}
	spool->room_news = false;
}

static void spool_commit_now(struct spool *spool)
{
	ev_timer_stop(spool->loop, &spool->linger);
	spool->urgent = false;
	if (spool->commit.job == NULL)
		spool->pending_bytes = 0;
	commit_submit(spool);
	evict_arm(spool);
}

static void spool_on_prepare(struct ev_loop *loop, ev_prepare *prepare, int events)
{
	struct spool *spool = prepare->data;

	ev_prepare_stop(loop, prepare);
	spool_tell(spool);
	if (spool->options.linger_ns == 0 || spool->urgent) {
		spool_commit_now(spool);
	} else if (!ev_is_active(&spool->linger) && spool->commit.job == NULL &&
		   commit_is_pending(spool)) {
		ev_timer_set(&spool->linger, (double)spool->options.linger_ns / 1e9, 0.);
		ev_timer_start(loop, &spool->linger);
	}
	/* What callbacks did goes out now too; the loop is about to block. */
	ev_prepare_stop(loop, prepare);
	if (spool->readable_news || spool->degraded_news)
		ev_async_send(loop, &spool->async);
}

static void spool_on_async(struct ev_loop *loop, ev_async *async, int events)
{
	struct spool *spool = async->data;
	struct job *job;

	while (spool->writer != NULL && (job = writer_take_done(spool->writer)) != NULL) {
		spool->n_jobs--;
		spool->readable_news = true;
		job->done(job->data, job);
	}
	if (spool->n_jobs == 0)
		ev_timer_stop(loop, &spool->stall);
	spool_tell(spool);
	/* What gathered behind the last job is company enough. */
	if (!ev_is_active(&spool->linger))
		spool_commit_now(spool);
}

static void spool_on_linger(struct ev_loop *loop, ev_timer *timer, int events)
{
	spool_commit_now(timer->data);
}

static void spool_on_stall(struct ev_loop *loop, ev_timer *timer, int events)
{
	degrade_on_stall(timer->data);
}

static void spool_on_retry(struct ev_loop *loop, ev_timer *timer, int events)
{
	degrade_on_retry(timer->data);
}

static void spool_on_age(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct spool *spool = timer->data;

	evict_by_age(spool);
	evict_arm(spool);
}

static void spool_init_watchers(struct spool *spool)
{
	ev_async_init(&spool->async, spool_on_async);
	ev_prepare_init(&spool->prepare, spool_on_prepare);
	/* Last of all: it sends off what the others appended. */
	ev_set_priority(&spool->prepare, EV_MINPRI);
	ev_timer_init(&spool->linger, spool_on_linger, 0., 0.);
	ev_timer_init(&spool->stall, spool_on_stall, 0., 0.);
	ev_timer_init(&spool->retry, spool_on_retry, 0., 0.);
	ev_timer_init(&spool->age, spool_on_age, 0., 0.);
	spool->async.data = spool->prepare.data = spool->linger.data = spool;
	spool->stall.data = spool->retry.data = spool->age.data = spool;
	ev_async_start(spool->loop, &spool->async);
}

static void spool_stop_watchers(struct spool *spool)
{
	ev_async_stop(spool->loop, &spool->async);
	ev_prepare_stop(spool->loop, &spool->prepare);
	ev_timer_stop(spool->loop, &spool->linger);
	ev_timer_stop(spool->loop, &spool->stall);
	ev_timer_stop(spool->loop, &spool->retry);
	ev_timer_stop(spool->loop, &spool->age);
}

static uint64_t spool_clamp(uint64_t value, uint64_t min, uint64_t max)
{
	return value < min ? min : value > max ? max : value;
}

/* Small budgets make small segments: eight of them at least, or one eviction would take half of
 * all. */
static int spool_copy_options(struct spool *spool, const struct spool_options *options)
{
	struct spool_options *own = &spool->options;

	*own = *options;
	own->dir = strdup(options->dir);
	own->fallback_dir = options->fallback_dir ? strdup(options->fallback_dir) : NULL;
	own->live_path = options->live_path ? strdup(options->live_path) : NULL;
	if (own->dir == NULL || (options->fallback_dir && own->fallback_dir == NULL) ||
	    (options->live_path && own->live_path == NULL))
		return -ENOMEM;
	own->segment_bytes = spool_clamp(own->segment_bytes, SPOOL_MIN_SEGMENT, SPOOL_MAX_SEGMENT);
	own->segment_bytes = spool_clamp(own->segment_bytes, 0, own->max_bytes / 8);
	own->segment_bytes = spool_clamp(own->segment_bytes, SPOOL_MIN_SEGMENT, SPOOL_MAX_SEGMENT);
	if (own->segment_bytes < LAYOUT_HEADER_SIZE + LAYOUT_RECORD_TOTAL)
		own->segment_bytes = LAYOUT_HEADER_SIZE + LAYOUT_RECORD_TOTAL + 4096;
	spool->slab_size =
		(size_t)spool_clamp(own->memory_bytes / 8, SPOOL_MIN_SLAB, SPOOL_MAX_SLAB);
	own->memory_bytes = spool_clamp(own->memory_bytes, spool->slab_size * 4, UINT64_MAX);
	return 0;
}

static int spool_open_dir(const char *path, int *ret_fd, struct errmsg *err)
{
	int r = file_mkdirs(path, 0700);
	int fd = r < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		r = r < 0 ? r : -errno;
		errmsg_set(err, "spool folder %s cannot be used: %s", path, strerror(-r));
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int spool_lock(struct spool *spool, struct errmsg *err)
{
	char text[32] = "";
	ssize_t n;
	int fd = openat(spool->dirfds[SPOOL_DIR_MAIN], "lock",
			O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0) {
		errmsg_set(err, "%s/lock: %s", spool->options.dir, strerror(errno));
		return -errno;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		n = pread(fd, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = 0;
		text[strcspn(text, "\n")] = 0;
		errmsg_set(err, "spool %s is in use by process %s", spool->options.dir,
			   text[0] ? text : "unknown");
		fd_close(fd);
		return -EBUSY;
	}
	spool->lock_fd = fd;
	n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	(void)!ftruncate(fd, 0);
	(void)!pwrite(fd, text, (size_t)n, 0);
	return 0;
}

static struct spool *spool_free(struct spool *spool)
{
	struct spool_waiter *waiter;
	struct segment *segment;

	while ((waiter = TAILQ_FIRST(&spool->waiters)) != NULL) {
		TAILQ_REMOVE(&spool->waiters, waiter, link);
		free(waiter);
	}
	memory_deinit(spool);
	while ((segment = TAILQ_FIRST(&spool->dying)) != NULL) {
		TAILQ_REMOVE(&spool->dying, segment, link);
		segment_free(segment);
	}
	for (size_t i = 0; i < spool->n_epochs; i++)
		epoch_free(spool->epochs[i]);
	for (unsigned i = 0; i < SPOOL_MAX_CURSORS; i++) {
		buf_deinit(&spool->cursors[i].chunk);
		read_release(&spool->cursors[i]);
	}
	for (unsigned i = 0; i < spool->n_orphans; i++)
		writer_unref(spool->orphans[i]);
	free(spool->commit.segments);
	fd_close(spool->live_fd);
	fd_close(spool->lock_fd);
	for (unsigned i = 0; i < WRITER_N_DIRS; i++)
		fd_close(spool->dirfds[i]);
	free((char *)spool->options.dir);
	free((char *)spool->options.fallback_dir);
	free((char *)spool->options.live_path);
	free(spool);
	return NULL;
}

static struct spool *spool_new(struct ev_loop *loop, const struct spool_callbacks *callbacks)
{
	struct spool *spool = calloc(1, sizeof(*spool));

	if (spool == NULL)
		return NULL;
	spool->loop = loop;
	if (callbacks != NULL)
		spool->callbacks = *callbacks;
	for (unsigned i = 0; i < WRITER_N_DIRS; i++)
		spool->dirfds[i] = -1;
	spool->lock_fd = spool->live_fd = -1;
	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++)
		TAILQ_INIT(&spool->slabs[lane]);
	TAILQ_INIT(&spool->dying);
	TAILQ_INIT(&spool->waiters);
	for (unsigned i = 0; i < SPOOL_MAX_CURSORS; i++) {
		spool->cursors[i].spool = spool;
		spool->cursors[i].index = i;
	}
	return spool;
}

int spool_open(struct spool **ret_spool, struct ev_loop *loop, const struct spool_options *options,
	       const struct spool_callbacks *callbacks, struct errmsg *err)
{
	struct spool *spool = spool_new(loop, callbacks);
	int r;

	if (spool == NULL) {
		errmsg_set(err, "out of memory");
		return -ENOMEM;
	}
	r = spool_copy_options(spool, options);
	if (r == 0)
		r = spool_open_dir(spool->options.dir, &spool->dirfds[SPOOL_DIR_MAIN], err);
	if (r == 0 && options->fallback_dir != NULL &&
	    spool_open_dir(options->fallback_dir, &spool->dirfds[SPOOL_DIR_FALLBACK], NULL) < 0)
		spool->dirfds[SPOOL_DIR_FALLBACK] = -1;
	if (r == 0)
		r = spool_lock(spool, err);
	if (r == 0)
		r = recover_run(spool, err);
	if (r == 0) {
		spool_init_watchers(spool);
		r = writer_start(&spool->writer, spool->dirfds, loop, &spool->async);
		if (r < 0) {
			errmsg_set(err, "no writer thread: %s", strerror(-r));
			spool_stop_watchers(spool);
		}
	}
	if (r < 0) {
		spool_free(spool);
		return r;
	}
	if (spool->disk_errors > 0)
		degrade_on_error(spool, -EROFS, "state");
	degrade_migrate(spool);
	evict_acked(spool);
	evict_arm(spool);
	spool_wake(spool);
	*ret_spool = spool;
	return 0;
}

/* Runs what the writer has done until nothing is under way or it is too late. */
static void spool_drain(struct spool *spool, uint64_t deadline_ns)
{
	struct timespec nap = { .tv_nsec = 100000 };

	while (spool->writer != NULL && clock_monotonic_ns() < deadline_ns) {
		spool_on_async(spool->loop, &spool->async, 0);
		if (spool->n_jobs == 0)
			return;
		nanosleep(&nap, NULL);
	}
}

static void spool_close_done(void *data, struct job *job)
{
	job_free(job);
}

/* Seals what is open and writes the state, clean when nothing is left in memory alone. */
static void spool_finish(struct spool *spool)
{
	struct job *job = job_new(spool_close_done, spool);
	int r = 0;

	if (job == NULL)
		return;
	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
		struct segment *segment = spool->active[lane];
		struct op *op = segment != NULL ? job_add(job, OP_SEAL) : NULL;

		if (op == NULL)
			continue;
		op->dir = segment->dir;
		op->lane = segment->lane;
		op->number = segment->number;
		op->offset = segment->size;
		op->data = op->owned = segment_seal(segment, &op->size);
	}
	spool->clean = !commit_is_pending(spool) && spool->target == SPOOL_DIR_MAIN;
	r = state_add(spool, job);
	if (r < 0)
		job_free(job);
	else
		degrade_submit(spool, job);
}

struct spool *spool_close(struct spool *spool, uint64_t deadline_ns)
{
	if (spool == NULL)
		return NULL;
	memset(&spool->callbacks, 0, sizeof(spool->callbacks));
	spool_drain(spool, deadline_ns);
	if (spool->writer != NULL && spool->n_jobs == 0)
		spool_finish(spool);
	spool->writer = writer_stop(spool->writer, deadline_ns, NULL);
	spool_stop_watchers(spool);
	return spool_free(spool);
}

static void spool_put(struct spool *spool, const struct spool_append *append, struct slab *slab)
{
	struct epoch *epoch = spool_current(spool);
	struct layout_record record = { .size = (uint32_t)append->size,
					.source = append->source,
					.lane = (uint8_t)append->lane,
					.type = LAYOUT_TYPE_RECORD,
					.seq = ++epoch->tail,
					.cursor = append->cursor,
					.time_ns = append->now_ns,
					.durable = epoch->durable,
					.payload = append->data };
	size_t total = layout_put_record(slab->data + slab->used, &record, epoch->seed);

	slab->used += total;
	if (slab->first_seq == 0)
		slab->first_seq = record.seq;
	slab->last_seq = record.seq;
	spool->pending_bytes += total;
	if (append->source != 0 && append->cursor > spool->appended_cursors[append->source])
		spool->appended_cursors[append->source] = append->cursor;
}

int spool_append(struct spool *spool, const struct spool_append *append, uint64_t *ret_seq)
{
	struct epoch *epoch = spool_current(spool);
	struct slab *slab;
	int r;

	if (append->size == 0 || append->size > SPOOL_RECORD_MAX)
		return -EMSGSIZE;
	if ((unsigned)append->lane >= SPOOL_N_LANES || append->source > SPOOL_MAX_SOURCES)
		return -EINVAL;
	r = memory_reserve(spool, append->lane, layout_record_total(append->size), &slab);
	if (r == 0)
		r = seqmap_extend(&epoch->map, epoch->tail + 1);
	if (r == 0 && append->lane != SPOOL_LANE_IMPORTANT)
		r = seqmap_set(&epoch->map, SEQMAP_LANE, epoch->tail + 1, epoch->tail + 1, true);
	if (r != 0) {
		spool->want_room = spool->want_room || r == SPOOL_E_FULL;
		return r;
	}
	spool_put(spool, append, slab);
	*ret_seq = epoch->tail;
	if (spool->pending_bytes > spool->slab_size && spool->commit.job == NULL)
		spool_commit_now(spool);
	spool->readable_news = spool->readable_news || spool->degraded;
	spool_wake(spool);
	return 0;
}

uint64_t spool_source_cursor(const struct spool *spool, uint16_t source)
{
	return source <= SPOOL_MAX_SOURCES ? spool->appended_cursors[source] : 0;
}

int spool_sync(struct spool *spool, void (*done)(void *data), void *data)
{
	struct epoch *epoch = spool_current(spool);
	struct spool_waiter *waiter;

	if (spool->degraded || epoch->durable >= epoch->tail) {
		done(data);
		return 0;
	}
	waiter = spool->n_waiters < SPOOL_MAX_WAITERS ? malloc(sizeof(*waiter)) : NULL;
	if (waiter == NULL)
		return -ENOMEM;
	*waiter = (struct spool_waiter){
		.epoch = epoch, .seq = epoch->tail, .done = done, .data = data
	};
	TAILQ_INSERT_TAIL(&spool->waiters, waiter, link);
	spool->n_waiters++;
	spool->urgent = true;
	spool_wake(spool);
	return 0;
}

void spool_stats(const struct spool *spool, struct spool_stats *ret_stats)
{
	const struct epoch *current = spool_current(spool);

	memset(ret_stats, 0, sizeof(*ret_stats));
	ret_stats->captured = spool->base_captured;
	ret_stats->acked = spool->base_captured - spool->base_gone;
	ret_stats->tombstoned = spool->base_gone;
	for (size_t i = 0; i < spool->n_epochs; i++) {
		const struct epoch *epoch = spool->epochs[i];

		ret_stats->captured += epoch->tail;
		ret_stats->acked += epoch->settled - epoch->settled_gone;
		ret_stats->unacked += epoch->tail - epoch->settled - epoch->n_gone;
		ret_stats->tombstoned += epoch->settled_gone + epoch->n_gone;
	}
	memcpy(ret_stats->tombstoned_by_reason, spool->gone_by_reason,
	       sizeof(ret_stats->tombstoned_by_reason));
	ret_stats->durable_seq = current->durable;
	ret_stats->tail_seq = current->tail;
	memcpy(ret_stats->epoch, current->id, 16);
	ret_stats->bytes_used = spool->bytes_used;
	ret_stats->memory_used = spool->memory_used;
	ret_stats->segments = spool->n_segments;
	ret_stats->corrupt_records = spool->corrupt_records;
	ret_stats->syncs = spool->syncs;
	ret_stats->sync_ns_total = spool->sync_ns_total;
	ret_stats->disk_errors = spool->disk_errors;
	ret_stats->degraded = spool->degraded;
	memcpy(ret_stats->degraded_reason, spool->degraded_reason, sizeof(spool->degraded_reason));
}
