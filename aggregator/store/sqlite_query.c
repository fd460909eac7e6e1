/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries over events, in order of id. What a filter says becomes, in this order: an index (one
 * host), a range of ids (time), then a look at each row (kind, severity, exact time, more hosts,
 * subject).
 *
 * Time: the clock of a host may run ahead of ours, so an event's time may be later than its time of
 * storing, by at most `ahead`, which is kept for each epoch. An event with time >= since was
 * therefore stored at or after since - ahead, and `stored` never falls with growing id: bisection
 * finds the first id to look at. (There is no such bound for `until`: old events may be stored
 * late.)
 */
#include <errno.h>
#include <string.h>

#include "aggregator/store/sqlite.h"
#include "core/clock.h"
#include "proto/codec.h"
#include "proto/kind.h"

#define SQLITE_NAMES 256

struct sqlite_name {
	int64_t epoch_row;
	uint8_t epoch[16];
	char host_id[SQLITE_HOST_MAX + 1];
	char hostname[256];
};

struct sqlite_scan {
	struct sqlite *sqlite;
	const struct store_query *query;
	int64_t host_row;			/* 0: all hosts */
	int64_t floor_id;			/* first id that can match */
	struct sqlite_name names[SQLITE_NAMES]; /* by epoch row, direct mapped */
};

static int sqlite_scan_name(struct sqlite_scan *scan, int64_t epoch_row,
			    const struct sqlite_name **ret_name)
{
	struct sqlite_name *name = &scan->names[(uint64_t)epoch_row % SQLITE_NAMES];
	sqlite3_stmt *statement;
	int r;

	*ret_name = name;
	if (name->epoch_row == epoch_row)
		return 0;
	statement = sqlite_prepare(scan->sqlite, SQL_EPOCH_NAME);
	if (!statement)
		return sqlite_last(scan->sqlite);
	memset(name, 0, sizeof(*name));
	sqlite3_bind_int64(statement, 1, epoch_row);
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW) {
		name->epoch_row = epoch_row;
		if (sqlite3_column_bytes(statement, 0) == 16)
			memcpy(name->epoch, sqlite3_column_blob(statement, 0), 16);
		strncpy(name->host_id, sqlite_text(statement, 1), sizeof(name->host_id) - 1);
		strncpy(name->hostname, sqlite_text(statement, 2), sizeof(name->hostname) - 1);
	}
	sqlite3_reset(statement);
	return r == SQLITE_DONE ? -EBADMSG : sqlite_errno(scan->sqlite, r);
}

/* First row at or after @id. 0 and *ret_id, 0 with *ret_id 0 where there is none. */
static int sqlite_scan_from(struct sqlite *sqlite, int64_t id, int64_t *ret_id,
			    uint64_t *ret_stored)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_EVENT_FROM);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, id);
	r = sqlite3_step(statement);
	*ret_id = r == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	*ret_stored = r == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 1) : UINT64_MAX;
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

/* Smallest id whose row was stored at or after @bound_ns (or newest + 1). */
static int sqlite_scan_bisect(struct sqlite *sqlite, uint64_t bound_ns, int64_t *ret_id)
{
	uint64_t newest = 0, transition, stored = 0;
	int64_t low = 1, high, id = 0;
	int r = sqlite_newest(&sqlite->store, &newest, &transition);

	if (r == 0)
		r = sqlite_scan_from(sqlite, 1, &low, &stored);
	high = r == 0 ? (int64_t)newest + 1 : 0;
	while (r == 0 && low < high) {
		int64_t middle = low + (high - low) / 2;

		r = sqlite_scan_from(sqlite, middle, &id, &stored);
		if (r == 0 && stored < bound_ns)
			low = id + 1;
		else
			high = middle;
	}
	*ret_id = low;
	return r;
}

static int sqlite_scan_ahead(struct sqlite_scan *scan, uint64_t *ret_ahead)
{
	sqlite3_stmt *statement =
		sqlite_prepare(scan->sqlite, scan->host_row ? SQL_AHEAD_HOST : SQL_AHEAD);
	int r;

	if (!statement)
		return sqlite_last(scan->sqlite);
	if (scan->host_row)
		sqlite3_bind_int64(statement, 1, scan->host_row);
	r = sqlite3_step(statement);
	*ret_ahead = r == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
	sqlite3_reset(statement);
	return sqlite_errno(scan->sqlite, r);
}

static int sqlite_scan_floor(struct sqlite_scan *scan)
{
	uint64_t since = scan->query->filter.since_unix_ns, ahead = 0;
	int r;

	scan->floor_id = 1;
	if (since == 0)
		return 0;
	r = sqlite_scan_ahead(scan, &ahead);
	if (r < 0 || ahead >= since)
		return r;
	return sqlite_scan_bisect(scan->sqlite, since - ahead, &scan->floor_id);
}

static bool sqlite_scan_host(const struct store_filter *filter, const char *host_id)
{
	if (filter->n_hosts == 0)
		return true;
	for (size_t i = 0; i < filter->n_hosts; i++)
		if (strcmp(filter->host_ids[i], host_id) == 0)
			return true;
	return false;
}

static bool sqlite_scan_subject(const struct store_filter *filter, const struct store_event *event)
{
	struct codec_event_head head;

	if (!filter->subject_id)
		return true;
	if (codec_event_head(event->event, event->event_size, &head) != 0)
		return false;
	return head.subject_id_len == strlen(filter->subject_id) &&
	       memcmp(head.subject_id, filter->subject_id, head.subject_id_len) == 0;
}

/* The cheap conditions, before the row's bytes are touched. */
static bool sqlite_scan_cheap(const struct store_filter *filter, const struct store_event *event)
{
	return event->severity >= filter->min_severity &&
	       event->time_unix_ns >= filter->since_unix_ns &&
	       (filter->until_unix_ns == 0 || event->time_unix_ns < filter->until_unix_ns) &&
	       (!filter->kind_glob || kind_matches(event->kind, filter->kind_glob));
}

/* 1: matches. */
static int sqlite_scan_row(struct sqlite_scan *scan, sqlite3_stmt *statement,
			   struct store_event *ret_event)
{
	const struct sqlite_name *name;
	int r;

	ret_event->id = (uint64_t)sqlite3_column_int64(statement, 0);
	ret_event->seq = (uint64_t)sqlite3_column_int64(statement, 2);
	ret_event->kind = (uint32_t)sqlite3_column_int64(statement, 3);
	ret_event->severity = (uint32_t)sqlite3_column_int64(statement, 4);
	ret_event->time_unix_ns = (uint64_t)sqlite3_column_int64(statement, 5);
	ret_event->stored_unix_ns = (uint64_t)sqlite3_column_int64(statement, 6);
	if (!sqlite_scan_cheap(&scan->query->filter, ret_event))
		return 0;
	r = sqlite_scan_name(scan, sqlite3_column_int64(statement, 1), &name);
	if (r < 0)
		return r;
	if (!sqlite_scan_host(&scan->query->filter, name->host_id))
		return 0;
	ret_event->host_id = name->host_id;
	ret_event->hostname = name->hostname;
	ret_event->epoch = name->epoch;
	ret_event->event = sqlite3_column_blob(statement, 7);
	ret_event->event_size = (size_t)sqlite3_column_bytes(statement, 7);
	return sqlite_scan_subject(&scan->query->filter, ret_event);
}

static bool sqlite_scan_late(const struct store_query *query, uint32_t looked)
{
	return query->deadline_ns != 0 && looked % 256 == 255 &&
	       clock_monotonic_ns() > query->deadline_ns;
}

static int sqlite_scan_run(struct sqlite_scan *scan, sqlite3_stmt *statement,
			   bool (*row)(void *data, const struct store_event *event), void *data,
			   struct store_page *page)
{
	const struct store_query *query = scan->query;
	uint32_t matched = 0, looked = 0;
	uint64_t bytes = 0;
	int r;

	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		struct store_event event;
		int match;

		page->more = true;
		if (matched >= query->limit || sqlite_scan_late(query, looked++))
			return 0;
		match = sqlite_scan_row(scan, statement, &event);
		if (match < 0)
			return match;
		if (match && matched > 0 && query->max_bytes != 0 &&
		    bytes + event.event_size > query->max_bytes)
			return 0;
		page->last_id = event.id;
		if (!match)
			continue;
		matched++;
		bytes += event.event_size;
		if (!row(data, &event))
			return 0;
	}
	page->more = false;
	return sqlite_errno(scan->sqlite, r);
}

static sqlite3_stmt *sqlite_scan_start(struct sqlite_scan *scan)
{
	const struct store_query *query = scan->query;
	enum sqlite_sql sql = scan->host_row ? SQL_HOST_EVENTS_UP : SQL_EVENTS_UP;
	sqlite3_stmt *statement;
	int64_t after = sqlite_int(query->after_id);

	if (query->newest_first)
		sql = scan->host_row ? SQL_HOST_EVENTS_DOWN : SQL_EVENTS_DOWN;
	statement = sqlite_prepare(scan->sqlite, sql);
	if (!statement)
		return NULL;
	if (query->newest_first) {
		sqlite3_bind_int64(statement, 1, after == 0 ? INT64_MAX : after);
		sqlite3_bind_int64(statement, 2, scan->floor_id);
	} else {
		sqlite3_bind_int64(statement, 1,
				   after < scan->floor_id ? scan->floor_id - 1 : after);
	}
	if (scan->host_row)
		sqlite3_bind_int64(statement, 3, scan->host_row);
	return statement;
}

/* 1: the one host of the filter is not known, so nothing matches. */
static int sqlite_scan_one_host(struct sqlite_scan *scan)
{
	sqlite3_stmt *statement;
	int r;

	scan->host_row = 0;
	if (scan->query->filter.n_hosts != 1)
		return 0;
	statement = sqlite_prepare(scan->sqlite, SQL_HOST_FIND);
	if (!statement)
		return sqlite_last(scan->sqlite);
	sqlite_bind_text(statement, 1, scan->query->filter.host_ids[0]);
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW)
		scan->host_row = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	return r == SQLITE_DONE ? 1 : sqlite_errno(scan->sqlite, r);
}

int sqlite_query(struct store *store, const struct store_query *query,
		 bool (*row)(void *data, const struct store_event *event), void *data,
		 struct store_page *ret_page)
{
	struct sqlite_scan scan = { .sqlite = sqlite_of(store), .query = query };
	struct store_page page = { .last_id = query->after_id };
	sqlite3_stmt *statement;
	int r = sqlite_exec(scan.sqlite, SQL_BEGIN_READ);

	if (r < 0)
		return r;
	r = sqlite_scan_one_host(&scan);
	if (r == 0)
		r = sqlite_scan_floor(&scan);
	if (r == 0) {
		statement = sqlite_scan_start(&scan);
		r = statement ? sqlite_scan_run(&scan, statement, row, data, &page)
			      : sqlite_last(scan.sqlite);
		sqlite3_reset(statement);
	}
	sqlite_exec(scan.sqlite, SQL_COMMIT);
	if (r < 0)
		return r;
	*ret_page = page;
	return 0;
}

static int sqlite_newest_of(struct sqlite *sqlite, enum sqlite_sql sql, uint64_t *ret_id)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, sql);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	r = sqlite3_step(statement);
	*ret_id = r == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

int sqlite_newest(struct store *store, uint64_t *ret_event, uint64_t *ret_transition)
{
	int r = sqlite_newest_of(sqlite_of(store), SQL_EVENT_NEWEST, ret_event);

	if (r < 0)
		return r;
	return sqlite_newest_of(sqlite_of(store), SQL_TRANSITION_NEWEST, ret_transition);
}
