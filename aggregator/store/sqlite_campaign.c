/* SPDX-License-Identifier: Apache-2.0 */
/* Writing campaigns: a new one with all its commands, and what the engine decided since. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/store/sqlite_command.h"
#include "proto/kind.h"

#define LIFE(name) PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

/* 1: found. */
static int campaign_find(struct sqlite *sqlite, const uint8_t id[16], int64_t *ret_ordinal)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_CAMPAIGN_FIND);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_blob(statement, 1, id, 16, SQLITE_STATIC);
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW)
		*ret_ordinal = sqlite3_column_int64(statement, 0);
	sqlite3_reset(statement);
	return r == SQLITE_ROW ? 1 : sqlite_errno(sqlite, r);
}

/* ---- a new one ---- */

/* One host on its way to a position. */
struct campaign_place {
	const char *host_id;
	int64_t command; /* row */
	size_t number;	 /* as submitted */
	struct target_seen seen;
};

static int campaign_insert(struct sqlite *sqlite, const struct store_write *write, size_t total)
{
	const struct store_new_campaign *campaign = &write->campaign;
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_CAMPAIGN_ADD);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_blob(statement, 1, campaign->id, 16, SQLITE_STATIC);
	sqlite_bind_text(statement, 2, campaign->name);
	sqlite_bind_text(statement, 3, campaign->verb);
	sqlite_bind_text(statement, 4, campaign->issuer);
	sqlite_bind_text(statement, 5, campaign->submitted_by);
	sqlite_bind_text(statement, 6, campaign->reason);
	sqlite3_bind_blob64(statement, 7, campaign->policy, campaign->policy_size, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 8, sqlite_int(write->now_unix_ns));
	sqlite3_bind_int64(statement, 9, sqlite_int(campaign->not_before_unix_ns));
	sqlite3_bind_int64(statement, 10, sqlite_int(campaign->expires_unix_ns));
	sqlite3_bind_int64(statement, 11, sqlite_int(campaign->timeout_ns));
	sqlite3_bind_int64(statement, 12, sqlite_int(total));
	sqlite3_bind_int64(statement, 13, campaign->wave_size);
	return sqlite_run(sqlite, statement);
}

static bool campaign_is_cut_off(const struct campaign_place *place)
{
	return place->seen.n_objects > 0 && place->seen.usable == 0;
}

static int campaign_compare(const void *a, const void *b)
{
	const struct campaign_place *left = *(struct campaign_place *const *)a;
	const struct campaign_place *right = *(struct campaign_place *const *)b;

	if (campaign_is_cut_off(left) != campaign_is_cut_off(right))
		return campaign_is_cut_off(left) ? -1 : 1;
	return left->number < right->number ? -1 : left->number > right->number;
}

static int campaign_put_place(struct sqlite *sqlite, int64_t campaign, size_t position,
			      const struct campaign_place *place)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_CAMPAIGN_HOST_ADD);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, campaign);
	sqlite3_bind_int64(statement, 2, sqlite_int(position));
	sqlite3_bind_int64(statement, 3, place->command);
	sqlite_bind_text(statement, 4, place->host_id);
	sqlite_bind_text(statement, 5, place->seen.storage);
	return sqlite_run(sqlite, statement);
}

/* The commands into their tables, their hosts into @places. */
static int campaign_put_commands(struct sqlite *sqlite, struct store_write *write, int64_t campaign,
				 struct campaign_place *places)
{
	struct store_new_campaign *from = &write->campaign;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && write->ret_outcome == 0 && i < from->n_commands; i++) {
		struct store_new_command *command = &from->commands[i];
		int64_t ordinal = 0;

		r = sqlite_command_put(sqlite, write, command, campaign, &ordinal);
		if (r == 0 && write->ret_outcome == 0 && command->audit)
			r = sqlite_audit(sqlite, write, command->audit);
		if (write->ret_outcome != 0)
			snprintf(from->ret_detail, sizeof(from->ret_detail), "%s",
				 command->ret_detail);
		for (size_t j = 0; r == 0 && write->ret_outcome == 0 && j < command->n_hosts;
		     j++, n++) {
			places[n].host_id = command->host_ids[j];
			places[n].command = ordinal;
			places[n].number = n;
			r = sqlite_objects_seen(sqlite, places[n].host_id, &from->targets[i],
						&places[n].seen);
		}
	}
	return r;
}

static int campaign_put_places(struct sqlite *sqlite, int64_t campaign,
			       struct campaign_place *places, size_t n_places)
{
	struct campaign_place **order = calloc(n_places + 1, sizeof(struct campaign_place *));
	int r = 0;

	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < n_places; i++)
		order[i] = &places[i];
	qsort(order, n_places, sizeof(struct campaign_place *), campaign_compare);
	for (size_t i = 0; r == 0 && i < n_places; i++)
		r = campaign_put_place(sqlite, campaign, i, order[i]);
	free(order);
	return r;
}

static int campaign_put(struct sqlite *sqlite, struct store_write *write, size_t total)
{
	struct campaign_place *places = calloc(total + 1, sizeof(*places));
	int64_t campaign;
	int r;

	if (!places)
		return -ENOMEM;
	r = campaign_insert(sqlite, write, total);
	campaign = sqlite3_last_insert_rowid(sqlite->db);
	if (r == 0)
		r = campaign_put_commands(sqlite, write, campaign, places);
	if (r == 0 && write->ret_outcome == 0)
		r = campaign_put_places(sqlite, campaign, places, total);
	free(places);
	return r;
}

/* A refused command undoes the whole campaign, not the group. */
int sqlite_campaign(struct sqlite *sqlite, struct store_write *write)
{
	struct store_new_campaign *campaign = &write->campaign;
	int64_t known;
	int r = campaign_find(sqlite, campaign->id, &known);

	if (r != 0) {
		write->ret_outcome = r == 1 ? STORE_E_EXISTS : 0;
		return r < 0 ? r : 0;
	}
	r = sqlite_exec(sqlite, SQL_SAVE);
	if (r == 0)
		r = campaign_put(sqlite, write, campaign->n_hosts);
	if (r == 0 && write->ret_outcome != 0) {
		sqlite->audit_is_known = false; /* its records go too */
		r = sqlite_exec(sqlite, SQL_SAVE_ROLLBACK);
	}
	return r < 0 ? r : sqlite_exec(sqlite, SQL_SAVE_RELEASE);
}

/* ---- what the engine decided ---- */

static int campaign_set(struct sqlite *sqlite, const struct store_write *write, int64_t campaign)
{
	const struct store_campaign_state *state = &write->campaign_state;
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_CAMPAIGN_SET);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, campaign);
	sqlite3_bind_int64(statement, 2, state->state);
	sqlite_bind_text(statement, 3, state->reason);
	sqlite3_bind_int64(statement, 4, state->wave);
	sqlite3_bind_int64(statement, 5, state->wave_size);
	sqlite3_bind_int64(statement, 6, state->wave_used);
	sqlite3_bind_int64(statement, 7, sqlite_int(state->forgiven));
	sqlite3_bind_int64(statement, 8, sqlite_int(write->now_unix_ns));
	return sqlite_run(sqlite, statement);
}

static int campaign_touch(struct sqlite *sqlite, enum sqlite_sql sql, int64_t campaign,
			  uint32_t position, uint64_t value)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, sql);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, campaign);
	sqlite3_bind_int64(statement, 2, position);
	if (sql == SQL_CAMPAIGN_HOST_DISPATCHED)
		sqlite3_bind_int64(statement, 3, sqlite_int(value));
	return sqlite_run(sqlite, statement);
}

struct campaign_host {
	int64_t command;
	char host_id[SQLITE_HOST_MAX + 1];
	uint8_t command_id[16];
	uint32_t life;
	uint32_t position;
};

/* 1: found. @sql: SQL_CAMPAIGN_HOST_AT the position, or SQL_CAMPAIGN_QUEUED the next behind it. */
static int campaign_host(struct sqlite *sqlite, enum sqlite_sql sql, int64_t campaign,
			 int64_t position, struct campaign_host *ret_host)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, sql);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, campaign);
	sqlite3_bind_int64(statement, 2, position);
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW) {
		ret_host->command = sqlite3_column_int64(statement, 0);
		snprintf(ret_host->host_id, sizeof(ret_host->host_id), "%s",
			 sqlite_text(statement, 1));
		ret_host->life = (uint32_t)sqlite3_column_int64(statement, 2);
		ret_host->position = (uint32_t)sqlite3_column_int64(statement, 3);
		if (sqlite3_column_bytes(statement, 4) == 16)
			memcpy(ret_host->command_id, sqlite3_column_blob(statement, 4), 16);
	}
	sqlite3_reset(statement);
	return r == SQLITE_ROW ? 1 : sqlite_errno(sqlite, r);
}

static int campaign_life(struct sqlite *sqlite, const struct store_write *write,
			 const struct campaign_host *host, uint32_t next, const char *detail)
{
	const struct sqlite_life life = {
		.command = host->command,
		.host_id = host->host_id,
		.command_id = host->command_id,
		.detail = detail,
		.life = next,
		.at = write->now_unix_ns,
	};

	return sqlite_life_set(sqlite, write, &life);
}

/* Only from @before to @after; a host that has said or got something else stays as it is. */
static int campaign_move(struct sqlite *sqlite, const struct store_write *write, int64_t campaign,
			 uint32_t position, bool dispatch)
{
	uint32_t before = dispatch ? LIFE(QUEUED) : LIFE(DISPATCHED);
	struct campaign_host host = { 0 };
	int r = campaign_host(sqlite, SQL_CAMPAIGN_HOST_AT, campaign, position, &host);

	if (r != 1 || host.life != before)
		return r < 0 ? r : 0;
	r = campaign_touch(sqlite, SQL_CAMPAIGN_HOST_DISPATCHED, campaign, position,
			   dispatch ? write->now_unix_ns : 0);
	if (r < 0)
		return r;
	return dispatch ? campaign_life(sqlite, write, &host, LIFE(DISPATCHED), "")
			: campaign_life(sqlite, write, &host, LIFE(QUEUED),
					"not sent: the campaign stopped first");
}

static int campaign_sweep(struct sqlite *sqlite, const struct store_write *write, int64_t campaign)
{
	const struct store_campaign_state *state = &write->campaign_state;
	struct campaign_host host = { 0 };
	int64_t position = -1;
	int r;

	while ((r = campaign_host(sqlite, SQL_CAMPAIGN_QUEUED, campaign, position, &host)) == 1) {
		position = host.position;
		r = campaign_life(sqlite, write, &host, state->sweep, state->sweep_detail);
		if (r < 0)
			return r;
	}
	return r;
}

int sqlite_campaign_state(struct sqlite *sqlite, struct store_write *write)
{
	const struct store_campaign_state *state = &write->campaign_state;
	int64_t campaign = 0;
	int r = campaign_find(sqlite, state->id, &campaign);

	if (r == 0)
		write->ret_outcome = STORE_E_UNKNOWN;
	if (r != 1)
		return r;
	r = campaign_set(sqlite, write, campaign);
	for (size_t i = 0; r == 0 && i < state->n_marks; i++)
		r = campaign_move(sqlite, write, campaign, state->marks[i], true);
	for (size_t i = 0; r == 0 && i < state->n_unmarks; i++)
		r = campaign_move(sqlite, write, campaign, state->unmarks[i], false);
	for (size_t i = 0; r == 0 && i < state->n_lost; i++)
		r = campaign_touch(sqlite, SQL_CAMPAIGN_HOST_LOST, campaign, state->lost[i], 0);
	if (r == 0 && state->sweep != 0)
		r = campaign_sweep(sqlite, write, campaign);
	return r;
}
