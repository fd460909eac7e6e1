/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/epoch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pathbell/v1/ingest.pb-c.h"

#define EPOCH_MAX_COVERS   (SLOT_MAX_COVERS / 4)
#define SEGMENT_MARK_EVERY ((uint64_t)128 * 1024)

struct epoch *epoch_new(const uint8_t id[16])
{
	struct epoch *epoch = calloc(1, sizeof(*epoch));

	if (epoch == NULL)
		return NULL;
	memcpy(epoch->id, id, 16);
	epoch->seed = layout_seed(id);
	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++)
		TAILQ_INIT(&epoch->segments[lane]);
	return epoch;
}

struct epoch *epoch_free(struct epoch *epoch)
{
	struct segment *segment;

	if (epoch == NULL)
		return NULL;
	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
		while ((segment = TAILQ_FIRST(&epoch->segments[lane])) != NULL) {
			TAILQ_REMOVE(&epoch->segments[lane], segment, link);
			segment_free(segment);
		}
	}
	seqmap_deinit(&epoch->map);
	free(epoch);
	return NULL;
}

/* The two with the least space between become one, of the wider one's reason. */
static void epoch_join_covers(struct epoch *epoch)
{
	struct epoch_cover *best = NULL;
	unsigned n = epoch->n_covers;

	for (unsigned i = 0; i + 1 < n; i++) {
		struct epoch_cover *cover = &epoch->covers[i];

		if (best == NULL || cover[1].first - cover[0].last < best[1].first - best[0].last)
			best = cover;
	}
	if (best == NULL)
		return;
	if (best[1].last - best[1].first > best[0].last - best[0].first)
		best->reason = best[1].reason;
	if (best[1].last > best->last)
		best->last = best[1].last;
	memmove(best + 1, best + 2, (size_t)(epoch->covers + n - (best + 2)) * sizeof(*best));
	epoch->n_covers--;
}

void epoch_cover(struct epoch *epoch, uint64_t first, uint64_t last, uint32_t reason)
{
	unsigned at = 0;

	for (unsigned i = 0; i < epoch->n_covers; i++) {
		struct epoch_cover *cover = &epoch->covers[i];

		if (cover->reason == reason && first <= cover->last + 1 &&
		    last + 1 >= cover->first) {
			cover->first = first < cover->first ? first : cover->first;
			cover->last = last > cover->last ? last : cover->last;
			return;
		}
	}
	if (epoch->n_covers == EPOCH_MAX_COVERS)
		epoch_join_covers(epoch);
	while (at < epoch->n_covers && epoch->covers[at].first <= first)
		at++;
	memmove(&epoch->covers[at + 1], &epoch->covers[at],
		(epoch->n_covers - at) * sizeof(epoch->covers[0]));
	epoch->covers[at] = (struct epoch_cover){ first, last, reason };
	epoch->n_covers++;
}

uint32_t epoch_reason(const struct epoch *epoch, uint64_t seq)
{
	const struct epoch_cover *best = NULL;

	for (unsigned i = 0; i < epoch->n_covers; i++) {
		const struct epoch_cover *cover = &epoch->covers[i];

		if (seq >= cover->first && seq <= cover->last &&
		    (best == NULL || cover->last - cover->first < best->last - best->first))
			best = cover;
	}
	if (best != NULL)
		return best->reason;
	return seq <= epoch->settled ? PATHBELL__V1__GONE_REASON__GONE_REASON_SPOOL_AGE
				     : PATHBELL__V1__GONE_REASON__GONE_REASON_CORRUPT_RECORD;
}

uint64_t epoch_oldest(const struct epoch *epoch)
{
	uint64_t oldest = epoch->settled + 1;

	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
		const struct segment *segment = TAILQ_FIRST(&epoch->segments[lane]);

		if (segment != NULL && segment->durable_last != 0 && segment->first_seq < oldest)
			oldest = segment->first_seq;
	}
	return oldest;
}

struct segment *segment_new(struct epoch *epoch, uint64_t number, unsigned lane, unsigned dir)
{
	struct segment *segment = calloc(1, sizeof(*segment));

	if (segment == NULL)
		return NULL;
	segment->epoch = epoch;
	segment->number = number;
	segment->lane = (uint8_t)lane;
	segment->dir = (uint8_t)dir;
	segment->size = LAYOUT_HEADER_SIZE;
	segment->runs.max = LAYOUT_SEAL_MAX - LAYOUT_SEAL_FIXED - 64;
	return segment;
}

struct segment *segment_free(struct segment *segment)
{
	if (segment == NULL)
		return NULL;
	buf_deinit(&segment->runs);
	free(segment->marks);
	free(segment);
	return NULL;
}

void segment_insert(struct segment *segment)
{
	struct segment_list *list = &segment->epoch->segments[segment->lane];
	struct segment *other;

	TAILQ_FOREACH_REVERSE(other, list, segment_list, link)
	{
		if (other->first_seq <= segment->first_seq) {
			TAILQ_INSERT_AFTER(list, other, segment, link);
			return;
		}
	}
	TAILQ_INSERT_HEAD(list, segment, link);
}

static void segment_put_varint(struct segment *segment, uint64_t value)
{
	uint8_t bytes[10];
	size_t n = 0;

	do {
		bytes[n++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
		value >>= 7;
	} while (value != 0);
	/* Full, or no memory: remembered as too large, then there is no seal. */
	if (segment->runs.max != 0 && buf_append(&segment->runs, bytes, n) < 0)
		segment->runs.max = 0;
}

static int segment_mark(struct segment *segment, uint64_t seq)
{
	size_t n = segment->n_marks;
	struct segment_mark *marks;

	if (n > 0 && segment->size - segment->marks[n - 1].offset < SEGMENT_MARK_EVERY)
		return 0;
	if ((n & (n - 1)) == 0) {
		marks = realloc(segment->marks, (n ? n * 2 : 1) * sizeof(*marks));
		if (marks == NULL)
			return -ENOMEM;
		segment->marks = marks;
	}
	segment->marks[segment->n_marks++] = (struct segment_mark){ seq, segment->size };
	return 0;
}

int segment_add(struct segment *segment, const struct layout_record *record, size_t total)
{
	int r = segment_mark(segment, record->seq);

	if (r < 0)
		return r;
	if (segment->last_seq == 0) {
		segment->first_seq = record->seq;
		segment->oldest_ns = segment->newest_ns = record->time_ns;
	} else if (record->seq != segment->last_seq + 1) {
		segment_put_varint(segment, segment->run);
		segment_put_varint(segment, record->seq - segment->last_seq - 1);
		segment->run = 0;
	}
	segment->run++;
	segment->n_records++;
	segment->last_seq = record->seq;
	segment->size += total;
	if (record->time_ns < segment->oldest_ns)
		segment->oldest_ns = record->time_ns;
	if (record->time_ns > segment->newest_ns)
		segment->newest_ns = record->time_ns;
	if (record->cursor > segment->cursors[record->source])
		segment->cursors[record->source] = record->cursor;
	if (record->durable > segment->max_durable)
		segment->max_durable = record->durable;
	return 0;
}

uint8_t *segment_seal(struct segment *segment, size_t *ret_size)
{
	struct layout_seal seal = { .first_seq = segment->first_seq,
				    .last_seq = segment->last_seq,
				    .n_records = segment->n_records,
				    .end = segment->size,
				    .oldest_ns = segment->oldest_ns,
				    .newest_ns = segment->newest_ns,
				    .durable = segment->max_durable };
	struct layout_record record = { .type = LAYOUT_TYPE_SEAL,
					.lane = segment->lane,
					.seq = segment->last_seq,
					.time_ns = segment->newest_ns };
	uint8_t *payload, *out;

	if (segment->last_seq == 0)
		return NULL;
	segment_put_varint(segment, segment->run);
	if (segment->runs.max == 0)
		return NULL;
	memcpy(seal.cursors, segment->cursors, sizeof(seal.cursors));
	record.size = (uint32_t)(LAYOUT_SEAL_FIXED + segment->runs.size);
	payload = malloc(record.size);
	out = malloc(layout_record_total(record.size) + LAYOUT_TRAILER_SIZE);
	if (payload != NULL && out != NULL) {
		size_t total;

		layout_put_seal_fixed(payload, &seal);
		memcpy(payload + LAYOUT_SEAL_FIXED, segment->runs.data, segment->runs.size);
		record.payload = payload;
		total = layout_put_record(out, &record, segment->epoch->seed);
		layout_put_trailer(out + total, segment->size);
		*ret_size = total + LAYOUT_TRAILER_SIZE;
	} else {
		free(out);
		out = NULL;
	}
	free(payload);
	return out;
}

struct segment *segment_find(const struct epoch *epoch, unsigned lane, uint64_t seq)
{
	struct segment *segment;

	/* A backlog is read from its old end, where this finds at once. */
	TAILQ_FOREACH (segment, &epoch->segments[lane], link) {
		if (segment->first_seq > seq)
			break;
		if (seq <= segment->durable_last)
			return segment;
	}
	return NULL;
}

uint64_t segment_offset(const struct segment *segment, uint64_t seq, uint64_t *ret_passed)
{
	size_t low = 0, high = segment->n_marks;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (segment->marks[mid].seq <= seq)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_passed = low > 0 ? segment->marks[low - 1].seq - 1 : 0;
	return low > 0 ? segment->marks[low - 1].offset : LAYOUT_HEADER_SIZE;
}
