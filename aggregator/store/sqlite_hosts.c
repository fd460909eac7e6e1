/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/store/sqlite.h"

int sqlite_hello(struct sqlite *sqlite, struct store_write *write)
{
	struct store_hello *hello = &write->hello;
	sqlite3_stmt *statement;
	int64_t host;
	int r = sqlite_host(sqlite, write->host_id, write->now_unix_ns, &host);

	if (r < 0)
		return r;
	statement = sqlite_prepare(sqlite, SQL_HOST_HELLO);
	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, host);
	sqlite_bind_text(statement, 2, hello->hostname);
	sqlite_bind_text(statement, 3, hello->agent_version);
	sqlite_bind_text(statement, 4, hello->kernel_release);
	sqlite3_bind_blob(statement, 5, hello->boot_id, hello->boot_id ? 16 : 0, SQLITE_STATIC);
	sqlite_bind_text(statement, 6, hello->peer);
	sqlite3_bind_int64(statement, 7, sqlite_int(write->now_unix_ns));
	sqlite3_bind_int64(statement, 8, sqlite_int(hello->certificate_not_after_unix_ns));
	r = sqlite_run(sqlite, statement);
	for (size_t i = 0; r == 0 && i < hello->n_epochs; i++) {
		struct sqlite_epoch *epoch;

		r = sqlite_epoch(sqlite, write->host_id, hello->epochs + 16 * i, write->now_unix_ns,
				 &epoch);
		if (r == 0)
			hello->ret_marks[i] = epoch->mark;
	}
	return r;
}

int sqlite_seen(struct sqlite *sqlite, struct store_write *write)
{
	sqlite3_stmt *statement;
	int64_t host;
	int r = sqlite_host(sqlite, write->host_id, write->now_unix_ns, &host);

	if (r < 0)
		return r;
	statement = sqlite_prepare(sqlite, SQL_HOST_SEEN);
	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, host);
	sqlite3_bind_int64(statement, 2, sqlite_int(write->now_unix_ns));
	sqlite3_bind_int64(statement, 3, sqlite_int(write->seen.unacked));
	sqlite3_bind_int64(statement, 4, write->seen.degraded);
	return sqlite_run(sqlite, statement);
}

int sqlite_watermark(struct store *store, const char *host_id, const uint8_t epoch[16],
		     uint64_t *ret_seq)
{
	struct sqlite *sqlite = sqlite_of(store);
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_EPOCH_FIND);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite_bind_text(statement, 1, host_id);
	sqlite3_bind_blob(statement, 2, epoch, 16, SQLITE_STATIC);
	r = sqlite3_step(statement);
	*ret_seq = r == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 1) : 0;
	sqlite3_reset(statement);
	return sqlite_errno(sqlite, r);
}

/* The newest STORE_MAX_EPOCHS are listed, all are summed. */
static int sqlite_host_epochs(struct sqlite *sqlite, int64_t host_row, struct store_host *host,
			      struct store_epoch epochs[STORE_MAX_EPOCHS])
{
	sqlite3_stmt *statement = sqlite_prepare(sqlite, SQL_EPOCHS_OF);
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite3_bind_int64(statement, 1, host_row);
	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		struct store_epoch *epoch;

		if (host->n_epochs == STORE_MAX_EPOCHS) {
			memmove(epochs, epochs + 1, (STORE_MAX_EPOCHS - 1) * sizeof(*epochs));
			host->n_epochs--;
		}
		epoch = &epochs[host->n_epochs++];
		if (sqlite3_column_bytes(statement, 0) == 16)
			memcpy(epoch->epoch, sqlite3_column_blob(statement, 0), 16);
		epoch->mark = (uint64_t)sqlite3_column_int64(statement, 1);
		epoch->events = (uint64_t)sqlite3_column_int64(statement, 2);
		epoch->tombstoned = (uint64_t)sqlite3_column_int64(statement, 3);
		host->events += epoch->events;
		host->tombstoned += epoch->tombstoned;
		if ((uint64_t)sqlite3_column_int64(statement, 4) > host->last_event_unix_ns)
			host->last_event_unix_ns = (uint64_t)sqlite3_column_int64(statement, 4);
	}
	sqlite3_reset(statement);
	host->epochs = epochs;
	return sqlite_errno(sqlite, r);
}

static void sqlite_host_columns(sqlite3_stmt *statement, struct store_host *host)
{
	memset(host, 0, sizeof(*host));
	host->host_id = sqlite_text(statement, 1);
	host->hostname = sqlite_text(statement, 2);
	host->agent_version = sqlite_text(statement, 3);
	host->kernel_release = sqlite_text(statement, 4);
	host->has_boot_id = sqlite3_column_bytes(statement, 5) == 16;
	if (host->has_boot_id)
		memcpy(host->boot_id, sqlite3_column_blob(statement, 5), 16);
	host->peer = sqlite_text(statement, 6);
	host->first_seen_unix_ns = (uint64_t)sqlite3_column_int64(statement, 7);
	host->last_seen_unix_ns = (uint64_t)sqlite3_column_int64(statement, 8);
	host->unacked = (uint64_t)sqlite3_column_int64(statement, 9);
	host->degraded = sqlite3_column_int(statement, 10) != 0;
	host->certificate_not_after_unix_ns = (uint64_t)sqlite3_column_int64(statement, 11);
}

int sqlite_hosts(struct store *store, const char *after, bool only,
		 bool (*row)(void *data, const struct store_host *host), void *data)
{
	struct sqlite *sqlite = sqlite_of(store);
	sqlite3_stmt *statement = sqlite_prepare(sqlite, only ? SQL_HOST_ONE : SQL_HOSTS_AFTER);
	struct store_epoch epochs[STORE_MAX_EPOCHS];
	int r;

	if (!statement)
		return sqlite_last(sqlite);
	sqlite_bind_text(statement, 1, after);
	while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
		struct store_host host;

		sqlite_host_columns(statement, &host);
		r = sqlite_host_epochs(sqlite, sqlite3_column_int64(statement, 0), &host, epochs);
		if (r < 0 || !row(data, &host))
			break;
	}
	sqlite3_reset(statement);
	return r < 0 ? r : sqlite_errno(sqlite, r);
}
