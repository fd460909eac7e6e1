/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one command on one host: state, transitions, audit. */
#include <stdio.h>

#include "aggregator/store/sqlite_command.h"
#include "proto/kind.h"

/* Two statements that take the same six values. */
static int sqlite_life_put(struct sqlite *sqlite, const struct sqlite_life *life,
			   enum sqlite_sql which)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, which);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, life->command);
	sqlite_bind_text(statement, 2, life->host_id);
	sqlite3_bind_int64(statement, 3, life->life);
	sqlite3_bind_int64(statement, 4, life->refusal);
	sqlite_bind_text(statement, 5, life->detail);
	sqlite3_bind_int64(statement, 6, sqlite_int(life->at));
	return sqlite_run(sqlite, statement);
}

int sqlite_life_add(struct sqlite *sqlite, const struct sqlite_life *life)
{
	return sqlite_life_put(sqlite, life, SQL_TRANSITION_ADD);
}

static int sqlite_life_bump(struct sqlite *sqlite, const struct sqlite_life *life)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_CAMPAIGN_BUMP);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, life->campaign);
	sqlite3_bind_int64(statement, 2, sqlite_int(life->at));
	return sqlite_run(sqlite, statement);
}

int sqlite_life_change(struct sqlite *sqlite, const struct sqlite_life *life)
{
	int r = sqlite_life_put(sqlite, life, SQL_COMMAND_HOST_SET);

	if (r == 0)
		r = sqlite_life_add(sqlite, life);
	if (r == 0 && life->campaign != 0)
		r = sqlite_life_bump(sqlite, life);
	return r;
}

int sqlite_life_audit(struct sqlite *sqlite, const struct store_write *write,
		      const struct sqlite_life *life)
{
	char detail[1400];
	const struct store_audit audit = { .action = "command.life",
					   .command_id = life->command_id,
					   .host_id = life->host_id,
					   .detail = detail };

	/* The proof first: a long detail is what may be cut. */
	snprintf(detail, sizeof(detail), "life=%s%s%s%s%s%s%s", command_life_name(life->life),
		 life->refusal ? " refusal=" : "",
		 life->refusal ? command_refusal_name(life->refusal) : "",
		 life->proof && life->proof[0] ? " " : "", life->proof ? life->proof : "",
		 life->detail[0] ? " " : "", life->detail);
	return sqlite_audit(sqlite, write, &audit);
}

int sqlite_life_set(struct sqlite *sqlite, const struct store_write *write,
		    const struct sqlite_life *life)
{
	int r = sqlite_life_change(sqlite, life);

	return r < 0 ? r : sqlite_life_audit(sqlite, write, life);
}

int sqlite_life_find(struct sqlite *sqlite, const uint8_t id[16], const char *host_id,
		     struct sqlite_life *ret_life)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_COMMAND_HOST_FIND);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_blob(statement, 1, id, 16, SQLITE_STATIC);
	sqlite_bind_text(statement, 2, host_id);
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW) {
		ret_life->command = sqlite3_column_int64(statement, 0);
		ret_life->life = (uint32_t)sqlite3_column_int64(statement, 1);
		ret_life->campaign = sqlite3_column_int64(statement, 2);
	}
	sqlite3_reset(statement);
	return r == SQLITE_ROW ? 1 : sqlite_errno(sqlite, r);
}
