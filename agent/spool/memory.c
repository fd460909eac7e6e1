/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "agent/spool/parts.h"
#include "pathbell/v1/ingest.pb-c.h"

static bool memory_is_durable(const struct slab *slab)
{
	return slab->last_seq <= slab->epoch->durable;
}

static void memory_forget_hints(struct spool *spool, unsigned lane, const struct slab *slab)
{
	if (spool->plan_slab[lane] == slab)
		spool->plan_slab[lane] = NULL;
	for (unsigned i = 0; i < SPOOL_MAX_CURSORS; i++)
		if (spool->cursors[i].hint_slab[lane] == slab)
			spool->cursors[i].hint_slab[lane] = NULL;
}

/* Takes the slab out of the ring; a job may hold it on. */
static void memory_drop(struct spool *spool, unsigned lane, struct slab *slab)
{
	TAILQ_REMOVE(&spool->slabs[lane], slab, link);
	spool->memory_used -= slab->capacity;
	memory_forget_hints(spool, lane, slab);
	slab_unref(slab);
}

/* The oldest slab that is on disk already: only a cache. */
static bool memory_drop_cached(struct spool *spool)
{
	unsigned best = SPOOL_N_LANES;

	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
		struct slab *slab = TAILQ_FIRST(&spool->slabs[lane]);

		if (slab == NULL || slab->last_seq == 0 || !memory_is_durable(slab))
			continue;
		if (best == SPOOL_N_LANES ||
		    slab->first_seq < TAILQ_FIRST(&spool->slabs[best])->first_seq)
			best = lane;
	}
	if (best == SPOOL_N_LANES)
		return false;
	memory_drop(spool, best, TAILQ_FIRST(&spool->slabs[best]));
	return true;
}

/* The disk is away and memory is full: oldest bulk records first. */
static bool memory_drop_lost(struct spool *spool)
{
	for (unsigned n = 0; n < SPOOL_N_LANES; n++) {
		unsigned lane = SPOOL_N_LANES - 1 - n;
		struct slab *slab = TAILQ_FIRST(&spool->slabs[lane]);
		struct epoch *epoch;
		uint64_t first, lost;

		if (slab == NULL || slab->last_seq == 0)
			continue;
		epoch = slab->epoch;
		first = slab->first_seq > epoch->durable ? slab->first_seq : epoch->durable + 1;
		if (first <= epoch->settled)
			first = epoch->settled + 1;
		if (seqmap_drop_lane(&epoch->map, lane, first, slab->last_seq, &lost) < 0)
			return false;
		if (lost > 0) {
			epoch_cover(epoch, first, slab->last_seq,
				    PATHBELL__V1__GONE_REASON__GONE_REASON_DISK_ERROR);
			evict_gone(spool, epoch, lost,
				   PATHBELL__V1__GONE_REASON__GONE_REASON_DISK_ERROR);
		}
		memory_drop(spool, lane, slab);
		return true;
	}
	return false;
}

bool memory_has_room(const struct spool *spool)
{
	if (spool->memory_used + spool->slab_size <= spool->options.memory_bytes ||
	    spool->target == SPOOL_DIR_NONE)
		return true;
	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
		const struct slab *slab = TAILQ_FIRST(&spool->slabs[lane]);

		if (slab != NULL && slab->last_seq != 0 && memory_is_durable(slab))
			return true;
	}
	return false;
}

int memory_reserve(struct spool *spool, unsigned lane, size_t total, struct slab **ret_slab)
{
	struct slab *slab = TAILQ_LAST(&spool->slabs[lane], slab_list);
	struct epoch *epoch = spool_current(spool);

	if (slab != NULL && (slab->epoch == epoch || slab->last_seq == 0) &&
	    slab->capacity - slab->used >= total) {
		slab->epoch = epoch;
		*ret_slab = slab;
		return 0;
	}
	while (spool->memory_used + spool->slab_size > spool->options.memory_bytes) {
		if (memory_drop_cached(spool))
			continue;
		/* While some folder takes records there will be room. */
		if (spool->target != SPOOL_DIR_NONE || !memory_drop_lost(spool))
			return SPOOL_E_FULL;
	}
	slab = slab_new(spool->slab_size, epoch);
	if (slab == NULL)
		return memory_drop_cached(spool) ? SPOOL_E_FULL : -ENOMEM;
	TAILQ_INSERT_TAIL(&spool->slabs[lane], slab, link);
	spool->memory_used += slab->capacity;
	*ret_slab = slab;
	return 0;
}

/* The last slab of a lane stays for the next record: a quiet host allocates nothing for an event.
 */
static bool memory_reuse(struct spool *spool, unsigned lane, struct slab *slab)
{
	if (TAILQ_NEXT(slab, link) != NULL ||
	    atomic_load_explicit(&slab->refs, memory_order_acquire) != 1)
		return false;
	memory_forget_hints(spool, lane, slab);
	slab->used = 0;
	slab->first_seq = slab->last_seq = 0;
	return true;
}

void memory_release(struct spool *spool)
{
	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
		struct slab *slab;

		while ((slab = TAILQ_FIRST(&spool->slabs[lane])) != NULL) {
			if (slab->last_seq == 0 || !memory_is_durable(slab) ||
			    slab->last_seq > slab->epoch->settled)
				break;
			if (memory_reuse(spool, lane, slab))
				break;
			memory_drop(spool, lane, slab);
		}
	}
}

const uint8_t *memory_find(struct spool_cursor *cursor, const struct epoch *epoch, unsigned lane,
			   uint64_t seq)
{
	struct spool *spool = cursor->spool;
	struct slab *slab = cursor->hint_slab[lane];
	struct layout_record record;
	size_t hint = 0;

	if (slab != NULL && slab->epoch == epoch && slab->first_seq <= seq &&
	    seq <= slab->last_seq) {
		layout_peek_record(slab->data + cursor->hint_offset[lane], &record);
		hint = record.seq <= seq ? cursor->hint_offset[lane] : 0;
	} else {
		TAILQ_FOREACH (slab, &spool->slabs[lane], link) {
			if (slab->epoch == epoch && slab->first_seq <= seq && seq <= slab->last_seq)
				break;
		}
		if (slab == NULL)
			return NULL;
	}
	hint = slab_seek(slab, seq, hint);
	if (hint >= slab->used)
		return NULL;
	cursor->hint_slab[lane] = slab;
	cursor->hint_offset[lane] = hint;
	layout_peek_record(slab->data + hint, &record);
	return record.seq == seq ? slab->data + hint : NULL;
}

void memory_deinit(struct spool *spool)
{
	struct slab *slab;

	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++)
		while ((slab = TAILQ_FIRST(&spool->slabs[lane])) != NULL)
			memory_drop(spool, lane, slab);
}
