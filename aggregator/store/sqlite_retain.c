/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "aggregator/store/sqlite.h"

/* One call deletes at most this many events: some ten milliseconds between two commits of events.
 */
#define SQLITE_RETAIN_STEP 2000

static int sqlite_pragma_uint(struct sqlite *sqlite, const char *pragma, uint64_t *ret_value)
{
	sqlite3_stmt *statement;
	int r;

	if (sqlite3_prepare_v2(sqlite->db, pragma, -1, &statement, NULL) != SQLITE_OK)
		return sqlite_last(sqlite);
	r = sqlite3_step(statement);
	*ret_value = r == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
	sqlite3_finalize(statement);
	return sqlite_errno(sqlite, r);
}

/* Pages in use: deleting frees pages for new rows, the file itself does not shrink. */
int sqlite_size(struct store *store, uint64_t *ret_bytes)
{
	struct sqlite *sqlite = sqlite_of(store);
	uint64_t pages = 0, unused = 0, page = 0;
	int r = sqlite_pragma_uint(sqlite, "PRAGMA page_count", &pages);

	if (r == 0)
		r = sqlite_pragma_uint(sqlite, "PRAGMA freelist_count", &unused);
	if (r == 0)
		r = sqlite_pragma_uint(sqlite, "PRAGMA page_size", &page);
	if (r == 0)
		*ret_bytes = (pages - unused) * page;
	return r;
}

int sqlite_settle(struct store *store)
{
	struct sqlite *sqlite = sqlite_of(store);

	return sqlite_errno(
		sqlite,
		sqlite3_wal_checkpoint_v2(sqlite->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL));
}

/* The last id to delete in this step; 0 = none. The newest event always stays: ids are never
 * reused. */
static int sqlite_retain_events(struct sqlite *sqlite, uint64_t cutoff, bool by_size,
				int64_t *ret_last, uint64_t *ret_n)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_RETAIN_SCAN);
	int64_t previous = 0;
	uint64_t n = 0;
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	*ret_last = 0;
	*ret_n = 0;
	while ((r = sqlite3_step(statement)) == SQLITE_ROW && n <= SQLITE_RETAIN_STEP) {
		/* A row is deleted only when there is one behind it. */
		*ret_last = previous;
		*ret_n = n;
		if (!by_size && (uint64_t)sqlite3_column_int64(statement, 1) >= cutoff)
			break;
		previous = sqlite3_column_int64(statement, 0);
		n++;
	}
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

static int sqlite_retain_bound(struct sqlite *sqlite, enum sqlite_sql sql, int64_t bound)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, sql);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, bound);
	return sqlite_run(sqlite, statement);
}

static int sqlite_retain_rest(struct sqlite *sqlite, uint64_t cutoff)
{
	int r = sqlite_retain_bound(sqlite, SQL_RETAIN_TOMBSTONES, sqlite_int(cutoff));

	if (r == 0)
		r = sqlite_retain_bound(sqlite, SQL_RETAIN_ALARMS, sqlite_int(cutoff));
	if (r == 0)
		r = sqlite_retain_bound(sqlite, SQL_RETAIN_COMMANDS, sqlite_int(cutoff));
	if (r == 0 && sqlite3_changes(sqlite->db) > 0) {
		r = sqlite_exec(sqlite, SQL_RETAIN_COMMAND_HOSTS);
		if (r == 0)
			r = sqlite_exec(sqlite, SQL_RETAIN_TRANSITIONS);
	}
	if (r == 0)
		r = sqlite_retain_bound(sqlite, SQL_RETAIN_CAMPAIGNS, sqlite_int(cutoff));
	if (r == 0 && sqlite3_changes(sqlite->db) > 0)
		r = sqlite_exec(sqlite, SQL_RETAIN_CAMPAIGN_HOSTS);
	return r;
}

static int sqlite_retain_audit(struct sqlite *sqlite, const struct store_retention *retention)
{
	if (retention->audit_age_ns == 0 || retention->now_unix_ns <= retention->audit_age_ns)
		return 0;
	return sqlite_retain_bound(sqlite, SQL_RETAIN_AUDIT,
				   sqlite_int(retention->now_unix_ns - retention->audit_age_ns));
}

static int sqlite_retain_step(struct sqlite *sqlite, const struct store_retention *retention,
			      bool by_size, struct store_retained *done)
{
	uint64_t cutoff = 0;
	int64_t last = 0;
	int r;

	if (retention->age_ns != 0 && retention->now_unix_ns > retention->age_ns)
		cutoff = retention->now_unix_ns - retention->age_ns;
	r = sqlite_retain_events(sqlite, cutoff, by_size, &last, &done->deleted);
	if (r == 0 && last != 0)
		r = sqlite_retain_bound(sqlite, SQL_RETAIN_EVENTS, last);
	if (r == 0 && cutoff != 0)
		r = sqlite_retain_rest(sqlite, cutoff);
	if (r == 0)
		r = sqlite_retain_audit(sqlite, retention);
	done->more = done->deleted >= SQLITE_RETAIN_STEP;
	return r;
}

int sqlite_retain(struct store *store, const struct store_retention *retention,
		  struct store_retained *ret_done)
{
	struct sqlite *sqlite = sqlite_of(store);
	struct store_retained done = { 0 };
	uint64_t bytes = 0;
	int r = sqlite_size(store, &bytes);

	if (r == 0)
		r = sqlite_exec(sqlite, SQL_BEGIN);
	if (r < 0)
		return r;
	r = sqlite_retain_step(sqlite, retention, retention->bytes != 0 && bytes > retention->bytes,
			       &done);
	if (r == 0)
		r = sqlite_exec(sqlite, SQL_COMMIT);
	if (r < 0) {
		if (!sqlite3_get_autocommit(sqlite->db))
			sqlite_exec(sqlite, SQL_ROLLBACK);
		return r;
	}
	*ret_done = done;
	return 0;
}
