/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the disk fails. A first failed job is planned again on new files of the same folder; a
 * second, or a full or read-only disk, moves to the fallback folder; when that fails too there is
 * only memory. A writer that makes no progress is orphaned: it owns what it touches, so nothing
 * waits for it. From then on the spool is degraded: what is only in memory may be offered, and when
 * memory is full the oldest bulk records become tombstones. Every 30 s a probe makes, syncs and
 * removes a segment in the main folder and writes the state there; when that works the spool goes
 * back and copies what the fallback folder holds.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/spool/disk.h"
#include "agent/spool/parts.h"
#include "core/log.h"

bool degrade_is_hung(const struct spool *spool)
{
	return spool->n_orphans > 0;
}

void degrade_submit(struct spool *spool, struct job *job)
{
	spool->n_jobs++;
	writer_submit(spool->writer, job);
	if (spool->options.stall_ns > 0 && !ev_is_active(&spool->stall)) {
		spool->stall_progress = writer_progress(spool->writer);
		spool->stall.repeat = (double)spool->options.stall_ns / 1e9;
		ev_timer_again(spool->loop, &spool->stall);
	}
}

static void degrade_close_active(struct spool *spool)
{
	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
		if (spool->active[lane] != NULL)
			spool->active[lane]->state = SEGMENT_CLOSED;
		spool->active[lane] = NULL;
	}
}

static void degrade_to(struct spool *spool, int dir, const char *reason)
{
	if (dir == SPOOL_DIR_FALLBACK && spool->dirfds[dir] < 0)
		dir = SPOOL_DIR_NONE;
	degrade_close_active(spool);
	spool->target = dir;
	spool->failures = 0;
	spool->degraded_news = spool->degraded_news || !spool->degraded;
	spool->degraded = true;
	snprintf(spool->degraded_reason, sizeof(spool->degraded_reason), "%s", reason);
	spool->readable_news = true;
	spool->room_news = true;
	if (!ev_is_active(&spool->retry)) {
		spool->retry.repeat = disk_retry_s;
		ev_timer_again(spool->loop, &spool->retry);
	}
	spool_wake(spool);
}

/* The replay window is a luxury when the disk is full. */
static bool degrade_give_replay(struct spool *spool)
{
	uint64_t replay_bytes = spool->options.replay_bytes;

	spool->options.replay_bytes = 0;
	evict_acked(spool);
	spool->options.replay_bytes = replay_bytes;
	if (TAILQ_EMPTY(&spool->dying))
		return false;
	state_submit(spool);
	return true;
}

void degrade_on_error(struct spool *spool, int error, const char *what)
{
	bool full = error == -ENOSPC || error == -EDQUOT;
	char reason[128];

	spool->disk_errors++;
	spool->failures++;
	if (full && spool->failures == 1 && spool->target == SPOOL_DIR_MAIN &&
	    degrade_give_replay(spool))
		return;
	if (spool->target == SPOOL_DIR_NONE ||
	    (spool->failures < 2 && !full && error != -EROFS && error != -ENOTDIR))
		return;
	snprintf(reason, sizeof(reason), "%s in %s failed: %s", what,
		 spool->target == SPOOL_DIR_MAIN ? spool->options.dir : spool->options.fallback_dir,
		 log_errno(error));
	degrade_to(spool, spool->target == SPOOL_DIR_MAIN ? SPOOL_DIR_FALLBACK : SPOOL_DIR_NONE,
		   reason);
}

/* A commit went through; in the fallback folder that is no reason to be glad. */
void degrade_done_well(struct spool *spool)
{
	if (spool->target == SPOOL_DIR_MAIN)
		spool->failures = 0;
}

void degrade_on_stall(struct spool *spool)
{
	uint64_t progress;
	char reason[128];

	if (spool->writer == NULL || spool->n_jobs == 0) {
		ev_timer_stop(spool->loop, &spool->stall);
		return;
	}
	progress = writer_progress(spool->writer);
	if (progress != spool->stall_progress) {
		spool->stall_progress = progress;
		return;
	}
	ev_timer_stop(spool->loop, &spool->stall);
	writer_orphan(spool->writer);
	if (spool->n_orphans < SPOOL_MAX_ORPHANS)
		spool->orphans[spool->n_orphans++] = spool->writer;
	else
		writer_unref(spool->writer);
	spool->writer = NULL;
	spool->n_jobs = 0;
	spool->disk_errors++;
	commit_forget(spool);
	state_forget(spool);
	read_forget(spool);
	spool->probe = NULL;
	if (spool->migrating != NULL)
		spool->migrating->busy--;
	spool->migrating = NULL;
	snprintf(reason, sizeof(reason), "the disk of %s did not answer for %.1f s",
		 spool->options.dir, (double)spool->options.stall_ns / 1e9);
	/* Nothing of the hung folder is given to the next writer. A fallback that hangs leaves
	 * memory. */
	if (spool->target == SPOOL_DIR_MAIN && spool->dirfds[SPOOL_DIR_FALLBACK] >= 0) {
		int dirfds[WRITER_N_DIRS] = { -1, spool->dirfds[SPOOL_DIR_FALLBACK] };

		if (writer_start(&spool->writer, dirfds, spool->loop, &spool->async) < 0)
			spool->writer = NULL;
	}
	degrade_to(spool, spool->writer != NULL ? SPOOL_DIR_FALLBACK : SPOOL_DIR_NONE, reason);
}

static void degrade_end(struct spool *spool)
{
	degrade_close_active(spool);
	spool->target = SPOOL_DIR_MAIN;
	spool->failures = 0;
	spool->degraded = false;
	spool->degraded_reason[0] = 0;
	spool->degraded_news = true;
	spool->readable_news = true;
	spool->room_news = true;
	ev_timer_stop(spool->loop, &spool->retry);
	degrade_migrate(spool);
	spool_wake(spool);
}

static void degrade_probe_done(void *data, struct job *job)
{
	struct spool *spool = data;

	spool->probe = NULL;
	if (job->error == 0)
		degrade_end(spool);
	else
		spool->disk_errors++;
	job_free(job);
}

static int degrade_plan_probe(struct spool *spool, struct job *job)
{
	static const enum op_kind kinds[] = { OP_OPENDIR, OP_CREATE, OP_SYNC, OP_UNLINK,
					      OP_DIRSYNC };
	struct layout_header header = { .number = spool->next_number++, .first_seq = 1 };
	int target = spool->target, r;

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct op *op = job_add(job, kinds[i]);

		if (op == NULL)
			return -ENOMEM;
		op->dir = SPOOL_DIR_MAIN;
		op->number = header.number;
		if (kinds[i] == OP_OPENDIR)
			op->data = op->owned = (uint8_t *)strdup(spool->options.dir);
		if (kinds[i] == OP_CREATE) {
			op->size = spool->options.segment_bytes;
			op->data = op->owned = malloc(LAYOUT_HEADER_SIZE);
		}
		if (kinds[i] <= OP_CREATE && op->owned == NULL)
			return -ENOMEM;
		if (kinds[i] == OP_CREATE) {
			memcpy(header.epoch, spool_current(spool)->id, 16);
			layout_put_header(op->owned, &header);
		}
	}
	spool->target = SPOOL_DIR_MAIN;
	r = state_add(spool, job);
	spool->target = target;
	return r;
}

void degrade_on_retry(struct spool *spool)
{
	unsigned n = 0;

	for (unsigned i = 0; i < spool->n_orphans; i++) {
		if (writer_is_finished(spool->orphans[i]))
			writer_unref(spool->orphans[i]);
		else
			spool->orphans[n++] = spool->orphans[i];
	}
	spool->n_orphans = n;
	if (!spool->degraded || spool->probe != NULL || degrade_is_hung(spool))
		return;
	if (spool->writer == NULL) {
		int r = writer_start(&spool->writer, spool->dirfds, spool->loop, &spool->async);

		if (r < 0) {
			spool->writer = NULL;
			return;
		}
	}
	spool->probe = job_new(degrade_probe_done, spool);
	if (spool->probe == NULL)
		return;
	if (degrade_plan_probe(spool, spool->probe) < 0) {
		spool->probe = job_free(spool->probe);
		return;
	}
	degrade_submit(spool, spool->probe);
}

static void degrade_migrated(void *data, struct job *job)
{
	struct spool *spool = data;
	struct segment *segment = spool->migrating;

	spool->migrating = NULL;
	segment->busy--;
	if (job->n_done >= 1) {
		segment->dir = SPOOL_DIR_MAIN;
		degrade_migrate(spool);
	} else {
		degrade_on_error(spool, job->error, "copy");
	}
	job_free(job);
}

static struct segment *degrade_next_to_migrate(const struct spool *spool)
{
	for (size_t i = 0; i < spool->n_epochs; i++) {
		for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
			struct segment *segment;

			TAILQ_FOREACH (segment, &spool->epochs[i]->segments[lane], link)
				if (segment->dir == SPOOL_DIR_FALLBACK && segment->busy == 0 &&
				    segment->state == SEGMENT_CLOSED)
					return segment;
		}
	}
	return NULL;
}

void degrade_migrate(struct spool *spool)
{
	static const enum op_kind kinds[] = { OP_COPY, OP_UNLINK };
	struct segment *segment;
	struct job *job;

	if (spool->migrating != NULL || spool->target != SPOOL_DIR_MAIN || spool->writer == NULL)
		return;
	segment = degrade_next_to_migrate(spool);
	job = segment != NULL ? job_new(degrade_migrated, spool) : NULL;
	if (job == NULL)
		return;
	for (unsigned i = 0; i < 2; i++) {
		struct op *op = job_add(job, kinds[i]);

		if (op == NULL) {
			job_free(job);
			return;
		}
		op->dir = SPOOL_DIR_FALLBACK;
		op->to_dir = SPOOL_DIR_MAIN;
		op->lane = segment->lane;
		op->number = segment->number;
		op->size = (size_t)segment->durable_size;
	}
	segment->busy++;
	spool->migrating = segment;
	degrade_submit(spool, job);
}
