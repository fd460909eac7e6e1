/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/store/object.h"
#include "aggregator/store/rows.h"
#include "aggregator/store/sqlite_command.h"

/* The next free id and the newest time of storing; read once, then kept in memory. */
static int sqlite_event_next(struct sqlite *sqlite)
{
	sqlite3_stmt *statement;
	int r;

	if (sqlite->next_event_id != 0)
		return 0;
	statement = sqlite_prepare(sqlite, SQL_EVENT_NEWEST);
	if (!statement)
		return sqlite_last(sqlite);
	r = sqlite3_step(statement);
	sqlite->next_event_id = 1;
	if (r == SQLITE_ROW) {
		sqlite->next_event_id = (uint64_t)sqlite3_column_int64(statement, 0) + 1;
		sqlite->last_stored = (uint64_t)sqlite3_column_int64(statement, 1);
	}
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

static int sqlite_alarm(struct sqlite *sqlite, const struct sqlite_epoch *epoch, uint64_t seq,
			const char *reason, const struct row *row)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_ALARM_ADD);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, epoch->id);
	sqlite3_bind_int64(statement, 2, sqlite_int(seq));
	sqlite_bind_text(statement, 3, reason);
	sqlite3_bind_int64(statement, 4, sqlite_int(sqlite->last_stored));
	sqlite3_bind_blob64(statement, 5, row->event, row->event_size, SQLITE_STATIC);
	return sqlite_run(sqlite, statement);
}

static int sqlite_reject(struct sqlite *sqlite, struct store_batch *batch,
			 const struct sqlite_epoch *epoch, uint64_t seq, const struct row *row)
{
	if (batch->ret_rejected < STORE_MAX_REJECTIONS) {
		batch->ret_rejections[batch->ret_rejected].seq = seq;
		batch->ret_rejections[batch->ret_rejected].reason = row->reject;
	}
	batch->ret_rejected++;
	return sqlite_alarm(sqlite, epoch, seq, row->reject, row);
}

static int sqlite_event(struct sqlite *sqlite, struct sqlite_epoch *epoch, uint64_t seq,
			const struct row *row)
{
	sqlite3_stmt *statement = sqlite->statements[SQL_EVENT_ADD];
	int r;

	sqlite3_bind_int64(statement, 1, (int64_t)sqlite->next_event_id++);
	sqlite3_bind_int64(statement, 2, epoch->host);
	sqlite3_bind_int64(statement, 3, epoch->id);
	sqlite3_bind_int64(statement, 4, sqlite_int(seq));
	sqlite3_bind_int64(statement, 5, row->head.kind);
	sqlite3_bind_int64(statement, 6, row->head.severity);
	sqlite3_bind_int64(statement, 7, sqlite_int(row->head.time_unix_ns));
	sqlite3_bind_int64(statement, 8, sqlite_int(sqlite->last_stored));
	sqlite3_bind_blob64(statement, 9, row->event, row->event_size, SQLITE_STATIC);
	r = sqlite3_step(statement);
	sqlite3_reset(statement);
	epoch->events++;
	if (row->head.time_unix_ns > epoch->last_event)
		epoch->last_event = row->head.time_unix_ns;
	if (row->head.time_unix_ns > sqlite->last_stored &&
	    row->head.time_unix_ns - sqlite->last_stored > epoch->ahead)
		epoch->ahead = row->head.time_unix_ns - sqlite->last_stored;
	return sqlite_errno(sqlite, r);
}

/* A fault of now: a host that comes back tells old ones too. */
#define SQLITE_FRESH_NS UINT64_C(60000000000)

static bool sqlite_is_fault(const struct store_write *write, const struct codec_event_head *head)
{
	return head->severity >= PATHBELL__V1__SEVERITY__SEVERITY_ERROR && !head->replayed &&
	       !head->command_state && head->time_unix_ns + SQLITE_FRESH_NS > write->now_unix_ns;
}

static int sqlite_row(struct sqlite *sqlite, struct store_write *write, struct sqlite_epoch *epoch,
		      uint64_t seq, const struct row *row)
{
	struct store_batch *batch = &write->batch;
	int r;

	if (row->reject)
		return sqlite_reject(sqlite, batch, epoch, seq, row);
	r = sqlite_event(sqlite, epoch, seq, row);
	if (r < 0)
		return r;
	batch->ret_stored++;
	batch->ret_faults += sqlite_is_fault(write, &row->head);
	if (object_is_told_by(row->head.kind))
		return sqlite_object_event(sqlite, epoch->host, write->now_unix_ns, row);
	if (!row->head.command_state)
		return 0;
	return sqlite_command_event(sqlite, write, row->head.command_state,
				    row->head.command_state_size);
}

/* The duplicate part of a batch against what is stored; only the newest rows of the host are looked
 * at. */
static int sqlite_compare(struct sqlite *sqlite, struct store_batch *batch,
			  const struct sqlite_epoch *epoch, const struct row *rows, uint32_t n_rows)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_HOST_RECENT);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, epoch->host);
	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		uint64_t seq = (uint64_t)sqlite3_column_int64(statement, 1);
		const struct row *row;
		int size = sqlite3_column_bytes(statement, 2);

		if (sqlite3_column_int64(statement, 0) != epoch->id)
			continue;
		if (seq < batch->first_seq)
			break;
		if (seq - batch->first_seq >= n_rows)
			continue;
		row = &rows[seq - batch->first_seq];
		if ((size_t)size == row->event_size &&
		    memcmp(sqlite3_column_blob(statement, 2), row->event, row->event_size) == 0)
			continue;
		batch->ret_conflicts++;
		r = sqlite_alarm(sqlite, epoch, seq, "conflict: other content for a stored seq",
				 row);
		if (r < 0)
			break;
	}
	sqlite3_reset(statement);
	return r < 0 ? r : sqlite_errno(sqlite, r);
}

static int sqlite_duplicates(struct sqlite *sqlite, struct store_batch *batch,
			     const struct sqlite_epoch *epoch, struct row_reader *reader)
{
	uint64_t n = epoch->mark - batch->first_seq + 1;
	struct row *rows;
	int r = 0;

	if (n > batch->count)
		n = batch->count;
	rows = calloc(n, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	for (uint64_t i = 0; r == 0 && i < n; i++)
		r = row_next(reader, &rows[i]) == 0 ? 0 : -EINVAL;
	if (r == 0)
		r = sqlite_compare(sqlite, batch, epoch, rows, (uint32_t)n);
	batch->ret_duplicates = (uint32_t)n;
	free(rows);
	return r;
}

static void sqlite_batch_reset(struct store_batch *batch)
{
	batch->ret_stored = batch->ret_duplicates = batch->ret_conflicts = 0;
	batch->ret_rejected = 0;
	batch->ret_changes = NULL;
	batch->ret_n_changes = 0;
	batch->ret_faults = batch->ret_audit_lost = 0;
}

/* Time of storing never falls with growing id, whatever the clock does: queries bisect by it. */
static int sqlite_batch_begin(struct sqlite *sqlite, uint64_t now_ns)
{
	int r = sqlite_event_next(sqlite);

	if (r < 0)
		return r;
	if (now_ns > sqlite->last_stored)
		sqlite->last_stored = now_ns;
	return sqlite_prepare(sqlite, SQL_EVENT_ADD) ? 0 : sqlite_last(sqlite);
}

int sqlite_batch(struct sqlite *sqlite, struct store_write *write)
{
	struct store_batch *batch = &write->batch;
	struct sqlite_epoch *epoch;
	struct row_reader reader;
	struct row row;
	uint64_t seq = batch->first_seq;
	int r;

	sqlite_batch_reset(batch);
	if (batch->first_seq == 0 || batch->first_seq > (uint64_t)INT64_MAX - batch->count)
		return -EINVAL;
	r = sqlite_epoch(sqlite, write->host_id, batch->epoch, write->now_unix_ns, &epoch);
	if (r == 0)
		r = sqlite_batch_begin(sqlite, write->now_unix_ns);
	if (r < 0)
		return r;
	batch->ret_mark = epoch->mark;
	if (seq > epoch->mark + 1) {
		write->ret_outcome = STORE_E_GAP;
		return 0;
	}
	row_reader_init(&reader, batch->events, batch->events_size);
	if (seq <= epoch->mark) {
		r = sqlite_duplicates(sqlite, batch, epoch, &reader);
		seq += batch->ret_duplicates;
	}
	while (r == 0 && (r = row_next(&reader, &row)) == 0)
		r = sqlite_row(sqlite, write, epoch, seq++, &row);
	if (r < 0)
		return r;
	if (seq - 1 > epoch->mark) {
		epoch->mark = seq - 1;
		sqlite_epoch_dirty(sqlite, epoch);
	}
	batch->ret_mark = epoch->mark;
	return 0;
}

int sqlite_gone(struct sqlite *sqlite, struct store_write *write)
{
	struct store_gone *gone = &write->gone;
	struct sqlite_epoch *epoch;
	sqlite3_stmt *statement;
	uint64_t first = gone->first_seq;
	int r = sqlite_epoch(sqlite, write->host_id, gone->epoch, write->now_unix_ns, &epoch);

	if (r < 0)
		return r;
	if (first == 0 || gone->last_seq < first || gone->last_seq >= INT64_MAX)
		return -EINVAL;
	gone->ret_mark = epoch->mark;
	if (first > epoch->mark + 1) {
		write->ret_outcome = STORE_E_GAP;
		return 0;
	}
	if (gone->last_seq <= epoch->mark)
		return 0;
	if (first <= epoch->mark)
		first = epoch->mark + 1;
	statement = sqlite_prepare(sqlite, SQL_TOMBSTONE_ADD);
	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, epoch->id);
	sqlite3_bind_int64(statement, 2, sqlite_int(first));
	sqlite3_bind_int64(statement, 3, sqlite_int(gone->last_seq));
	sqlite3_bind_int64(statement, 4, gone->reason);
	sqlite3_bind_int64(statement, 5, sqlite_int(write->now_unix_ns));
	r = sqlite_run(sqlite, statement);
	epoch->tombstoned += gone->last_seq - first + 1;
	epoch->mark = gone->last_seq;
	gone->ret_mark = epoch->mark;
	sqlite_epoch_dirty(sqlite, epoch);
	return r;
}
