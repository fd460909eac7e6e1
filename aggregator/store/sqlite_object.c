/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/store/object.h"
#include "aggregator/store/sqlite_command.h"
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

static int object_event(struct sqlite *sqlite, int64_t host, uint64_t now_ns, const uint8_t *event,
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

/* ---- the last event of each map in a group ---- */

#define OBJECT_MAX_MAPS 256 /* then the group's first part is looked at early */

struct sqlite_map {
	struct map_node node; /* first; by key */
	struct {
		int64_t host;
		char id[248];
	} key;
	const uint8_t *event; /* in the batch, which outlives the group */
	size_t size;
	uint64_t now_ns;
};

void sqlite_objects_forget(struct sqlite *sqlite)
{
	size_t n = sqlite->maps.n_nodes;

	for (size_t i = 0; i < n; i++)
		map_remove(&sqlite->maps, &sqlite->map_pool[i].node);
}

int sqlite_objects_save(struct sqlite *sqlite)
{
	size_t n = sqlite->maps.n_nodes;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct sqlite_map *map = &sqlite->map_pool[i];

		r = object_event(sqlite, map->key.host, map->now_ns, map->event, map->size);
	}
	sqlite_objects_forget(sqlite);
	return r;
}

/* The entry of the event's map, new or not; NULL: no memory or no room. */
static struct sqlite_map *object_map(struct sqlite *sqlite, int64_t host, const struct row *row)
{
	struct sqlite_map *map, *next;

	if (!sqlite->map_pool)
		sqlite->map_pool = calloc(OBJECT_MAX_MAPS, sizeof(*sqlite->map_pool));
	if (!sqlite->map_pool || sqlite->maps.n_nodes == OBJECT_MAX_MAPS)
		return NULL;
	next = &sqlite->map_pool[sqlite->maps.n_nodes];
	memset(&next->key, 0, sizeof(next->key));
	next->key.host = host;
	memcpy(next->key.id, row->head.subject_id, row->head.subject_id_len);
	map = (struct sqlite_map *)map_find(&sqlite->maps, &next->key, sizeof(next->key));
	if (map)
		return map;
	return map_add(&sqlite->maps, &next->node, &next->key, sizeof(next->key)) == 0 ? next
										       : NULL;
}

int sqlite_object_event(struct sqlite *sqlite, int64_t host, uint64_t now_ns, const struct row *row)
{
	struct sqlite_map *map = NULL;
	int r;

	/* Kinds 200 to 217 have the map as subject, named by its UUID or its number. */
	if (row->head.kind < 200 || row->head.kind >= 300 || row->head.subject_id_len == 0 ||
	    row->head.subject_id_len >= sizeof(map->key.id))
		return object_event(sqlite, host, now_ns, row->event, row->event_size);
	map = object_map(sqlite, host, row);
	if (!map) {
		r = sqlite_objects_save(sqlite);
		return r < 0 ? r : object_event(sqlite, host, now_ns, row->event, row->event_size);
	}
	map->event = row->event;
	map->size = row->event_size;
	map->now_ns = now_ns;
	return 0;
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
