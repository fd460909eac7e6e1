/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "aggregator/store/sqlite_command.h"
#include "proto/arena.h"
#include "proto/kind.h"

#define CAMPAIGNS_ARENA_MAX    (4u << 20)
#define CAMPAIGNS_MAX_FAILURES 100

static int campaigns_counts(struct sqlite *sqlite, struct store_campaign *campaign)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_CAMPAIGN_COUNTS);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, (int64_t)campaign->ordinal);
	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		uint32_t life = (uint32_t)sqlite3_column_int64(statement, 0) % STORE_LIVES;
		uint32_t n = (uint32_t)sqlite3_column_int64(statement, 2);

		campaign->lives[life] += n;
		if (sqlite3_column_int64(statement, 1) != 0 && !command_life_is_final(life) &&
		    life != PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_INDETERMINATE)
			campaign->n_lost += n;
	}
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

static int campaigns_failure(sqlite3_stmt *statement, struct arena *arena,
			     struct store_campaign_failure *failure)
{
	failure->host_id = arena_strdup(arena, sqlite_text(statement, 0));
	failure->life = (uint32_t)sqlite3_column_int64(statement, 1);
	failure->refusal = (uint32_t)sqlite3_column_int64(statement, 2);
	failure->detail = arena_strdup(arena, sqlite_text(statement, 3));
	failure->unix_ns = (uint64_t)sqlite3_column_int64(statement, 4);
	return failure->host_id && failure->detail ? 0 : -ENOMEM;
}

static int campaigns_failures(struct sqlite *sqlite, struct arena *arena,
			      struct store_campaign *campaign)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_CAMPAIGN_FAILURES);
	struct store_campaign_failure *failures;
	int r = SQLITE_DONE, error = 0;

	if (!statement)
		return sqlite_last(sqlite);
	failures = arena_alloc(arena, CAMPAIGNS_MAX_FAILURES * sizeof(*failures));
	if (!failures)
		return -ENOMEM;
	campaign->failures = failures;
	sqlite3_bind_int64(statement, 1, (int64_t)campaign->ordinal);
	while (error == 0 && campaign->n_failures < CAMPAIGNS_MAX_FAILURES &&
	       (r = sqlite3_step(statement)) == SQLITE_ROW)
		error = campaigns_failure(statement, arena, &failures[campaign->n_failures++]);
	sqlite3_reset(statement);
	return error < 0 ? error : sqlite_errno(sqlite, r);
}

static void campaigns_columns(sqlite3_stmt *statement, struct store_campaign *campaign)
{
	memset(campaign, 0, sizeof(*campaign));
	campaign->ordinal = (uint64_t)sqlite3_column_int64(statement, 0);
	if (sqlite3_column_bytes(statement, 1) == 16)
		memcpy(campaign->id, sqlite3_column_blob(statement, 1), 16);
	campaign->name = sqlite_text(statement, 2);
	campaign->verb = sqlite_text(statement, 3);
	campaign->issuer = sqlite_text(statement, 4);
	campaign->submitted_by = sqlite_text(statement, 5);
	campaign->reason = sqlite_text(statement, 6);
	campaign->policy = sqlite3_column_blob(statement, 7);
	campaign->policy_size = (size_t)sqlite3_column_bytes(statement, 7);
	campaign->submitted_unix_ns = (uint64_t)sqlite3_column_int64(statement, 8);
	campaign->not_before_unix_ns = (uint64_t)sqlite3_column_int64(statement, 9);
	campaign->expires_unix_ns = (uint64_t)sqlite3_column_int64(statement, 10);
	campaign->timeout_ns = (uint64_t)sqlite3_column_int64(statement, 11);
	campaign->total = (uint32_t)sqlite3_column_int64(statement, 12);
	campaign->state = (uint32_t)sqlite3_column_int64(statement, 13);
	campaign->state_reason = sqlite_text(statement, 14);
	campaign->wave = (uint32_t)sqlite3_column_int64(statement, 15);
	campaign->wave_size = (uint32_t)sqlite3_column_int64(statement, 16);
	campaign->wave_used = (uint32_t)sqlite3_column_int64(statement, 17);
	campaign->forgiven = (uint64_t)sqlite3_column_int64(statement, 18);
	campaign->changed_unix_ns = (uint64_t)sqlite3_column_int64(statement, 19);
	campaign->version = (uint64_t)sqlite3_column_int64(statement, 20);
}

static sqlite3_stmt *campaigns_start(struct sqlite *sqlite,
				     const struct store_campaign_query *query)
{
	sqlite3_stmt *statement;

	if (query->id) {
		statement = sqlite_prepare(sqlite, SQL_CAMPAIGN_BY_ID);
		if (statement)
			sqlite3_bind_blob(statement, 1, query->id, 16, SQLITE_STATIC);
		return statement;
	}
	statement = sqlite_prepare(sqlite, query->open ? SQL_CAMPAIGNS_OPEN : SQL_CAMPAIGNS_RECENT);
	if (!statement)
		return NULL;
	sqlite3_bind_int64(statement, 1,
			   query->before_ordinal ? sqlite_int(query->before_ordinal) : INT64_MAX);
	sqlite3_bind_int64(statement, 2, query->limit);
	return statement;
}

static int campaigns_run(struct sqlite *sqlite, const struct store_campaign_query *query,
			 struct arena *arena,
			 bool (*row)(void *data, const struct store_campaign *campaign), void *data)
{
	sqlite3_stmt *statement = campaigns_start(sqlite, query);
	struct store_campaign campaign;
	int r, error = 0;

	if (!statement)
		return sqlite_last(sqlite);
	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		arena_reset(arena);
		campaigns_columns(statement, &campaign);
		error = campaigns_counts(sqlite, &campaign);
		if (error == 0)
			error = campaigns_failures(sqlite, arena, &campaign);
		if (error < 0 || !row(data, &campaign))
			break;
	}
	sqlite3_reset(statement);
	return error < 0 ? error : sqlite_errno(sqlite, r);
}

int sqlite_campaigns(struct store *store, const struct store_campaign_query *query,
		     bool (*row)(void *data, const struct store_campaign *campaign), void *data)
{
	struct sqlite *sqlite = sqlite_of(store);
	struct arena *arena;
	int r = arena_new(&arena, CAMPAIGNS_ARENA_MAX);

	if (r < 0)
		return r;
	r = sqlite_exec(sqlite, SQL_BEGIN_READ);
	if (r == 0) {
		r = campaigns_run(sqlite, query, arena, row, data);
		sqlite_exec(sqlite, SQL_COMMIT);
	}
	arena_free(arena);
	return r;
}

static int campaigns_ordinal(struct sqlite *sqlite, const uint8_t id[16], int64_t *ret_ordinal)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_CAMPAIGN_FIND);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_blob(statement, 1, id, 16, SQLITE_STATIC);
	r = sqlite3_step(statement);
	*ret_ordinal = r == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

static int campaigns_members(struct sqlite *sqlite, int64_t ordinal,
			     bool (*row)(void *data, const struct store_member *member), void *data)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_CAMPAIGN_MEMBERS);
	struct store_member member;
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, ordinal);
	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		member.host_id = sqlite_text(statement, 0);
		member.target = sqlite_text(statement, 1);
		member.dispatched_unix_ns = (uint64_t)sqlite3_column_int64(statement, 2);
		member.lost = sqlite3_column_int64(statement, 3) != 0;
		member.life = (uint32_t)sqlite3_column_int64(statement, 4);
		member.command_id = sqlite3_column_blob(statement, 5);
		if (!row(data, &member))
			break;
	}
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

int sqlite_members(struct store *store, const uint8_t campaign_id[16],
		   bool (*row)(void *data, const struct store_member *member), void *data)
{
	struct sqlite *sqlite = sqlite_of(store);
	int64_t ordinal = 0;
	int r = sqlite_exec(sqlite, SQL_BEGIN_READ);

	if (r < 0)
		return r;
	r = campaigns_ordinal(sqlite, campaign_id, &ordinal);
	if (r == 0)
		r = campaigns_members(sqlite, ordinal, row, data);
	sqlite_exec(sqlite, SQL_COMMIT);
	return r;
}
