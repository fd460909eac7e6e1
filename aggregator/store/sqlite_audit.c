/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit chain. The head lives in memory and is read again after every rollback, so a record is
 * always chained to what is really there. Records are only ever added at the end; retention takes
 * from the front.
 */
#include <errno.h>
#include <string.h>

#include "aggregator/store/sqlite_command.h"
#include "core/clock.h"
#include "proto/chain.h"

#define AUDIT_MAX_DETAIL 1024

static int audit_head(struct sqlite *sqlite, uint64_t *ret_seq, uint8_t ret_hash[CHAIN_HASH_SIZE])
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_AUDIT_NEWEST);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	*ret_seq = 0;
	memset(ret_hash, 0, CHAIN_HASH_SIZE);
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW) {
		*ret_seq = (uint64_t)sqlite3_column_int64(statement, 0);
		if (sqlite3_column_bytes(statement, 1) == CHAIN_HASH_SIZE)
			memcpy(ret_hash, sqlite3_column_blob(statement, 1), CHAIN_HASH_SIZE);
	}
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

static int audit_insert(struct sqlite *sqlite, const Pathbell__V1__AuditRecord *record)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_AUDIT_ADD);

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, sqlite_int(record->seq));
	sqlite3_bind_int64(statement, 2, sqlite_int(record->unix_ns));
	sqlite_bind_text(statement, 3, record->actor);
	sqlite_bind_text(statement, 4, record->certificate);
	sqlite_bind_text(statement, 5, record->key_ids);
	sqlite_bind_text(statement, 6, record->action);
	sqlite3_bind_blob64(statement, 7,
			    record->command_id.len ? record->command_id.data : (const void *)"",
			    record->command_id.len, SQLITE_STATIC);
	sqlite3_bind_blob64(statement, 8,
			    record->campaign_id.len ? record->campaign_id.data : (const void *)"",
			    record->campaign_id.len, SQLITE_STATIC);
	sqlite_bind_text(statement, 9, record->host_id);
	sqlite_bind_text(statement, 10, record->detail);
	sqlite3_bind_blob64(statement, 11, record->previous_hash.data, CHAIN_HASH_SIZE,
			    SQLITE_STATIC);
	sqlite3_bind_blob64(statement, 12, record->hash.data, CHAIN_HASH_SIZE, SQLITE_STATIC);
	return sqlite_run(sqlite, statement);
}

static char *audit_text(const char *text)
{
	return (char *)(text ? text : "");
}

/* At most AUDIT_MAX_DETAIL bytes, whole characters. */
static void audit_cut(const char *text, char ret_text[AUDIT_MAX_DETAIL + 1])
{
	size_t len = strnlen(text, AUDIT_MAX_DETAIL + 1);

	if (len > AUDIT_MAX_DETAIL)
		for (len = AUDIT_MAX_DETAIL; len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80;)
			len--;
	memcpy(ret_text, text, len);
	ret_text[len] = '\0';
}

static void audit_fill(Pathbell__V1__AuditRecord *record, const struct store_write *write,
		       const struct store_audit *audit)
{
	record->unix_ns = (uint64_t)sqlite_int(write->now_unix_ns);
	record->actor = audit_text(write->actor ? write->actor->uri : "aggregator");
	record->certificate = audit_text(write->actor ? write->actor->certificate : NULL);
	record->key_ids = audit_text(audit->key_ids);
	record->action = audit_text(audit->action);
	record->host_id = audit_text(audit->host_id);
	record->command_id.data = (uint8_t *)audit->command_id;
	record->command_id.len = audit->command_id ? 16 : 0;
	record->campaign_id.data = (uint8_t *)audit->campaign_id;
	record->campaign_id.len = audit->campaign_id ? 16 : 0;
}

int sqlite_audit(struct sqlite *sqlite, const struct store_write *write,
		 const struct store_audit *audit)
{
	Pathbell__V1__AuditRecord record = PATHBELL__V1__AUDIT_RECORD__INIT;
	uint8_t hash[CHAIN_HASH_SIZE];
	char detail[AUDIT_MAX_DETAIL + 1];
	int r = 0;

	if (!sqlite->audit_is_known)
		r = audit_head(sqlite, &sqlite->audit_seq, sqlite->audit_hash);
	if (r < 0)
		return r;
	sqlite->audit_is_known = true;
	audit_fill(&record, write, audit);
	audit_cut(audit_text(audit->detail), detail);
	record.detail = detail;
	record.seq = sqlite->audit_seq + 1;
	record.previous_hash.data = sqlite->audit_hash;
	record.previous_hash.len = CHAIN_HASH_SIZE;
	r = chain_hash(&record, hash);
	record.hash.data = hash;
	record.hash.len = CHAIN_HASH_SIZE;
	if (r == 0)
		r = audit_insert(sqlite, &record);
	if (r < 0)
		return r;
	sqlite->audit_seq = record.seq;
	memcpy(sqlite->audit_hash, hash, CHAIN_HASH_SIZE);
	return 0;
}

/* ---- reading ---- */

static const uint8_t *audit_id(sqlite3_stmt *statement, int column)
{
	return sqlite3_column_bytes(statement, column) == 16
		       ? sqlite3_column_blob(statement, column)
		       : NULL;
}

static void audit_hash(sqlite3_stmt *statement, int column, uint8_t ret_hash[CHAIN_HASH_SIZE])
{
	memset(ret_hash, 0, CHAIN_HASH_SIZE);
	if (sqlite3_column_bytes(statement, column) == CHAIN_HASH_SIZE)
		memcpy(ret_hash, sqlite3_column_blob(statement, column), CHAIN_HASH_SIZE);
}

static void audit_read(sqlite3_stmt *statement, struct store_audit_record *record)
{
	record->seq = (uint64_t)sqlite3_column_int64(statement, 0);
	record->unix_ns = (uint64_t)sqlite3_column_int64(statement, 1);
	record->actor = sqlite_text(statement, 2);
	record->certificate = sqlite_text(statement, 3);
	record->key_ids = sqlite_text(statement, 4);
	record->action = sqlite_text(statement, 5);
	record->command_id = audit_id(statement, 6);
	record->campaign_id = audit_id(statement, 7);
	record->host_id = sqlite_text(statement, 8);
	record->detail = sqlite_text(statement, 9);
	audit_hash(statement, 10, record->previous_hash);
	audit_hash(statement, 11, record->hash);
}

static bool audit_fits_id(const uint8_t *wanted, const uint8_t *id)
{
	return !wanted || (id && memcmp(wanted, id, 16) == 0);
}

static bool audit_fits(const struct store_audit_query *query,
		       const struct store_audit_record *record)
{
	return audit_fits_id(query->command_id, record->command_id) &&
	       audit_fits_id(query->campaign_id, record->campaign_id) &&
	       (!query->host_id || strcmp(query->host_id, record->host_id) == 0);
}

static int audit_scan(struct sqlite *sqlite, struct store_audit_query *query,
		      bool (*row)(void *data, const struct store_audit_record *record), void *data)
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_AUDIT_AFTER);
	struct store_audit_record record;
	uint32_t n = 0;
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, sqlite_int(query->after_seq));
	query->ret_last_seq = query->after_seq;
	query->ret_more = false;
	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		audit_read(statement, &record);
		query->ret_more = n == query->limit || (query->deadline_ns != 0 &&
							clock_monotonic_ns() > query->deadline_ns);
		if (query->ret_more)
			break;
		if (audit_fits(query, &record)) {
			if (!row(data, &record)) {
				query->ret_more = true;
				break;
			}
			n++;
		}
		query->ret_last_seq = record.seq;
	}
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

int sqlite_audits(struct store *store, struct store_audit_query *query,
		  bool (*row)(void *data, const struct store_audit_record *record), void *data)
{
	struct sqlite *sqlite = sqlite_of(store);
	int r = sqlite_exec(sqlite, SQL_BEGIN_READ);

	if (r < 0)
		return r;
	r = audit_head(sqlite, &query->ret_head_seq, query->ret_head_hash);
	if (r == 0)
		r = audit_scan(sqlite, query, row, data);
	sqlite_exec(sqlite, SQL_COMMIT);
	return r;
}
