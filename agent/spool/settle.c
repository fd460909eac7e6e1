/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "agent/spool/parts.h"
#include "core/id.h"
#include "pathbell/v1/ingest.pb-c.h"

static bool settle_frees_segment(const struct epoch *epoch, uint64_t old_settled)
{
	const struct segment *segment;

	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
		TAILQ_FOREACH (segment, &epoch->segments[lane], link) {
			if (segment->first_seq > epoch->settled)
				break;
			if (segment->durable_last > old_settled &&
			    segment->durable_last <= epoch->settled)
				return true;
		}
	}
	return false;
}

/* What every known cursor has, counted once: acked or, where it was gone, settled as a tombstone.
 */
void settle_epoch(struct spool *spool, struct epoch *epoch)
{
	uint64_t min = UINT64_MAX, gone, old;

	for (unsigned i = 0; i < SPOOL_MAX_CURSORS; i++)
		if (spool->cursors[i].name[0] != 0 && epoch->acked[i] < min)
			min = epoch->acked[i];
	if (min == UINT64_MAX || min <= epoch->settled)
		return;
	gone = epoch->n_gone ? seqmap_count(&epoch->map, SEQMAP_GONE, epoch->settled + 1, min) : 0;
	old = epoch->settled;
	epoch->n_gone -= gone;
	epoch->settled_gone += gone;
	epoch->settled = min;
	epoch->settled_news = true;
	spool->acked_news = true;
	spool->state_dirty = true;
	memory_release(spool);
	spool->room_news = true;
	if (settle_frees_segment(epoch, old) || epoch != spool_current(spool))
		evict_acked(spool);
	if (!TAILQ_EMPTY(&spool->dying))
		state_submit(spool);
	spool_wake(spool);
}

static bool settle_is_used(const struct spool *spool, const struct epoch *epoch)
{
	const struct spool_waiter *waiter;

	if (epoch->settled < epoch->tail || epoch->settled_news ||
	    (spool->commit.job != NULL && spool->commit.epoch == epoch))
		return true;
	TAILQ_FOREACH (waiter, &spool->waiters, link)
		if (waiter->epoch == epoch)
			return true;
	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
		const struct slab *slab;

		if (TAILQ_FIRST(&epoch->segments[lane]) != NULL)
			return true;
		TAILQ_FOREACH (slab, &spool->slabs[lane], link)
			if (slab->epoch == epoch && slab->last_seq != 0)
				return true;
	}
	return false;
}

static void settle_remove(struct spool *spool, size_t index)
{
	struct epoch *epoch = spool->epochs[index];
	struct segment *segment;

	spool->base_captured += epoch->tail;
	spool->base_gone += epoch->settled_gone;
	TAILQ_FOREACH (segment, &spool->dying, link)
		if (segment->epoch == epoch)
			segment->epoch = NULL;
	for (unsigned i = 0; i < SPOOL_MAX_CURSORS; i++) {
		struct spool_cursor *cursor = &spool->cursors[i];
		unsigned n = 0;

		for (unsigned k = 0; k < cursor->n_resends; k++)
			if (cursor->resends[k].epoch != epoch)
				cursor->resends[n++] = cursor->resends[k];
		cursor->n_resends = n;
	}
	epoch_free(epoch);
	spool->n_epochs--;
	memmove(&spool->epochs[index], &spool->epochs[index + 1],
		(spool->n_epochs - index) * sizeof(spool->epochs[0]));
}

/* Epochs of which nothing is left become numbers in the totals. */
void settle_reap(struct spool *spool)
{
	for (size_t i = 0; i + 1 < spool->n_epochs;) {
		if (settle_is_used(spool, spool->epochs[i]))
			i++;
		else
			settle_remove(spool, i);
	}
}

/* The 65th epoch costs the first what it still had: as tombstones that nobody can be sent any more.
 */
static int settle_make_room(struct spool *spool)
{
	struct epoch *epoch = spool->epochs[0];
	struct segment *segment, *next;
	uint64_t n = epoch->tail - epoch->settled - epoch->n_gone;

	if (spool->n_epochs < SPOOL_MAX_EPOCHS)
		return 0;
	if ((spool->commit.job != NULL && spool->commit.epoch == epoch) ||
	    (spool->migrating != NULL && spool->migrating->epoch == epoch))
		return -EBUSY;
	evict_gone(spool, epoch, n, PATHBELL__V1__GONE_REASON__GONE_REASON_EPOCH_RESET);
	epoch->settled_gone += epoch->n_gone;
	epoch->n_gone = 0;
	epoch->settled = epoch->planned = epoch->durable = epoch->tail;
	memory_release(spool);
	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
		if (spool->active[lane] != NULL && spool->active[lane]->epoch == epoch)
			spool->active[lane] = NULL;
		for (segment = TAILQ_FIRST(&epoch->segments[lane]); segment != NULL;
		     segment = next) {
			next = TAILQ_NEXT(segment, link);
			TAILQ_REMOVE(&epoch->segments[lane], segment, link);
			segment->state = SEGMENT_DYING;
			segment->busy = 0;
			spool->bytes_used -= segment->file_size;
			segment->file_size = 0;
			TAILQ_INSERT_TAIL(&spool->dying, segment, link);
		}
	}
	settle_remove(spool, 0);
	return 0;
}

int settle_begin_epoch(struct spool *spool)
{
	struct epoch *epoch;
	uint8_t id[16];
	int r = spool->n_epochs > 0 ? settle_make_room(spool) : 0;

	if (r < 0)
		return r;
	id_random(id);
	epoch = epoch_new(id);
	if (epoch == NULL)
		return -ENOMEM;
	spool->epochs[spool->n_epochs++] = epoch;
	spool->state_dirty = true;
	settle_reap(spool);
	return 0;
}
