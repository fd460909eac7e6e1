/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/parts.h"
#include "core/clock.h"
#include "pathbell/v1/ingest.pb-c.h"

#define EVICT_MAX_SEGMENTS 8192

void evict_gone(struct spool *spool, struct epoch *epoch, uint64_t n, uint32_t reason)
{
	epoch->n_gone += n;
	spool->gone_by_reason[reason & 15] += n;
	spool->lost_news[reason & 15] += n;
	spool->state_dirty = true;
	spool_wake(spool);
}

static void evict_kill(struct spool *spool, struct segment *segment)
{
	struct epoch *epoch = segment->epoch;

	TAILQ_REMOVE(&epoch->segments[segment->lane], segment, link);
	segment->state = SEGMENT_DYING;
	spool->bytes_used -= segment->file_size;
	segment->file_size = 0;
	TAILQ_INSERT_TAIL(&spool->dying, segment, link);
	spool->state_dirty = true;
}

static bool evict_may(const struct segment *segment)
{
	return segment->state == SEGMENT_CLOSED && segment->busy == 0;
}

/* What every cursor has, oldest first. */
static struct segment *evict_oldest(struct spool *spool, unsigned lane, bool settled)
{
	struct segment *best = NULL;

	for (size_t i = 0; i < spool->n_epochs; i++) {
		struct segment *segment;

		TAILQ_FOREACH (segment, &spool->epochs[i]->segments[lane], link) {
			bool is_settled = segment->durable_last <= segment->epoch->settled;

			if (!evict_may(segment) || (settled && !is_settled))
				continue;
			if (best == NULL || segment->number < best->number)
				best = segment;
			break;
		}
	}
	return best;
}

static bool evict_tombstone(struct spool *spool, struct segment *segment, uint32_t reason)
{
	struct epoch *epoch = segment->epoch;
	uint64_t first = segment->first_seq, n;

	if (first <= epoch->settled)
		first = epoch->settled + 1;
	if (first <= segment->durable_last) {
		if (seqmap_drop_lane(&epoch->map, segment->lane, first, segment->durable_last, &n) <
		    0)
			return false;
		epoch_cover(epoch, first, segment->durable_last, reason);
		evict_gone(spool, epoch, n, reason);
		spool->readable_news = true;
	}
	evict_kill(spool, segment);
	return true;
}

void evict_for(struct spool *spool, uint64_t more_bytes)
{
	struct segment *segment;

	while (spool->bytes_used + more_bytes > spool->options.max_bytes ||
	       spool->n_segments >= EVICT_MAX_SEGMENTS) {
		segment = evict_oldest(spool, SPOOL_LANE_BULK, true);
		if (segment == NULL)
			segment = evict_oldest(spool, SPOOL_LANE_IMPORTANT, true);
		if (segment == NULL)
			segment = evict_oldest(spool, SPOOL_LANE_BULK, false);
		if (segment == NULL)
			segment = evict_oldest(spool, SPOOL_LANE_IMPORTANT, false);
		if (segment == NULL ||
		    !evict_tombstone(spool, segment,
				     PATHBELL__V1__GONE_REASON__GONE_REASON_SPOOL_BUDGET))
			return;
	}
}

static uint64_t evict_age(const struct segment *segment)
{
	uint64_t now = clock_boottime_ns();

	return segment->known_age_ns +
	       (now > segment->known_boot_ns ? now - segment->known_boot_ns : 0);
}

/* Newest first fill the window of *left bytes; all that is older than the first that does not fit
 * goes. */
static void evict_acked_lane(struct spool *spool, struct segment_list *list, uint64_t *left)
{
	struct segment *segment, *prev;

	for (segment = TAILQ_LAST(list, segment_list); segment != NULL; segment = prev) {
		prev = TAILQ_PREV(segment, segment_list, link);
		if (!evict_may(segment) || segment->durable_last > segment->epoch->settled)
			continue;
		if (segment->file_size <= *left &&
		    evict_age(segment) <= spool->options.replay_age_ns) {
			*left -= segment->file_size;
		} else {
			*left = 0;
			evict_kill(spool, segment);
		}
	}
}

void evict_acked(struct spool *spool)
{
	uint64_t left = spool->options.replay_bytes;

	for (size_t i = spool->n_epochs; i-- > 0;)
		for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++)
			evict_acked_lane(spool, &spool->epochs[i]->segments[lane], &left);
	for (size_t i = 0; i < spool->n_epochs; i++)
		seqmap_trim(&spool->epochs[i]->map, epoch_oldest(spool->epochs[i]));
	settle_reap(spool);
}

void evict_by_age(struct spool *spool)
{
	if (spool->options.max_age_ns == 0)
		return;
	for (size_t i = 0; i < spool->n_epochs; i++) {
		for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
			struct segment *segment, *next;

			for (segment = TAILQ_FIRST(&spool->epochs[i]->segments[lane]);
			     segment != NULL; segment = next) {
				next = TAILQ_NEXT(segment, link);
				if (segment->busy != 0 || segment->durable_last == 0 ||
				    segment->durable_last <= segment->epoch->settled ||
				    evict_age(segment) < spool->options.max_age_ns)
					continue;
				if (spool->active[lane] == segment)
					spool->active[lane] = NULL;
				segment->state = SEGMENT_CLOSED;
				evict_tombstone(spool, segment,
						PATHBELL__V1__GONE_REASON__GONE_REASON_SPOOL_AGE);
			}
		}
	}
	if (!TAILQ_EMPTY(&spool->dying))
		state_submit(spool);
}

/* A timer only while something unacked can grow too old. */
void evict_arm(struct spool *spool)
{
	uint64_t left = UINT64_MAX;

	if (spool->options.max_age_ns == 0)
		return;
	for (size_t i = 0; i < spool->n_epochs; i++) {
		for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
			struct segment *segment;

			TAILQ_FOREACH (segment, &spool->epochs[i]->segments[lane], link) {
				uint64_t age = evict_age(segment), rest = 0;

				if (segment->durable_last <= segment->epoch->settled)
					continue;
				if (age < spool->options.max_age_ns)
					rest = spool->options.max_age_ns - age;
				left = rest < left ? rest : left;
				break;
			}
		}
	}
	if (left == UINT64_MAX)
		return;
	if (!ev_is_active(&spool->age)) {
		ev_timer_set(&spool->age, (double)left / 1e9 + 0.001, 0.);
		ev_timer_start(spool->loop, &spool->age);
	}
}
