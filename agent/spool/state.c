/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/spool/parts.h"
#include "core/clock.h"
#include "core/id.h"

static void state_fill_epoch(const struct epoch *epoch, uint32_t index, struct slot *slot)
{
	struct slot_epoch *out = &slot->epochs[index];

	memcpy(out->id, epoch->id, 16);
	out->settled = epoch->settled;
	out->settled_gone = epoch->settled_gone;
	out->tail = epoch->durable > epoch->settled ? epoch->durable : epoch->settled;
	for (unsigned k = 0; k < SPOOL_MAX_CURSORS; k++) {
		out->acked[k] = epoch->acked[k];
		/* Degraded: what was never durable may have been offered and acked. */
		if (out->tail < epoch->acked[k])
			out->tail = epoch->acked[k];
	}
	for (unsigned i = 0; i < epoch->n_covers && slot->n_covers < SLOT_MAX_COVERS; i++) {
		const struct epoch_cover *cover = &epoch->covers[i];

		if (cover->last > epoch->settled)
			slot->covers[slot->n_covers++] =
				(struct slot_cover){ index, cover->reason, cover->first,
						     cover->last };
	}
}

static void state_fill(struct spool *spool, struct slot *slot)
{
	memset(slot, 0, sizeof(*slot));
	slot->generation = ++spool->generation;
	slot->next_number = spool->next_number;
	slot->clean = spool->clean;
	memcpy(slot->boot, id_boot(), 16);
	slot->base_captured = spool->base_captured;
	slot->base_gone = spool->base_gone;
	memcpy(slot->gone_by_reason, spool->gone_by_reason, sizeof(slot->gone_by_reason));
	memcpy(slot->cursors, spool->durable_cursors, sizeof(slot->cursors));
	for (unsigned i = 0; i < SPOOL_MAX_CURSORS; i++) {
		memcpy(slot->names[i], spool->cursors[i].name, SLOT_NAME_SIZE);
		if (spool->cursors[i].name[0] != 0)
			slot->n_cursors = i + 1;
	}
	/* Newest first gets the covers, should they not all fit. */
	slot->n_epochs = (uint32_t)spool->n_epochs;
	for (uint32_t i = slot->n_epochs; i-- > 0;)
		state_fill_epoch(spool->epochs[i], i, slot);
}

int state_add(struct spool *spool, struct job *job)
{
	struct slot *slot = malloc(sizeof(*slot));
	uint8_t *bytes = malloc(SLOT_SIZE);
	struct op *op = slot != NULL && bytes != NULL ? job_add(job, OP_STATE) : NULL;

	if (op == NULL) {
		free(slot);
		free(bytes);
		return -ENOMEM;
	}
	state_fill(spool, slot);
	op->size = slot_encode(slot, bytes);
	op->data = op->owned = bytes;
	op->offset = (slot->generation & 1) * SLOT_SIZE;
	op->dir = (uint8_t)(spool->target == SPOOL_DIR_NONE ? SPOOL_DIR_MAIN : spool->target);
	free(slot);
	return 0;
}

void state_forget(struct spool *spool)
{
	struct segment *segment;

	spool->state_job = NULL;
	spool->state_dirty = true;
	TAILQ_FOREACH (segment, &spool->dying, link)
		segment->busy = 0;
}

static void state_done(void *data, struct job *job)
{
	struct segment *segment, *next;
	struct spool *spool = data;

	spool->state_job = NULL;
	spool->syncs += job->n_syncs;
	spool->sync_ns_total += job->sync_ns;
	for (segment = TAILQ_FIRST(&spool->dying); segment != NULL; segment = next) {
		next = TAILQ_NEXT(segment, link);
		if (segment->busy == 0)
			continue;
		segment->busy = 0;
		/* A file that would not go is found and removed by the next start. */
		if (job->n_done == 0)
			continue;
		TAILQ_REMOVE(&spool->dying, segment, link);
		spool->n_segments--;
		segment_free(segment);
	}
	if (job->error != 0) {
		spool->state_dirty = true;
		degrade_on_error(spool, job->error, job->n_done == 0 ? "state" : "unlink");
	}
	job_free(job);
	spool_wake(spool);
}

/* First the state that no longer needs the files, then the files: a crash between leaves files, not
 * holes. */
static int state_add_unlinks(struct spool *spool, struct job *job)
{
	struct segment *segment;
	unsigned dirs = 0;

	TAILQ_FOREACH (segment, &spool->dying, link) {
		struct op *op;

		if (segment->dir == SPOOL_DIR_MAIN && degrade_is_hung(spool))
			continue;
		op = job_add(job, OP_UNLINK);
		if (op == NULL)
			return -ENOMEM;
		op->dir = segment->dir;
		op->lane = segment->lane;
		op->number = segment->number;
		segment->busy = 1;
		dirs |= 1U << segment->dir;
	}
	for (unsigned dir = 0; dir < WRITER_N_DIRS; dir++) {
		struct op *op = dirs & 1U << dir ? job_add(job, OP_DIRSYNC) : NULL;

		if (op != NULL)
			op->dir = (uint8_t)dir;
	}
	return 0;
}

void state_submit(struct spool *spool)
{
	struct job *job;

	if (spool->state_job != NULL || spool->writer == NULL || spool->target == SPOOL_DIR_NONE)
		return;
	job = job_new(state_done, spool);
	if (job == NULL)
		return;
	if (state_add(spool, job) < 0 || state_add_unlinks(spool, job) < 0) {
		job_free(job);
		state_forget(spool);
		return;
	}
	spool->state_job = job;
	spool->state_dirty = false;
	spool->state_ns = clock_monotonic_ns();
	degrade_submit(spool, job);
}
