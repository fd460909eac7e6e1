/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/store/sqlite.h"

/* Above this many the cache is emptied between groups; a row lookup brings an entry back. */
#define SQLITE_EPOCHS_MAX 65536

int sqlite_host(struct sqlite *sqlite, const char *host_id, uint64_t now_ns, int64_t *ret_id)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_HOST_FIND);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite_bind_text(statement, 1, host_id);
	r = sqlite3_step(statement);
	*ret_id = r == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	sqlite3_reset(statement);
	if (r == SQLITE_ROW || r != SQLITE_DONE)
		return sqlite_errno(sqlite, r);
	statement = sqlite_prepare(sqlite, SQL_HOST_ADD);
	if (!statement)
		return sqlite_last(sqlite);
	sqlite_bind_text(statement, 1, host_id);
	sqlite3_bind_int64(statement, 2, sqlite_int(now_ns));
	r = sqlite_run(sqlite, statement);
	*ret_id = sqlite3_last_insert_rowid(sqlite->db);
	return r;
}

/* 1: found. */
static int sqlite_epoch_find(struct sqlite *sqlite, struct sqlite_epoch *epoch)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_EPOCH_FIND);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite_bind_text(statement, 1, epoch->key.host_id);
	sqlite3_bind_blob(statement, 2, epoch->key.epoch, 16, SQLITE_STATIC);
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW) {
		epoch->id = sqlite3_column_int64(statement, 0);
		epoch->mark = (uint64_t)sqlite3_column_int64(statement, 1);
		epoch->events = (uint64_t)sqlite3_column_int64(statement, 2);
		epoch->tombstoned = (uint64_t)sqlite3_column_int64(statement, 3);
		epoch->last_event = (uint64_t)sqlite3_column_int64(statement, 4);
		epoch->ahead = (uint64_t)sqlite3_column_int64(statement, 5);
	}
	sqlite3_reset(statement);
	return r == SQLITE_ROW ? 1 : sqlite_errno(sqlite, r);
}

static int sqlite_epoch_add(struct sqlite *sqlite, struct sqlite_epoch *epoch)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_EPOCH_ADD);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, epoch->host);
	sqlite3_bind_blob(statement, 2, epoch->key.epoch, 16, SQLITE_STATIC);
	r = sqlite_run(sqlite, statement);
	epoch->id = sqlite3_last_insert_rowid(sqlite->db);
	return r;
}

int sqlite_epoch(struct sqlite *sqlite, const char *host_id, const uint8_t epoch[16],
		 uint64_t now_ns, struct sqlite_epoch **ret_epoch)
{
	struct sqlite_epoch_key key = { 0 };
	struct sqlite_epoch *found;
	int r;

	if (strlen(host_id) > SQLITE_HOST_MAX)
		return -EINVAL;
	memcpy(key.host_id, host_id, strlen(host_id));
	memcpy(key.epoch, epoch, 16);
	found = (struct sqlite_epoch *)map_find(&sqlite->epochs, &key, sizeof(key));
	if (found) {
		*ret_epoch = found;
		return 0;
	}
	found = calloc(1, sizeof(*found));
	if (!found)
		return -ENOMEM;
	found->key = key;
	r = sqlite_host(sqlite, host_id, now_ns, &found->host);
	if (r == 0)
		r = sqlite_epoch_find(sqlite, found);
	if (r == 0)
		r = sqlite_epoch_add(sqlite, found);
	if (r >= 0)
		r = map_add(&sqlite->epochs, &found->node, &found->key, sizeof(found->key));
	if (r < 0) {
		free(found);
		return r;
	}
	*ret_epoch = found;
	return 0;
}

void sqlite_epoch_dirty(struct sqlite *sqlite, struct sqlite_epoch *epoch)
{
	if (epoch->dirty)
		return;
	epoch->dirty = true;
	epoch->next_dirty = sqlite->dirty_epochs;
	sqlite->dirty_epochs = epoch;
}

static int sqlite_epoch_save(struct sqlite *sqlite, const struct sqlite_epoch *epoch)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_EPOCH_SAVE);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, epoch->id);
	sqlite3_bind_int64(statement, 2, sqlite_int(epoch->mark));
	sqlite3_bind_int64(statement, 3, sqlite_int(epoch->events));
	sqlite3_bind_int64(statement, 4, sqlite_int(epoch->tombstoned));
	sqlite3_bind_int64(statement, 5, sqlite_int(epoch->last_event));
	sqlite3_bind_int64(statement, 6, sqlite_int(epoch->ahead));
	return sqlite_run(sqlite, statement);
}

int sqlite_epochs_save(struct sqlite *sqlite)
{
	while (sqlite->dirty_epochs) {
		struct sqlite_epoch *epoch = sqlite->dirty_epochs;
		int r = sqlite_epoch_save(sqlite, epoch);

		if (r < 0)
			return r;
		sqlite->dirty_epochs = epoch->next_dirty;
		epoch->dirty = false;
	}
	if (sqlite->epochs.n_nodes > SQLITE_EPOCHS_MAX)
		sqlite_epochs_forget(sqlite);
	return 0;
}

static void sqlite_epoch_free(struct map_node *node, void *data)
{
	free(node);
}

void sqlite_epochs_forget(struct sqlite *sqlite)
{
	map_each(&sqlite->epochs, sqlite_epoch_free, NULL);
	map_deinit(&sqlite->epochs);
	sqlite->dirty_epochs = NULL;
}
