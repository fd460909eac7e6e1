/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/store/sqlite_command.h"
#include "proto/arena.h"

/* A record of 10000 hosts with 32 transitions each is 25 MB. */
#define SQLITE_RECORD_MAX (64u << 20)

struct sqlite_record {
	struct arena *arena; /* strings and arrays of one record */
	struct store_command_host *hosts;
	size_t n_hosts, max_hosts;
};

static int sqlite_record_grow(struct sqlite_record *record)
{
	size_t max = record->max_hosts ? record->max_hosts * 2 : 16;
	struct store_command_host *hosts = realloc(record->hosts, max * sizeof(*hosts));

	if (!hosts)
		return -ENOMEM;
	record->hosts = hosts;
	record->max_hosts = max;
	return 0;
}

static int sqlite_record_host(struct sqlite_record *record, sqlite3_stmt *statement)
{
	struct store_command_host *host;
	int r = record->n_hosts == record->max_hosts ? sqlite_record_grow(record) : 0;

	if (r < 0)
		return r;
	host = &record->hosts[record->n_hosts];
	memset(host, 0, sizeof(*host));
	host->host_id = arena_strdup(record->arena, sqlite_text(statement, 0));
	host->life = (uint32_t)sqlite3_column_int64(statement, 1);
	host->refusal = (uint32_t)sqlite3_column_int64(statement, 2);
	host->detail = arena_strdup(record->arena, sqlite_text(statement, 3));
	host->changed_unix_ns = (uint64_t)sqlite3_column_int64(statement, 4);
	if (!host->host_id || !host->detail)
		return -ENOMEM;
	record->n_hosts++;
	return 0;
}

static int sqlite_record_hosts(struct sqlite *sqlite, struct sqlite_record *record,
			       uint64_t ordinal)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_COMMAND_HOSTS);
	int r, error = 0;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, (int64_t)ordinal);
	while (error == 0 && (r = sqlite3_step(statement)) == SQLITE_ROW)
		error = sqlite_record_host(record, statement);
	sqlite3_reset(statement);
	return error < 0 ? error : sqlite_errno(sqlite, r);
}

static int sqlite_record_transition(struct sqlite_record *record, struct store_command_host *host,
				    sqlite3_stmt *statement)
{
	struct store_transition *transitions = (struct store_transition *)host->transitions;

	if (!transitions) {
		transitions = arena_alloc(record->arena, 32 * sizeof(*transitions));
		host->transitions = transitions;
	}
	if (!transitions)
		return -ENOMEM;
	if (host->n_transitions == 32)
		return 0;
	transitions += host->n_transitions++;
	transitions->life = (uint32_t)sqlite3_column_int64(statement, 1);
	transitions->refusal = (uint32_t)sqlite3_column_int64(statement, 2);
	transitions->detail = arena_strdup(record->arena, sqlite_text(statement, 3));
	transitions->unix_ns = (uint64_t)sqlite3_column_int64(statement, 4);
	return transitions->detail ? 0 : -ENOMEM;
}

/* Both are in order of host id: one pass. */
static int sqlite_record_transitions(struct sqlite *sqlite, struct sqlite_record *record,
				     uint64_t ordinal)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_COMMAND_TRANSITIONS);
	size_t i = 0;
	int r, error = 0;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, (int64_t)ordinal);
	while (error == 0 && (r = sqlite3_step(statement)) == SQLITE_ROW) {
		const char *host_id = sqlite_text(statement, 0);

		while (i < record->n_hosts && strcmp(record->hosts[i].host_id, host_id) < 0)
			i++;
		if (i < record->n_hosts && strcmp(record->hosts[i].host_id, host_id) == 0)
			error = sqlite_record_transition(record, &record->hosts[i], statement);
	}
	sqlite3_reset(statement);
	return error < 0 ? error : sqlite_errno(sqlite, r);
}

static int sqlite_record_read(struct sqlite *sqlite, struct sqlite_record *record,
			      sqlite3_stmt *statement, struct store_command *command)
{
	int r;

	arena_reset(record->arena);
	record->n_hosts = 0;
	memset(command, 0, sizeof(*command));
	command->ordinal = (uint64_t)sqlite3_column_int64(statement, 0);
	if (sqlite3_column_bytes(statement, 1) == 16)
		memcpy(command->id, sqlite3_column_blob(statement, 1), 16);
	command->verb = sqlite_text(statement, 2);
	command->issuer = sqlite_text(statement, 3);
	command->submitted_by = sqlite_text(statement, 4);
	command->reason = sqlite_text(statement, 5);
	command->target = sqlite_text(statement, 6);
	command->submitted_unix_ns = (uint64_t)sqlite3_column_int64(statement, 7);
	command->not_before_unix_ns = (uint64_t)sqlite3_column_int64(statement, 8);
	command->expires_unix_ns = (uint64_t)sqlite3_column_int64(statement, 9);
	command->envelope = sqlite3_column_blob(statement, 10);
	command->envelope_size = (size_t)sqlite3_column_bytes(statement, 10);
	command->last_change = (uint64_t)sqlite3_column_int64(statement, 11);
	command->cancelled_unix_ns = (uint64_t)sqlite3_column_int64(statement, 12);
	command->has_campaign = sqlite3_column_bytes(statement, 13) == 16;
	if (command->has_campaign)
		memcpy(command->campaign_id, sqlite3_column_blob(statement, 13), 16);
	r = sqlite_record_hosts(sqlite, record, command->ordinal);
	if (r == 0)
		r = sqlite_record_transitions(sqlite, record, command->ordinal);
	command->hosts = record->hosts;
	command->n_hosts = record->n_hosts;
	return r;
}

static sqlite3_stmt *sqlite_commands_start(struct sqlite *sqlite,
					   const struct store_command_query *query)
{
	enum sqlite_sql sql = query->host_id ? SQL_COMMANDS_RECENT_HOST : SQL_COMMANDS_RECENT;
	int64_t before = query->before_ordinal ? sqlite_int(query->before_ordinal) : INT64_MAX;
	sqlite3_stmt *statement;

	if (query->id)
		sql = SQL_COMMAND_BY_ID;
	else if (query->by_change)
		sql = SQL_COMMANDS_CHANGED;
	else if (query->unreceived)
		sql = SQL_COMMANDS_UNRECEIVED;
	else if (query->unfinished)
		sql = SQL_COMMANDS_UNFINISHED;
	statement = sqlite_prepare(sqlite, sql);
	if (!statement)
		return NULL;
	if (query->id) {
		sqlite3_bind_blob(statement, 1, query->id, 16, SQLITE_STATIC);
		return statement;
	}
	if (query->by_change || query->unreceived || query->unfinished)
		before =
			sqlite_int(query->by_change ? query->changed_after : query->before_ordinal);
	sqlite3_bind_int64(statement, 1, before);
	sqlite3_bind_int64(statement, 2, query->limit);
	if (query->host_id && sql == SQL_COMMANDS_RECENT_HOST)
		sqlite_bind_text(statement, 3, query->host_id);
	return statement;
}

static int sqlite_commands_run(struct sqlite *sqlite, const struct store_command_query *query,
			       struct sqlite_record *record,
			       bool (*row)(void *data, const struct store_command *command),
			       void *data)
{
	sqlite3_stmt *statement = sqlite_commands_start(sqlite, query);
	int r, error = 0;

	if (!statement)
		return sqlite_last(sqlite);
	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		struct store_command command;

		error = sqlite_record_read(sqlite, record, statement, &command);
		if (error < 0 || !row(data, &command))
			break;
	}
	sqlite3_reset(statement);
	return error < 0 ? error : sqlite_errno(sqlite, r);
}

int sqlite_commands(struct store *store, const struct store_command_query *query,
		    bool (*row)(void *data, const struct store_command *command), void *data)
{
	struct sqlite *sqlite = sqlite_of(store);
	struct sqlite_record record = { 0 };
	int r = arena_new(&record.arena, SQLITE_RECORD_MAX);

	if (r < 0)
		return r;
	r = sqlite_exec(sqlite, SQL_BEGIN_READ);
	if (r == 0) {
		r = sqlite_commands_run(sqlite, query, &record, row, data);
		sqlite_exec(sqlite, SQL_COMMIT);
	}
	arena_free(record.arena);
	free(record.hosts);
	return r;
}
