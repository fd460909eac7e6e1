/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "agent/spool/parts.h"
#include "core/crc32c.h"
#include "pathbell/v1/ingest.pb-c.h"
#include "proto/codec.h"

#define CURSOR_CHUNK_KEEP ((size_t)256 * 1024)

static struct epoch *cursor_epoch(const struct spool *spool, const uint8_t id[16])
{
	for (size_t i = 0; i < spool->n_epochs; i++)
		if (memcmp(spool->epochs[i]->id, id, 16) == 0)
			return spool->epochs[i];
	return NULL;
}

bool spool_is_gone(const struct spool *spool, const uint8_t id[16], uint64_t seq)
{
	const struct epoch *epoch = cursor_epoch(spool, id);

	return epoch == NULL || seqmap_get(&epoch->map, SEQMAP_GONE, seq);
}

int spool_cursor_open(struct spool *spool, const char *name, struct spool_cursor **ret_cursor)
{
	struct spool_cursor *cursor = NULL;

	if (name[0] == 0 || strlen(name) >= SLOT_NAME_SIZE)
		return -EINVAL;
	for (unsigned i = 0; i < SPOOL_MAX_CURSORS; i++) {
		struct spool_cursor *other = &spool->cursors[i];

		if (strcmp(other->name, name) == 0) {
			cursor = other;
			break;
		}
		if (other->name[0] == 0 && cursor == NULL)
			cursor = other;
	}
	if (cursor == NULL)
		return -ENOSPC;
	if (cursor->open)
		return -EBUSY;
	if (cursor->name[0] == 0) {
		strcpy(cursor->name, name);
		/* What the others have all acked may be gone: a newcomer begins behind it. */
		for (size_t i = 0; i < spool->n_epochs; i++)
			spool->epochs[i]->acked[cursor->index] = spool->epochs[i]->settled;
		spool->state_dirty = true;
	}
	cursor->open = true;
	spool_cursor_rewind(cursor);
	*ret_cursor = cursor;
	return 0;
}

void spool_cursor_close(struct spool_cursor *cursor)
{
	if (cursor == NULL)
		return;
	cursor->open = false;
	cursor->n_resends = 0;
	buf_deinit(&cursor->chunk);
	read_release(cursor);
}

/* The last seq that may be handed out. */
static uint64_t cursor_limit(const struct spool *spool, const struct epoch *epoch)
{
	return spool->degraded ? epoch->tail : epoch->durable;
}

static void cursor_tombstone(struct epoch *epoch, uint64_t first, uint64_t last, uint32_t reason,
			     struct spool_chunk *ret_chunk)
{
	memset(ret_chunk, 0, sizeof(*ret_chunk));
	memcpy(ret_chunk->epoch, epoch->id, 16);
	ret_chunk->first_seq = first;
	ret_chunk->last_seq = last;
	ret_chunk->gone_reason = reason;
}

/* A hole at @first: as far as it goes with one reason. */
static void cursor_hole(struct epoch *epoch, uint64_t first, uint64_t limit,
			struct spool_chunk *ret_chunk)
{
	uint64_t oldest = epoch_oldest(epoch), last;
	uint32_t reason = epoch_reason(epoch, first);

	if (first < oldest) {
		last = oldest - 1 < limit ? oldest - 1 : limit;
		cursor_tombstone(epoch, first, last,
				 PATHBELL__V1__GONE_REASON__GONE_REASON_SPOOL_AGE, ret_chunk);
		return;
	}
	last = seqmap_run(&epoch->map, SEQMAP_GONE, first, limit);
	for (unsigned i = 0; i < epoch->n_covers; i++) {
		const struct epoch_cover *cover = &epoch->covers[i];

		/* Cut where another reason may begin or this one ends. */
		if (cover->first > first && cover->first <= last)
			last = cover->first - 1;
		if (cover->last >= first && cover->last < last)
			last = cover->last;
	}
	if (first <= epoch->settled && last > epoch->settled)
		last = epoch->settled;
	cursor_tombstone(epoch, first, last, reason, ret_chunk);
}

static bool cursor_is_hole(const struct epoch *epoch, uint64_t seq)
{
	return seqmap_get(&epoch->map, SEQMAP_GONE, seq) ||
	       (seq <= epoch->settled && seq < epoch_oldest(epoch));
}

static bool cursor_put(struct buf *chunk, const struct layout_record *record, size_t max_bytes)
{
	size_t framed = codec_framed_size(record->size);
	uint8_t *out;

	if (chunk->size > 0 && chunk->size + framed > max_bytes)
		return false;
	if (buf_reserve(chunk, framed) < 0)
		return false;
	out = codec_put_frame(chunk->data + chunk->size, record->size);
	memcpy(out, record->payload, record->size);
	chunk->size += framed;
	return true;
}

struct cursor_want {
	uint64_t first, limit;
	size_t max_bytes;
	uint32_t max_records;
};

/* Appends records to the chunk; returns the seq behind the last, *ret_r why it ended. */
static uint64_t cursor_take(struct spool_cursor *cursor, struct epoch *epoch,
			    const struct cursor_want *want, int *ret_r)
{
	uint64_t limit = want->limit, seq;
	struct layout_record record;

	if (want->max_records > 0 && limit - want->first >= want->max_records)
		limit = want->first + want->max_records - 1;
	for (seq = want->first; seq <= limit; seq++) {
		if (cursor_is_hole(epoch, seq))
			break;
		*ret_r = read_record(cursor, epoch, seq, &record);
		if (*ret_r != 0 || !cursor_put(&cursor->chunk, &record, want->max_bytes))
			break;
	}
	return seq;
}

/* 0: records, or a tombstone; SPOOL_E_PENDING. */
static int cursor_gather(struct spool_cursor *cursor, struct epoch *epoch,
			 const struct cursor_want *want, struct spool_chunk *ret_chunk)
{
	uint64_t first = want->first, seq;
	int r = 0;

	buf_reset(&cursor->chunk);
	if (cursor->chunk.capacity > CURSOR_CHUNK_KEEP && want->max_bytes < CURSOR_CHUNK_KEEP)
		buf_deinit(&cursor->chunk);
	seq = cursor_take(cursor, epoch, want, &r);
	if (seq == first && r == READ_E_PENDING)
		return SPOOL_E_PENDING;
	if (seq == first && cursor_is_hole(epoch, first)) {
		cursor_hole(epoch, first, want->limit, ret_chunk);
		return 0;
	}
	if (seq == first) { /* no memory for one record: the next round tries again */
		cursor->spool->readable_news = true;
		spool_wake(cursor->spool);
		return SPOOL_E_PENDING;
	}
	cursor_tombstone(epoch, first, seq - 1, 0, ret_chunk);
	ret_chunk->count = (uint32_t)(seq - first);
	ret_chunk->data = cursor->chunk.data;
	ret_chunk->size = cursor->chunk.size;
	ret_chunk->crc32c = crc32c(0, ret_chunk->data, ret_chunk->size);
	return 0;
}

static int cursor_next_resend(struct spool_cursor *cursor, size_t max_bytes, uint32_t max_records,
			      struct spool_chunk *ret_chunk)
{
	struct spool_resend *resend = &cursor->resends[0];
	struct cursor_want want = { resend->next, resend->last, max_bytes, max_records };
	int r = cursor_gather(cursor, resend->epoch, &want, ret_chunk);

	if (r != 0)
		return r;
	resend->next = ret_chunk->last_seq + 1;
	if (resend->next > resend->last)
		memmove(resend, resend + 1, --cursor->n_resends * sizeof(*resend));
	return 0;
}

int spool_cursor_next(struct spool_cursor *cursor, size_t max_bytes, uint32_t max_records,
		      struct spool_chunk *ret_chunk)
{
	struct spool *spool = cursor->spool;
	int r = SPOOL_E_EMPTY;

	if (cursor->n_resends > 0)
		r = cursor_next_resend(cursor, max_bytes, max_records, ret_chunk);
	for (size_t i = 0; r == SPOOL_E_EMPTY && i < spool->n_epochs; i++) {
		struct epoch *epoch = spool->epochs[i];
		struct cursor_want want = { epoch->sent[cursor->index] + 1,
					    cursor_limit(spool, epoch), max_bytes, max_records };

		if (want.first <= want.limit) {
			r = cursor_gather(cursor, epoch, &want, ret_chunk);
			if (r == 0) {
				epoch->sent[cursor->index] = ret_chunk->last_seq;
				live_offer(spool, epoch, ret_chunk->last_seq);
			}
		} else if (want.first <= epoch->tail) {
			break; /* an old epoch goes out to its end first */
		}
	}
	if (r != 0)
		spool->want_readable = true;
	if (r == SPOOL_E_EMPTY)
		read_release(cursor);
	return r;
}

static void cursor_acked(struct spool_cursor *cursor, struct epoch *epoch, uint64_t seq)
{
	if (seq <= epoch->acked[cursor->index])
		return;
	epoch->acked[cursor->index] = seq;
	cursor->spool->state_dirty = true;
	settle_epoch(cursor->spool, epoch);
}

int spool_cursor_ack(struct spool_cursor *cursor, const uint8_t id[16], uint64_t seq)
{
	struct epoch *epoch = cursor_epoch(cursor->spool, id);

	if (epoch == NULL || seq > epoch->sent[cursor->index])
		return SPOOL_E_BAD_ACK;
	cursor_acked(cursor, epoch, seq);
	return 0;
}

int spool_cursor_resume(struct spool_cursor *cursor, const uint8_t id[16], uint64_t seq)
{
	struct spool *spool = cursor->spool;
	struct epoch *epoch = cursor_epoch(spool, id);
	bool beyond, current;

	if (epoch == NULL)
		return SPOOL_E_BAD_ACK;
	beyond = seq > epoch->tail;
	current = epoch == spool_current(spool);
	if (beyond)
		seq = epoch->tail;
	cursor->n_resends = 0;
	epoch->sent[cursor->index] = seq;
	if (beyond && current) {
		int r = settle_begin_epoch(spool);

		if (r < 0)
			return r;
		/* settle_make_room may have dropped the oldest, never this one. */
	}
	cursor_acked(cursor, epoch, seq);
	return beyond && current ? SPOOL_E_EPOCH : 0;
}

void spool_cursor_rewind(struct spool_cursor *cursor)
{
	struct spool *spool = cursor->spool;

	cursor->n_resends = 0;
	for (size_t i = 0; i < spool->n_epochs; i++)
		spool->epochs[i]->sent[cursor->index] = spool->epochs[i]->acked[cursor->index];
}

int spool_cursor_resend(struct spool_cursor *cursor, const uint8_t id[16], uint64_t first_seq,
			uint64_t last_seq)
{
	struct epoch *epoch = cursor_epoch(cursor->spool, id);

	if (epoch == NULL || first_seq == 0 || first_seq > last_seq)
		return SPOOL_E_BAD_ACK;
	if (last_seq > epoch->sent[cursor->index])
		last_seq = epoch->sent[cursor->index];
	if (first_seq > last_seq)
		return 0;
	if (cursor->n_resends == SPOOL_MAX_RESENDS)
		return -ENOSPC;
	cursor->resends[cursor->n_resends++] = (struct spool_resend){ epoch, first_seq, last_seq };
	cursor->spool->readable_news = true;
	spool_wake(cursor->spool);
	return 0;
}

size_t spool_cursor_epochs(const struct spool_cursor *cursor,
			   struct spool_epoch_info ret_epochs[SPOOL_MAX_EPOCHS])
{
	const struct spool *spool = cursor->spool;

	for (size_t i = 0; i < spool->n_epochs; i++) {
		const struct epoch *epoch = spool->epochs[i];

		memcpy(ret_epochs[i].epoch, epoch->id, 16);
		ret_epochs[i].oldest_seq = epoch_oldest(epoch);
		ret_epochs[i].first_unacked_seq = epoch->acked[cursor->index] + 1;
		ret_epochs[i].tail_seq = epoch->tail;
	}
	return spool->n_epochs;
}

/* When the first unacked record was captured: exact from memory, else the oldest of its segment. */
static uint64_t cursor_time(struct spool_cursor *cursor, struct epoch *epoch, uint64_t seq)
{
	unsigned lane = seqmap_get(&epoch->map, SEQMAP_LANE, seq);
	const uint8_t *bytes = memory_find(cursor, epoch, lane, seq);
	const struct segment *segment;
	struct layout_record record;

	if (bytes != NULL) {
		layout_peek_record(bytes, &record);
		return record.time_ns;
	}
	segment = segment_find(epoch, lane, seq);
	return segment != NULL ? segment->oldest_ns : 0;
}

void spool_cursor_stats(const struct spool_cursor *cursor, struct spool_cursor_stats *ret_stats)
{
	struct spool *spool = cursor->spool;
	unsigned index = cursor->index;

	memset(ret_stats, 0, sizeof(*ret_stats));
	ret_stats->acked = spool->base_captured - spool->base_gone;
	for (size_t i = 0; i < spool->n_epochs; i++) {
		struct epoch *epoch = spool->epochs[i];
		uint64_t acked = epoch->acked[index], sent = epoch->sent[index], gone, first;

		gone = epoch->n_gone
			       ? seqmap_count(&epoch->map, SEQMAP_GONE, acked + 1, epoch->tail)
			       : 0;
		ret_stats->unacked += epoch->tail - acked - gone;
		ret_stats->acked += acked - (epoch->settled_gone + epoch->n_gone - gone);
		if (sent > acked)
			ret_stats->sent_unacked +=
				sent - acked -
				(gone ? seqmap_count(&epoch->map, SEQMAP_GONE, acked + 1, sent)
				      : 0);
		if (ret_stats->oldest_unacked_unix_ns != 0 || acked == epoch->tail)
			continue;
		first = acked + 1;
		if (seqmap_get(&epoch->map, SEQMAP_GONE, first))
			first = seqmap_run(&epoch->map, SEQMAP_GONE, first, epoch->tail) + 1;
		if (first <= epoch->tail)
			ret_stats->oldest_unacked_unix_ns =
				cursor_time(&spool->cursors[index], epoch, first);
	}
}
