/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SQLite store: one file, WAL, synchronous=FULL.
 *
 * A group of writes is one transaction:
 *   1. BEGIN IMMEDIATE.
 *   2. Each write in order: rows of a batch get ids from a counter in memory (ids are never reused,
 * so they are cursors for ever) and go through one prepared INSERT with borrowed bytes; the mark of
 *      their (host, epoch) moves in memory (sqlite_epochs.c).
 *   3. The marks that moved are saved, each once for the group.
 *   4. COMMIT: fsync of the WAL. Only then does the caller acknowledge anything.
 *
 * There is no unique index over events: the mark does the deduplication, which is four to seven
 * times faster (docs/adr has the measurement). The one index besides the table is (host), whose
 * entries are in order of id within a host. There is none over time: `stored` never falls with
 * growing id, so a limit on time becomes a limit on id by bisection (sqlite_query.c).
 *
 * What goes wrong: an error of any statement rolls the whole group back, forgets what memory knows
 * and is passed up; a full disk or an I/O error may pass, so the caller keeps the group and tries
 * again. A kill at any moment leaves a WAL whose last complete COMMIT is the truth. A second writer
 * is refused by flock on PATH.lock before SQLite is asked, because SQLite itself would let both in,
 * one transaction at a time.
 */
#include "aggregator/store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "aggregator/store/sqlite_command.h"
#include "aggregator/store/sqlite_schema.h"
#include "core/fd.h"
#include "proto/arena.h"

int sqlite_errno(const struct sqlite *sqlite, int result)
{
	switch (result & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EAGAIN;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EBADMSG;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_ERROR:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISUSE:
	case SQLITE_RANGE:
	case SQLITE_TOOBIG:
		return -EINVAL; /* trying again will not help */
	default:
		return -EIO;
	}
}

int sqlite_last(const struct sqlite *sqlite)
{
	int r = sqlite_errno(sqlite, sqlite3_errcode(sqlite->db));

	return r < 0 ? r : -EIO;
}

sqlite3_stmt *sqlite_prepare(struct sqlite *sqlite, enum sqlite_sql sql)
{
	sqlite3_stmt **statement = &sqlite->statements[sql];

	if (*statement)
		return *statement;
	if (sqlite3_prepare_v3(sqlite->db, sqlite_sql[sql], -1, SQLITE_PREPARE_PERSISTENT,
			       statement, NULL) != SQLITE_OK)
		return NULL;
	return *statement;
}

int sqlite_run(struct sqlite *sqlite, sqlite3_stmt *statement)
{
	int r;

	do
		r = sqlite3_step(statement);
	while (r == SQLITE_ROW);
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

int sqlite_exec(struct sqlite *sqlite, enum sqlite_sql sql)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, sql);

	return statement ? sqlite_run(sqlite, statement) : sqlite_last(sqlite);
}

const char *sqlite_text(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	return text ? text : "";
}

int sqlite_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
	return sqlite3_bind_text(statement, index, text ? text : "", -1, SQLITE_STATIC);
}

static int sqlite_fail(const struct sqlite *sqlite, struct errmsg *err, const char *what)
{
	int r = sqlite_last(sqlite);

	errmsg_set(err, "%s: %s", what, sqlite3_errmsg(sqlite->db));
	return r;
}

static int sqlite_pragma(struct sqlite *sqlite, const char *pragma, int64_t *ret_value)
{
	sqlite3_stmt *statement;
	int r;

	if (sqlite3_prepare_v2(sqlite->db, pragma, -1, &statement, NULL) != SQLITE_OK)
		return sqlite_last(sqlite);
	r = sqlite3_step(statement);
	if (ret_value)
		*ret_value = r == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	sqlite3_finalize(statement);
	return sqlite_errno(sqlite, r);
}

/* The flock dies with the process, so nothing is stale after a crash. */
static int sqlite_lock(struct sqlite *sqlite, const char *path, struct errmsg *err)
{
	char lock[4096];

	if (snprintf(lock, sizeof(lock), "%s.lock", path) >= (int)sizeof(lock)) {
		errmsg_set(err, "path of the store is too long");
		return -ENAMETOOLONG;
	}
	sqlite->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (sqlite->lock_fd < 0) {
		int r = -errno;

		errmsg_set(err, "cannot open %s: %s", lock, strerror(-r));
		return r;
	}
	if (flock(sqlite->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		errmsg_set(err, "%s is in use by another aggregator", path);
		return -EBUSY;
	}
	return 0;
}

/* From @version to ours in one transaction; 0 is an empty file. */
static int sqlite_migrate(struct sqlite *sqlite, int64_t version, struct errmsg *err)
{
	char *sql = sqlite3_mprintf("BEGIN IMMEDIATE;");
	int r = 0;

	for (int64_t i = version; sql && i < SQLITE_SCHEMA_VERSION; i++)
		sql = sqlite3_mprintf("%z%s", sql, sqlite_migrations[i]);
	if (sql)
		sql = sqlite3_mprintf("%zPRAGMA application_id=%d;PRAGMA user_version=%d;COMMIT;",
				      sql, SQLITE_APPLICATION_ID, SQLITE_SCHEMA_VERSION);
	if (!sql)
		return -ENOMEM;
	if (sqlite3_exec(sqlite->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		r = sqlite_fail(sqlite, err,
				version ? "cannot move the store to the present schema"
					: "cannot create the schema");
	sqlite3_free(sql);
	return r;
}

/* Ours, and of a version that we know; an empty file becomes ours, an older one is migrated. */
static int sqlite_identify(struct sqlite *sqlite, struct errmsg *err)
{
	int64_t application = 0, version = 0, tables = 0;
	int r = sqlite_pragma(sqlite, "PRAGMA application_id", &application);

	if (r == 0)
		r = sqlite_pragma(sqlite, "PRAGMA user_version", &version);
	if (r == 0)
		r = sqlite_pragma(sqlite, "SELECT count(*) FROM sqlite_master", &tables);
	if (r < 0)
		return sqlite_fail(sqlite, err, "cannot read the store");
	if (application == 0 && tables == 0 && sqlite->mode == STORE_WRITE)
		return sqlite_migrate(sqlite, 0, err);
	if (application != SQLITE_APPLICATION_ID) {
		errmsg_set(err, "the file is not a Pathbell store");
		return -EBADMSG;
	}
	if (version > 0 && version < SQLITE_SCHEMA_VERSION && sqlite->mode == STORE_WRITE)
		return sqlite_migrate(sqlite, version, err);
	if (version != SQLITE_SCHEMA_VERSION) {
		errmsg_set(err, "the store has schema version %lld, this program knows %d",
			   (long long)version, SQLITE_SCHEMA_VERSION);
		return -EBADMSG;
	}
	return 0;
}

static int sqlite_setup(struct sqlite *sqlite, const struct store_options *options,
			struct errmsg *err)
{
	/* 10000 pages: with SQLite's 1000, checkpoints cost a third of the rate. */
	static const char writer[] = "PRAGMA page_size=8192; PRAGMA journal_mode=WAL;"
				     "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=10000;"
				     "PRAGMA journal_size_limit=134217728;"
				     "PRAGMA trusted_schema=OFF; PRAGMA temp_store=MEMORY;";
	static const char reader[] = "PRAGMA query_only=ON; PRAGMA trusted_schema=OFF;"
				     "PRAGMA temp_store=MEMORY;";
	char cache[64];

	sqlite3_extended_result_codes(sqlite->db, 1);
	sqlite3_busy_timeout(sqlite->db, (int)options->busy_ms);
	snprintf(cache, sizeof(cache), "PRAGMA cache_size=-%llu",
		 (unsigned long long)(options->cache_bytes / 1024));
	if (sqlite3_exec(sqlite->db, sqlite->mode == STORE_WRITE ? writer : reader, NULL, NULL,
			 NULL) != SQLITE_OK ||
	    sqlite3_exec(sqlite->db, cache, NULL, NULL, NULL) != SQLITE_OK)
		return sqlite_fail(sqlite, err, "cannot set up the store");
	return sqlite_identify(sqlite, err);
}

static void sqlite_close(struct store *store)
{
	struct sqlite *sqlite = sqlite_of(store);

	for (size_t i = 0; i < SQLITE_N_SQL; i++)
		sqlite3_finalize(sqlite->statements[i]);
	sqlite_epochs_forget(sqlite);
	sqlite_objects_forget(sqlite);
	map_deinit(&sqlite->maps);
	free(sqlite->map_pool);
	arena_free(sqlite->arena);
	sqlite3_close(sqlite->db);
	fd_close(sqlite->lock_fd);
	free(sqlite);
}

/* Created here and not by SQLite, so that it is never readable by others; its WAL takes the same
 * mode. */
static int sqlite_touch(const char *path, struct errmsg *err)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		int r = -errno;

		errmsg_set(err, "cannot open %s: %s", path, strerror(-r));
		return r;
	}
	fd_close(fd);
	return 0;
}

static int sqlite_connect(struct sqlite *sqlite, const struct store_options *options,
			  struct errmsg *err)
{
	int flags = SQLITE_OPEN_NOMUTEX |
		    (sqlite->mode == STORE_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
	int r = 0;

	if (sqlite->mode == STORE_WRITE)
		r = sqlite_lock(sqlite, options->path, err);
	if (r == 0 && sqlite->mode == STORE_WRITE)
		r = sqlite_touch(options->path, err);
	if (r < 0)
		return r;
	if (sqlite3_open_v2(options->path, &sqlite->db, flags, NULL) != SQLITE_OK)
		return sqlite_fail(sqlite, err, "cannot open the store");
	return sqlite_setup(sqlite, options, err);
}

static int sqlite_open(const struct store_options *options, enum store_mode mode,
		       struct store **ret_store, struct errmsg *err)
{
	struct sqlite *sqlite = calloc(1, sizeof(*sqlite));
	int r;

	if (!sqlite)
		return -ENOMEM;
	sqlite->store.ops = &store_sqlite;
	sqlite->mode = mode;
	sqlite->lock_fd = -1;
	r = sqlite_connect(sqlite, options, err);
	if (r < 0) {
		sqlite_close(&sqlite->store);
		return r;
	}
	*ret_store = &sqlite->store;
	return 0;
}

static int sqlite_probe(struct sqlite *sqlite, const struct store_write *write)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_PROBE);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, sqlite_int(write->now_unix_ns));
	return sqlite_run(sqlite, statement);
}

static int sqlite_change(struct sqlite *sqlite, struct store_write *write)
{
	switch (write->type) {
	case STORE_HELLO:
		return sqlite_hello(sqlite, write);
	case STORE_BATCH:
		return sqlite_batch(sqlite, write);
	case STORE_GONE:
		return sqlite_gone(sqlite, write);
	case STORE_SEEN:
		return sqlite_seen(sqlite, write);
	case STORE_COMMAND:
		return sqlite_command(sqlite, write);
	case STORE_COMMAND_STATE:
		return sqlite_command_told(sqlite, write);
	case STORE_CANCEL:
		return sqlite_cancel(sqlite, write);
	case STORE_CAMPAIGN:
		return sqlite_campaign(sqlite, write);
	case STORE_CAMPAIGN_STATE:
		return sqlite_campaign_state(sqlite, write);
	case STORE_AUDIT:
		return 0;
	case STORE_PROBE:
		return sqlite_probe(sqlite, write);
	}
	return -EINVAL;
}

static int sqlite_one(struct sqlite *sqlite, struct store_write *write)
{
	int r;

	write->ret_outcome = 0;
	r = sqlite_change(sqlite, write);
	if (r == 0 && write->audit && write->ret_outcome == 0)
		r = sqlite_audit(sqlite, write, write->audit);
	return r;
}

static int sqlite_group(struct sqlite *sqlite, struct store_write *const *writes, size_t n_writes)
{
	int r = sqlite_exec(sqlite, SQL_BEGIN);

	for (size_t i = 0; r == 0 && i < n_writes; i++)
		r = sqlite_one(sqlite, writes[i]);
	if (r == 0)
		r = sqlite_objects_save(sqlite);
	if (r == 0)
		r = sqlite_epochs_save(sqlite);
	if (r == 0)
		r = sqlite_exec(sqlite, SQL_COMMIT);
	return r;
}

static int sqlite_write(struct store *store, struct store_write *const *writes, size_t n_writes)
{
	struct sqlite *sqlite = sqlite_of(store);
	int r = sqlite_group(sqlite, writes, n_writes);

	if (r == 0)
		return 0;
	/* Some errors have rolled back already. */
	if (!sqlite3_get_autocommit(sqlite->db))
		sqlite_exec(sqlite, SQL_ROLLBACK);
	sqlite_epochs_forget(sqlite);
	sqlite_objects_forget(sqlite);
	sqlite->next_event_id = 0;
	sqlite->audit_is_known = false;
	for (size_t i = 0; i < n_writes; i++)
		store_write_release(writes[i]);
	return r;
}

const struct store_ops store_sqlite = {
	.name = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.write = sqlite_write,
	.watermark = sqlite_watermark,
	.query = sqlite_query,
	.newest = sqlite_newest,
	.hosts = sqlite_hosts,
	.commands = sqlite_commands,
	.campaigns = sqlite_campaigns,
	.members = sqlite_members,
	.audits = sqlite_audits,
	.objects = sqlite_objects,
	.retain = sqlite_retain,
	.size = sqlite_size,
	.settle = sqlite_settle,
};
