/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sqlite3.h>

#include "aggregator/store/map.h"
#include "aggregator/store/rows.h"
#include "aggregator/store/sqlite_schema.h"
#include "aggregator/store/store_ops.h"

/* Inside of the SQLite store; only sqlite_*.c include this. sqlite.c opens with the essay. */

#define SQLITE_HOST_MAX 128

/* One (host, epoch) as the writer knows it; what is dirty goes into its row before COMMIT. */
struct sqlite_epoch_key {
	char host_id[SQLITE_HOST_MAX + 1];
	uint8_t epoch[16];
};

struct sqlite_epoch {
	struct map_node node; /* first; by key */
	struct sqlite_epoch_key key;
	int64_t id, host;
	uint64_t mark, events, tombstoned, last_event, ahead;
	struct sqlite_epoch *next_dirty;
	bool dirty;
};

struct sqlite {
	struct store store; /* first */
	sqlite3 *db;
	enum store_mode mode;
	int lock_fd; /* writer: flock on PATH.lock */
	sqlite3_stmt *statements[SQLITE_N_SQL];
	/* writer */
	struct map epochs; /* by key; emptied on rollback */
	struct sqlite_epoch *dirty_epochs;
	uint64_t next_event_id, last_stored; /* 0: to be read from the table */
	uint64_t audit_seq;		     /* newest; valid if audit_is_known */
	uint8_t audit_hash[32];
	bool audit_is_known;
	struct arena *arena; /* of one event that changes an object */
	struct map maps;     /* events of maps in this group that wait for its end */
	struct sqlite_map *map_pool;
};

static inline struct sqlite *sqlite_of(struct store *store)
{
	return (struct sqlite *)store;
}

/* sqlite.c */
int sqlite_errno(const struct sqlite *sqlite, int result);
/* Ready to bind; NULL if it cannot be prepared (errno by sqlite_last). */
sqlite3_stmt *sqlite_prepare(struct sqlite *sqlite, enum sqlite_sql sql);
/* Steps to the end. 0 or -errno. */
int sqlite_run(struct sqlite *sqlite, sqlite3_stmt *statement);
int sqlite_exec(struct sqlite *sqlite, enum sqlite_sql sql);
int sqlite_last(const struct sqlite *sqlite);
const char *sqlite_text(sqlite3_stmt *statement, int column); /* never NULL */
int sqlite_bind_text(sqlite3_stmt *statement, int index, const char *text);
static inline int64_t sqlite_int(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

/* sqlite_epochs.c */
int sqlite_host(struct sqlite *sqlite, const char *host_id, uint64_t now_ns, int64_t *ret_id);
int sqlite_epoch(struct sqlite *sqlite, const char *host_id, const uint8_t epoch[16],
		 uint64_t now_ns, struct sqlite_epoch **ret_epoch);
void sqlite_epoch_dirty(struct sqlite *sqlite, struct sqlite_epoch *epoch);
int sqlite_epochs_save(struct sqlite *sqlite);
void sqlite_epochs_forget(struct sqlite *sqlite);

/* sqlite_hosts.c */
int sqlite_hello(struct sqlite *sqlite, struct store_write *write);
int sqlite_seen(struct sqlite *sqlite, struct store_write *write);
int sqlite_hosts(struct store *store, const char *after, bool only,
		 bool (*row)(void *data, const struct store_host *host), void *data);
int sqlite_watermark(struct store *store, const char *host_id, const uint8_t epoch[16],
		     uint64_t *ret_seq);

/* sqlite_events.c */
int sqlite_batch(struct sqlite *sqlite, struct store_write *write);
int sqlite_gone(struct sqlite *sqlite, struct store_write *write);

/* sqlite_query.c */
int sqlite_query(struct store *store, const struct store_query *query,
		 bool (*row)(void *data, const struct store_event *event), void *data,
		 struct store_page *ret_page);
int sqlite_newest(struct store *store, uint64_t *ret_event, uint64_t *ret_transition);

/* sqlite_retain.c */
int sqlite_retain(struct store *store, const struct store_retention *retention,
		  struct store_retained *ret_done);
int sqlite_size(struct store *store, uint64_t *ret_bytes);
int sqlite_settle(struct store *store);
