/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "aggregator/store/object.h"
#include "aggregator/store/sqlite.h"
#include "proto/arena.h"
#include "proto/codec.h"

#define OBJECT_ARENA_MAX (1u << 20)

static int object_drop(struct sqlite *sqlite, int64_t host, const char *key)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_OBJECT_DROP);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, host);
	sqlite_bind_text(statement, 2, key);
	return sqlite_run(sqlite, statement);
}

static int object_count(struct sqlite *sqlite, int64_t host, int64_t *ret_n)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_OBJECT_COUNT);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, host);
	r = sqlite3_step(statement);
	*ret_n = r == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

static int object_trim(struct sqlite *sqlite, int64_t host)
{
	sqlite3_stmt *statement;
	int64_t n = 0;
	int r = object_count(sqlite, host, &n);

	if (r < 0 || n <= STORE_MAX_OBJECTS)
		return r;
	statement = sqlite_prepare(sqlite, SQL_OBJECT_TRIM);
	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, host);
	sqlite3_bind_int64(statement, 2, n - STORE_MAX_OBJECTS);
	return sqlite_run(sqlite, statement);
}

static void object_bind(sqlite3_stmt *statement, int64_t host, const struct store_object *object)
{
	const char *texts[] = { object->name,	object->map_uuid, object->wwid,
				object->vendor, object->model,	  object->serial,
				object->nqn,	object->address,  object->port };

	sqlite3_bind_int64(statement, 1, host);
	sqlite_bind_text(statement, 2, object->key);
	sqlite3_bind_int64(statement, 3, object->type);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		sqlite_bind_text(statement, (int)i + 4, texts[i]);
	sqlite3_bind_int64(statement, 13, object->usable);
	sqlite3_bind_int64(statement, 14, object->total);
	sqlite3_bind_int64(statement, 15, sqlite_int(object->changed_unix_ns));
}

static int object_set(struct sqlite *sqlite, int64_t host, const struct store_object *object)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_OBJECT_UPDATE);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	object_bind(statement, host, object);
	r = sqlite_run(sqlite, statement);
	if (r < 0 || sqlite3_changes(sqlite->db) > 0)
		return r;
	statement = sqlite_prepare(sqlite, SQL_OBJECT_ADD);
	if (!statement)
		return sqlite_last(sqlite);
	object_bind(statement, host, object);
	r = sqlite_run(sqlite, statement);
	return r < 0 ? r : object_trim(sqlite, host);
}

int sqlite_object_event(struct sqlite *sqlite, int64_t host, uint64_t now_ns, const uint8_t *event,
			size_t size)
{
	char key[OBJECT_KEY_SIZE];
	const Pathbell__V1__Event *message;
	struct store_object object;
	int r = sqlite->arena ? 0 : arena_new(&sqlite->arena, OBJECT_ARENA_MAX);

	if (r < 0)
		return r;
	arena_reset(sqlite->arena);
	message = codec_unpack(&pathbell__v1__event__descriptor, &scan_limits_event, sqlite->arena,
			       event, size, NULL);
	if (!message)
		return 0; /* the event itself is stored */
	switch (object_of(message, key, &object)) {
	case OBJECT_SET:
		object.changed_unix_ns = now_ns;
		return object_set(sqlite, host, &object);
	case OBJECT_GONE:
		return object_drop(sqlite, host, key);
	default:
		return 0;
	}
}

/* ---- reading ---- */

static bool object_read(sqlite3_stmt *statement, struct store_object *object)
{
	if (sqlite3_column_type(statement, 1) == SQLITE_NULL)
		return false;
	object->key = sqlite_text(statement, 1);
	object->type = (enum store_object_type)sqlite3_column_int(statement, 2);
	object->name = sqlite_text(statement, 3);
	object->map_uuid = sqlite_text(statement, 4);
	object->wwid = sqlite_text(statement, 5);
	object->vendor = sqlite_text(statement, 6);
	object->model = sqlite_text(statement, 7);
	object->serial = sqlite_text(statement, 8);
	object->nqn = sqlite_text(statement, 9);
	object->address = sqlite_text(statement, 10);
	object->port = sqlite_text(statement, 11);
	object->usable = (uint32_t)sqlite3_column_int64(statement, 12);
	object->total = (uint32_t)sqlite3_column_int64(statement, 13);
	object->changed_unix_ns = (uint64_t)sqlite3_column_int64(statement, 14);
	return true;
}

int sqlite_objects_seen(struct sqlite *sqlite, const char *host_id,
			const struct store_target *target, struct target_seen *ret_seen)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_OBJECTS_HOST);
	struct store_object object;
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	memset(ret_seen, 0, sizeof(*ret_seen));
	sqlite_bind_text(statement, 1, host_id);
	while ((r = sqlite3_step(statement)) == SQLITE_ROW)
		if (object_read(statement, &object))
			target_see(ret_seen, target, &object);
	sqlite3_reset(statement);
	target_settle(ret_seen, target);
	return sqlite_errno(sqlite, r);
}

int sqlite_objects(struct store *store,
		   bool (*row)(void *data, const char *host_id, const char *hostname,
			       const struct store_object *object),
		   void *data)
{
	struct sqlite *sqlite = sqlite_of(store);
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_OBJECTS);
	struct store_object object;
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		bool is_there = object_read(statement, &object);

		if (!row(data, sqlite_text(statement, 0), sqlite_text(statement, 15),
			 is_there ? &object : NULL))
			break;
	}
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}
