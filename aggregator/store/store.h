/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/store/records.h"
#include "aggregator/store/records_campaign.h"
#include "aggregator/store/writes.h"
#include "core/errmsg.h"

/*
 * The store contract. Implementers: SQLite (sqlite.c); an SQL server is meant to be the second, so
 * nothing here speaks of files or rows. The rules that every implementer keeps, checked by
 * tests/contract/store:
 *
 * - store_write takes a group of writes and makes it durable as one: 0 means that all of it
 * survives a crash of process and machine; anything else means that none of it happened.
 * - The events of a batch and the high-water mark of their (host, epoch) move together, so an event
 * is stored exactly once however often its batch comes: the part at or below the mark is a
 * duplicate (compared with what is stored, never written again), a first_seq above mark + 1 is a
 * gap (STORE_E_GAP, nothing of it stored).
 * - Ids grow in the order of storing and are never reused; a reader that saw id N will never see a
 *   smaller one appear later. An id is a cursor for ever, also across retention.
 * - What the audit has to say about a write (store_write.audit, every change of a command's life)
 *   is in the same transaction, chained by SHA-256 (docs/formats/audit.md): both or neither. Only
 *   a life that a host tells inside a batch is stored even if the audit cannot be written
 *   (ret_audit_lost), because data never waits for the audit.
 * - One handle, one thread. A writing handle excludes every other writer of the same store.
 */
struct store;
struct store_ops;

enum store_mode { STORE_READ, STORE_WRITE };

struct store_options {
	const char *path;
	uint64_t cache_bytes; /* page cache of the handle */
	uint32_t busy_ms;     /* longest wait for another process that holds the store */
};

/* 0; -EBUSY: another aggregator writes this store; -EBADMSG: not ours or damaged; -errno. All with
 * @err. */
int store_open(const struct store_ops *ops, const struct store_options *options,
	       enum store_mode mode, struct store **ret_store, struct errmsg *err);
struct store *store_close(struct store *store); /* returns NULL */

/* Outcomes of one write of a group; the others of the group are not touched by it. */
#define STORE_E_GAP	     1 /* batch or tombstone begins above mark + 1 */
#define STORE_E_UNKNOWN_HOST 2 /* command for a host never seen: its name is in `detail` */
#define STORE_E_EXISTS	     3 /* another command with this id */
#define STORE_E_SAME	     4 /* this very command is already stored */
#define STORE_E_UNKNOWN	     5 /* no such command or campaign, or not for this host */

/* 0: durable. -errno: nothing was stored; -ENOSPC, -EIO and -EAGAIN may pass by themselves. Results
 * are in each write. */
int store_write(struct store *store, struct store_write *const *writes, size_t n_writes);
/* Releases what a result of store_write holds. */
void store_write_release(struct store_write *write);

/* What is durably stored of (host, epoch); 0 = nothing. */
int store_watermark(struct store *store, const char *host_id, const uint8_t epoch[16],
		    uint64_t *ret_seq);

/* @row returns false to stop. *ret_last: id of the last row looked at (matching or not), the cursor
 * for the next call; *ret_more false = at the end. */
int store_query(struct store *store, const struct store_query *query,
		bool (*row)(void *data, const struct store_event *event), void *data,
		struct store_page *ret_page);
/* Newest ids, for tails: events and command transitions. 0 = none yet. */
int store_newest(struct store *store, uint64_t *ret_event, uint64_t *ret_transition);

/* In order of host id, those behind @after (NULL or "": from the start). */
int store_hosts(struct store *store, const char *after,
		bool (*row)(void *data, const struct store_host *host), void *data);
int store_host(struct store *store, const char *host_id,
	       bool (*row)(void *data, const struct store_host *host), void *data);

/* Commands; see struct store_command_query for which. Hosts and transitions of a record are
 * complete. */
int store_commands(struct store *store, const struct store_command_query *query,
		   bool (*row)(void *data, const struct store_command *command), void *data);

/* Counts and failures of a record are complete. */
int store_campaigns(struct store *store, const struct store_campaign_query *query,
		    bool (*row)(void *data, const struct store_campaign *campaign), void *data);
/* The hosts of a campaign in its order. */
int store_members(struct store *store, const uint8_t campaign_id[16],
		  bool (*row)(void *data, const struct store_member *member), void *data);
/* In order of seq; the ret_ fields of @query say where it ended and what the head is. */
int store_audits(struct store *store, struct store_audit_query *query,
		 bool (*row)(void *data, const struct store_audit_record *record), void *data);
/* By host id, then key; @object is NULL once for a host without any. */
int store_objects(struct store *store,
		  bool (*row)(void *data, const char *host_id, const char *hostname,
			      const struct store_object *object),
		  void *data);

/* Deletes a bounded part of what is beyond the limits; *ret_more true = call again. Never the
 * newest event. */
int store_retain(struct store *store, const struct store_retention *retention,
		 struct store_retained *ret_done);
int store_size(struct store *store, uint64_t *ret_bytes);
/* Moves what is committed to its final place (WAL to database). Bounded work; for idle moments. */
int store_settle(struct store *store);

extern const struct store_ops store_sqlite;
