/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/store/life.h"
#include "aggregator/store/sqlite_command.h"
#include "core/id.h"
#include "proto/codec.h"

#define LIFE(name) PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

int sqlite_command_told(struct sqlite *sqlite, struct store_write *write)
{
	struct store_command_state *state = &write->state;
	struct sqlite_life life = { 0 };
	int r = sqlite_life_find(sqlite, state->id, write->host_id, &life);

	state->ret_changed = false;
	if (r == 0)
		write->ret_outcome = STORE_E_UNKNOWN;
	if (r != 1 || !life_may_become(life.life, state->life, LIFE_AGGREGATOR))
		return r < 0 ? r : 0;
	state->ret_changed = true;
	life.host_id = write->host_id;
	life.detail = state->detail;
	life.life = state->life;
	life.refusal = 0;
	life.at = write->now_unix_ns;
	life.command_id = state->id;
	return sqlite_life_set(sqlite, write, &life);
}

static int sqlite_command_changed(struct store_batch *batch, const uint8_t id[16], uint32_t life)
{
	struct store_change *changes =
		realloc(batch->ret_changes, (batch->ret_n_changes + 1) * sizeof(*changes));

	if (!changes)
		return -ENOMEM;
	batch->ret_changes = changes;
	memcpy(changes[batch->ret_n_changes].command_id, id, 16);
	changes[batch->ret_n_changes++].life = life;
	return 0;
}

/* Ties the two chains: the newest record of the host's own audit when it told this. */
static void sqlite_command_proof(const Pathbell__V1__CommandState *state, char *ret_text,
				 size_t size)
{
	char hash[2 * 32 + 1] = "";

	ret_text[0] = '\0';
	if (state->audit_seq == 0 || state->audit_hash.len != 32)
		return;
	id_hex(state->audit_hash.data, 32, hash);
	snprintf(ret_text, size, "host_audit_seq=%" PRIu64 " host_audit_hash=%s key=%s",
		 state->audit_seq, hash, state->key_id);
}

static int sqlite_command_apply(struct sqlite *sqlite, struct store_write *write,
				const Pathbell__V1__CommandState *state)
{
	struct sqlite_life life = { 0 };
	char proof[256];
	int r;

	if (state->command_id.len != 16)
		return 0;
	r = sqlite_life_find(sqlite, state->command_id.data, write->host_id, &life);
	if (r != 1 || !life_may_become(life.life, state->life, LIFE_HOST))
		return r < 0 ? r : 0;
	sqlite_command_proof(state, proof, sizeof(proof));
	life.host_id = write->host_id;
	life.detail = state->detail;
	life.proof = proof;
	life.command_id = state->command_id.data;
	life.life = state->life;
	life.refusal = state->refusal;
	life.at = write->now_unix_ns;
	r = sqlite_life_change(sqlite, &life);
	/* Data never waits for the audit; what is missing in it is counted. */
	if (r == 0 && sqlite_life_audit(sqlite, write, &life) < 0)
		write->batch.ret_audit_lost++;
	return r < 0 ? r
		     : sqlite_command_changed(&write->batch, state->command_id.data, state->life);
}

int sqlite_command_event(struct sqlite *sqlite, struct store_write *write, const uint8_t *state,
			 size_t state_size)
{
	Pathbell__V1__CommandState *message =
		codec_unpack(&pathbell__v1__command_state__descriptor, &scan_limits_event, NULL,
			     state, state_size, NULL);
	int r;

	if (!message)
		return 0; /* the event itself is stored; it tells no state */
	r = sqlite_command_apply(sqlite, write, message);
	protobuf_c_message_free_unpacked(&message->base, NULL);
	return r;
}

static int sqlite_command_known(struct sqlite *sqlite, const struct store_new_command *command,
				int *ret_outcome)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_COMMAND_FIND);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_blob(statement, 1, command->id, 16, SQLITE_STATIC);
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW) {
		bool same = (size_t)sqlite3_column_bytes(statement, 1) == command->envelope_size &&
			    memcmp(sqlite3_column_blob(statement, 1), command->envelope,
				   command->envelope_size) == 0;

		*ret_outcome = same ? STORE_E_SAME : STORE_E_EXISTS;
	}
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

static int sqlite_command_hosts_known(struct sqlite *sqlite, struct store_new_command *command,
				      int *ret_outcome)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_HOST_FIND);
	int r = SQLITE_ROW;

	if (!statement)
		return sqlite_last(sqlite);
	for (size_t i = 0; r == SQLITE_ROW && i < command->n_hosts; i++) {
		sqlite_bind_text(statement, 1, command->host_ids[i]);
		r = sqlite3_step(statement);
		sqlite3_reset(statement);
		if (r != SQLITE_DONE)
			continue;
		*ret_outcome = STORE_E_UNKNOWN_HOST;
		snprintf(command->ret_detail, sizeof(command->ret_detail), "%s",
			 command->host_ids[i]);
	}
	return sqlite_errno(sqlite, r);
}

static int sqlite_command_insert(struct sqlite *sqlite, const struct store_write *write,
				 const struct store_new_command *command, int64_t campaign)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_COMMAND_ADD);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_blob(statement, 1, command->id, 16, SQLITE_STATIC);
	sqlite_bind_text(statement, 2, command->verb);
	sqlite_bind_text(statement, 3, command->issuer);
	sqlite_bind_text(statement, 4, command->submitted_by);
	sqlite_bind_text(statement, 5, command->reason);
	sqlite_bind_text(statement, 6, command->target);
	sqlite3_bind_int64(statement, 7, sqlite_int(write->now_unix_ns));
	sqlite3_bind_int64(statement, 8, sqlite_int(command->not_before_unix_ns));
	sqlite3_bind_int64(statement, 9, sqlite_int(command->expires_unix_ns));
	sqlite3_bind_blob64(statement, 10, command->envelope, command->envelope_size,
			    SQLITE_STATIC);
	sqlite3_bind_int64(statement, 11, campaign);
	return sqlite_run(sqlite, statement);
}

static int sqlite_command_host(struct sqlite *sqlite, const struct sqlite_life *life)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_COMMAND_HOST_ADD);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, life->command);
	sqlite_bind_text(statement, 2, life->host_id);
	sqlite3_bind_int64(statement, 3, life->life);
	sqlite3_bind_int64(statement, 4, sqlite_int(life->at));
	r = sqlite_run(sqlite, statement);
	return r < 0 ? r : sqlite_life_add(sqlite, life);
}

int sqlite_command_put(struct sqlite *sqlite, struct store_write *write,
		       struct store_new_command *command, int64_t campaign, int64_t *ret_ordinal)
{
	struct sqlite_life life = { .life = LIFE(QUEUED), .detail = "", .at = write->now_unix_ns };
	int r = sqlite_command_known(sqlite, command, &write->ret_outcome);

	if (r == 0 && write->ret_outcome == 0)
		r = sqlite_command_hosts_known(sqlite, command, &write->ret_outcome);
	if (r < 0 || write->ret_outcome != 0)
		return r;
	r = sqlite_command_insert(sqlite, write, command, campaign);
	life.command = sqlite3_last_insert_rowid(sqlite->db);
	*ret_ordinal = life.command;
	for (size_t i = 0; r == 0 && i < command->n_hosts; i++) {
		life.host_id = command->host_ids[i];
		r = sqlite_command_host(sqlite, &life);
	}
	return r;
}

int sqlite_command(struct sqlite *sqlite, struct store_write *write)
{
	int64_t ordinal;

	return sqlite_command_put(sqlite, write, &write->command, 0, &ordinal);
}

/* ---- cancelling ---- */

/* Row and campaign; 1: found. */
static int sqlite_cancel_find(struct sqlite *sqlite, const uint8_t id[16], struct sqlite_life *life)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_COMMAND_FIND);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_blob(statement, 1, id, 16, SQLITE_STATIC);
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW) {
		life->command = sqlite3_column_int64(statement, 0);
		life->campaign = sqlite3_column_int64(statement, 2);
	}
	sqlite3_reset(statement);
	return r == SQLITE_ROW ? 1 : sqlite_errno(sqlite, r);
}

/* 1: the next host behind @after that is QUEUED; @ret_host has room for any host id. */
static int sqlite_cancel_next(struct sqlite *sqlite, int64_t command, char *host, size_t size)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_COMMAND_HOSTS_QUEUED);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, command);
	sqlite3_bind_text(statement, 2, host, -1, SQLITE_TRANSIENT);
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW)
		snprintf(host, size, "%s", sqlite_text(statement, 0));
	sqlite3_reset(statement);
	return r == SQLITE_ROW ? 1 : sqlite_errno(sqlite, r);
}

static int sqlite_cancel_mark(struct sqlite *sqlite, int64_t command, uint64_t now_ns)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_COMMAND_CANCEL);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, command);
	sqlite3_bind_int64(statement, 2, sqlite_int(now_ns));
	return sqlite_run(sqlite, statement);
}

static int sqlite_cancel_late(struct sqlite *sqlite, int64_t command, uint32_t *ret_n)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_COMMAND_HOSTS_NOT_CANCELLED);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, command);
	r = sqlite3_step(statement);
	*ret_n = r == SQLITE_ROW ? (uint32_t)sqlite3_column_int64(statement, 0) : 0;
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

int sqlite_cancel(struct sqlite *sqlite, struct store_write *write)
{
	struct store_cancel *cancel = &write->cancel;
	struct sqlite_life life = { .life = LIFE(CANCELLED), .detail = cancel->detail };
	char host[SQLITE_HOST_MAX + 1] = "";
	int r = sqlite_cancel_find(sqlite, cancel->id, &life);

	cancel->ret_cancelled = cancel->ret_too_late = 0;
	if (r == 0)
		write->ret_outcome = STORE_E_UNKNOWN;
	if (r != 1)
		return r;
	life.host_id = host;
	life.command_id = cancel->id;
	life.at = write->now_unix_ns;
	r = sqlite_cancel_mark(sqlite, life.command, write->now_unix_ns);
	while (r == 0 && (r = sqlite_cancel_next(sqlite, life.command, host, sizeof(host))) == 1) {
		r = sqlite_life_set(sqlite, write, &life);
		cancel->ret_cancelled++;
	}
	return r < 0 ? r : sqlite_cancel_late(sqlite, life.command, &cancel->ret_too_late);
}
