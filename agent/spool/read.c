/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records for cursors. First memory; else a window of the segment that holds the seq, filled by the
 * writer thread. A window is walked forward only; a seq that should be there and is not, or whose
 * bytes do not pass their checksum, becomes a tombstone here, alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/spool/parts.h"
#include "pathbell/v1/ingest.pb-c.h"

void read_forget(struct spool *spool)
{
	for (unsigned i = 0; i < SPOOL_MAX_CURSORS; i++)
		for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++)
			spool->cursors[i].windows[lane].pending = false;
}

void read_release(struct spool_cursor *cursor)
{
	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
		struct spool_window *window = &cursor->windows[lane];

		free(window->data);
		window->data = NULL;
		window->size = window->pos = 0;
		window->number = 0;
	}
}

static void read_mark_gone(struct spool *spool, struct epoch *epoch, uint64_t first, uint64_t last,
			   unsigned lane, uint32_t reason)
{
	uint64_t unsettled = first > epoch->settled ? first : epoch->settled + 1, n = 0;

	/* What was acked already and is gone now was no loss, but it cannot be sent again either.
	 */
	if (first <= epoch->settled)
		(void)seqmap_drop_lane(&epoch->map, lane, first,
				       last < epoch->settled ? last : epoch->settled, &n);
	n = 0;
	if (unsettled <= last)
		(void)seqmap_drop_lane(&epoch->map, lane, unsettled, last, &n);
	if (n == 0)
		return;
	epoch_cover(epoch, unsettled, last, reason);
	evict_gone(spool, epoch, n, reason);
	if (reason == PATHBELL__V1__GONE_REASON__GONE_REASON_CORRUPT_RECORD)
		spool->corrupt_records += n;
}

static int read_gone(struct spool_cursor *cursor, struct epoch *epoch, unsigned lane, uint64_t seq)
{
	read_mark_gone(cursor->spool, epoch, seq, seq, lane,
		       PATHBELL__V1__GONE_REASON__GONE_REASON_CORRUPT_RECORD);
	return READ_E_GONE;
}

/* Errors that say nothing about the file. */
static bool read_is_passing(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOTDIR;
}

static void read_done(void *data, struct job *job)
{
	struct spool_window *window = data;
	struct op *op = &job->ops[0];

	window->pending = false;
	free(window->data);
	window->data = op->owned;
	window->size = job->error == 0 ? op->result : 0;
	window->pos = 0;
	window->number = read_is_passing(job->error) ? 0 : op->number;
	window->offset = op->offset;
	op->owned = NULL;
	job_free(job);
}

static int read_request(struct spool_cursor *cursor, struct spool_window *window,
			const struct segment *segment, uint64_t offset)
{
	struct spool *spool = cursor->spool;
	uint64_t size = segment->durable_size - offset;
	struct job *job;
	struct op *op;

	if (spool->writer == NULL)
		return READ_E_PENDING;
	job = job_new(read_done, window);
	op = job != NULL ? job_add(job, OP_READ) : NULL;
	if (op != NULL) {
		op->dir = segment->dir;
		op->lane = segment->lane;
		op->number = segment->number;
		op->offset = offset;
		op->size = size < SPOOL_WINDOW_SIZE ? (size_t)size : SPOOL_WINDOW_SIZE;
		op->owned = malloc(op->size);
	}
	if (op == NULL || op->owned == NULL) {
		job_free(job);
		spool->readable_news = true;
		return READ_E_PENDING;
	}
	window->pending = true;
	degrade_submit(spool, job);
	return READ_E_PENDING;
}

/*
 * Walks the window to @seq. 0; READ_E_GONE: passed it, or the segment ends; READ_E_PENDING:
 * *ret_offset is where the next window must begin.
 */
static int read_walk(struct spool_window *window, const struct segment *segment, uint64_t seq,
		     struct layout_record *ret_record, uint64_t *ret_offset)
{
	bool last = window->offset + window->size >= segment->durable_size;
	uint32_t seed = segment->epoch->seed;

	while (window->pos < window->size) {
		struct layout_record record;
		enum layout_check check = layout_get_record(
			window->data + window->pos, window->size - window->pos, seed, &record);

		/* A length that runs out of a full window, or of the file, is not to be believed.
		 */
		if (check == LAYOUT_SHORT && !last && window->pos > 0)
			break;
		if (check != LAYOUT_OK || record.type != LAYOUT_TYPE_RECORD) {
			window->pos += 8;
			continue;
		}
		if (record.seq >= seq) {
			*ret_record = record;
			return record.seq == seq ? 0 : READ_E_GONE;
		}
		window->passed = record.seq;
		window->pos += record.total;
	}
	if (last)
		return READ_E_GONE;
	*ret_offset = window->offset + (window->pos < window->size ? window->pos : window->size);
	return READ_E_PENDING;
}

/* A file that cannot be read at all: everything in it is lost. */
static int read_lost_segment(struct spool_cursor *cursor, struct segment *segment, uint64_t seq)
{
	cursor->spool->disk_errors++;
	read_mark_gone(cursor->spool, segment->epoch, seq, segment->durable_last, segment->lane,
		       PATHBELL__V1__GONE_REASON__GONE_REASON_DISK_ERROR);
	return READ_E_GONE;
}

static int read_window(struct spool_cursor *cursor, struct segment *segment, uint64_t seq,
		       struct layout_record *ret_record)
{
	struct spool_window *window = &cursor->windows[segment->lane];
	uint64_t offset = 0, marked, passed;
	int r;

	if (window->pending)
		return READ_E_PENDING;
	if (window->data != NULL && window->number == segment->number && window->passed < seq) {
		if (window->size == 0)
			return read_lost_segment(cursor, segment, seq);
		r = read_walk(window, segment, seq, ret_record, &offset);
		if (r != READ_E_PENDING)
			return r == READ_E_GONE
				       ? read_gone(cursor, segment->epoch, segment->lane, seq)
				       : 0;
		/* Far ahead: the marks know better than the next window. */
		marked = segment_offset(segment, seq, &passed);
		if (marked > offset) {
			offset = marked;
			window->passed = passed;
		}
	} else {
		offset = segment_offset(segment, seq, &window->passed);
	}
	window->number = 0;
	/* On a disk that hangs, or on its way from one folder to the other: later. */
	if ((segment->dir == SPOOL_DIR_MAIN && degrade_is_hung(cursor->spool)) ||
	    segment == cursor->spool->migrating)
		return READ_E_PENDING;
	return read_request(cursor, window, segment, offset);
}

int read_record(struct spool_cursor *cursor, struct epoch *epoch, uint64_t seq,
		struct layout_record *ret_record)
{
	unsigned lane = seqmap_get(&epoch->map, SEQMAP_LANE, seq);
	const uint8_t *bytes = memory_find(cursor, epoch, lane, seq);
	struct segment *segment;

	if (bytes != NULL) {
		layout_peek_record(bytes, ret_record);
		return 0;
	}
	segment = segment_find(epoch, lane, seq);
	if (segment == NULL)
		return read_gone(cursor, epoch, lane, seq);
	return read_window(cursor, segment, seq, ret_record);
}
