/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/errmsg.h"

/*
 * The spool: what was captured and is not yet safely stored by the aggregator.
 * docs/formats/spool.md has the files; spool.c opens with the essay. In short: append puts a record
 * into the memory ring and gives it its seq; the writer thread moves records to segment files
 * (CRC-32C each) and calls fdatasync once for each group; only what is durable here is offered to
 * forwarders (so a seq can never be used twice), unless the disk has failed, when memory and the
 * fallback folder take over, flagged degraded.
 *
 * The loop never waits: reading old records from disk is done by the writer thread too. All
 * functions are for the loop's thread; callbacks run on it.
 *
 * Invariant at any instant: captured = acked + unacked + tombstoned (spool_stats).
 */
struct spool;
struct spool_cursor;

enum spool_lane { SPOOL_LANE_IMPORTANT, SPOOL_LANE_BULK, SPOOL_N_LANES };

#define SPOOL_MAX_SOURCES 16
#define SPOOL_MAX_CURSORS 8
#define SPOOL_MAX_EPOCHS  64
#define SPOOL_RECORD_MAX  65536

struct spool_options {
	const char *dir;	  /* created 0700 */
	const char *fallback_dir; /* on tmpfs; NULL = memory only when the disk fails */
	const char *live_path; /* small file on tmpfs that says what was offered to forwarders; NULL
				  = DIR/live */
	uint64_t max_bytes;    /* of all segments; when full, oldest bulk segment first */
	uint64_t segment_bytes; /* 64 KiB to 256 MiB */
	uint64_t memory_bytes;	/* ring */
	uint64_t max_age_ns;	/* of unacked records; 0 = no limit */
	uint64_t replay_bytes;	/* acked records kept for Resend, within max_bytes; 0 = none */
	uint64_t replay_age_ns;
	uint64_t stall_ns;  /* no progress of the writer for so long = degraded */
	uint64_t linger_ns; /* writer waits for company before fdatasync; 0 = none */
};

struct spool_callbacks {
	void *data;
	void (*readable)(void *data); /* a cursor that said EMPTY or PENDING may have something now;
					 once for all cursors */
	void (*room)(void *data);     /* append said FULL earlier; there is room again */
	void (*degraded)(void *data, bool degraded, const char *reason);
	void (*lost)(void *data, uint64_t count,
		     uint32_t gone_reason); /* records became tombstones */
	/* every record up to @seq of @epoch is acked by all cursors, or tombstoned */
	void (*acked)(void *data, const uint8_t epoch[16], uint64_t seq);
};

/* 0 or -errno with @err. -EBUSY: another process uses this spool. Recovers whatever a crash left.
 */
int spool_open(struct spool **ret_spool, struct ev_loop *loop, const struct spool_options *options,
	       const struct spool_callbacks *callbacks, struct errmsg *err);
/* Writes what is in memory (bounded by @deadline_ns, monotonic), marks the spool clean. Returns
 * NULL. */
struct spool *spool_close(struct spool *spool, uint64_t deadline_ns);

struct spool_append {
	const void *data; /* one encoded event */
	size_t size;	  /* 1 to SPOOL_RECORD_MAX */
	enum spool_lane lane;
	uint16_t source; /* 0 = none, else 1 to SPOOL_MAX_SOURCES: whose cursor follows */
	uint64_t cursor; /* kept atomically with the record */
	uint64_t now_ns; /* CLOCK_REALTIME, for the age limit */
};
/*
 * The ring is full and a folder (main or fallback) takes records: try again after `room`. When only
 * memory is left, never: the oldest bulk records become tombstones instead.
 */
#define SPOOL_E_FULL 1
/* 0 and *ret_seq, SPOOL_E_FULL, -EMSGSIZE, -EINVAL (lane, source), -ENOMEM. */
int spool_append(struct spool *spool, const struct spool_append *append, uint64_t *ret_seq);

/* Highest cursor of @source among the records that survived; 0 = none. */
uint64_t spool_source_cursor(const struct spool *spool, uint16_t source);
/* Calls @done(data) on the loop when everything appended so far is durable (at once if degraded). 0
 * or -ENOMEM. For the command journal's order. */
int spool_sync(struct spool *spool, void (*done)(void *data), void *data);

/* A forwarder's place. A name keeps its place over restarts. 0, -ENOSPC (too many). */
int spool_cursor_open(struct spool *spool, const char *name, struct spool_cursor **ret_cursor);
void spool_cursor_close(struct spool_cursor *cursor); /* place kept */

struct spool_chunk {
	uint8_t epoch[16];
	uint64_t first_seq;
	uint32_t count; /* records in `data`; 0: a tombstone for first_seq..last_seq */
	uint64_t last_seq;
	uint32_t gone_reason; /* Pathbell__V1__GoneReason, for a tombstone */
	uint32_t crc32c;      /* over data */
	const uint8_t
		*data; /* framed as Batch.events (proto/codec.h); valid until the next spool call */
	size_t size;
};
#define SPOOL_E_EMPTY	2 /* all that is durable was handed out */
#define SPOOL_E_PENDING 3 /* being read from disk; `readable` follows */
/* The next records after what this cursor handed out last: consecutive, of one epoch, at most
 * @max_bytes framed (at least one record) and @max_records. */
int spool_cursor_next(struct spool_cursor *cursor, size_t max_bytes, uint32_t max_records,
		      struct spool_chunk *ret_chunk);
/* Cumulative. Stale or unknown epoch, or beyond what was handed out: SPOOL_E_BAD_ACK, nothing
 * changes. */
#define SPOOL_E_BAD_ACK 4
int spool_cursor_ack(struct spool_cursor *cursor, const uint8_t epoch[16], uint64_t seq);
/*
 * The link was lost or a session begins: continue behind what the receiver proves to have. Without
 * a call for an epoch its acked position counts. A @seq above the epoch's tail: the records up to
 * the tail count as acked; if it is the current epoch, a new epoch begins (the spool lost its tail,
 * or was cloned): SPOOL_E_EPOCH.
 */
#define SPOOL_E_EPOCH 5
int spool_cursor_resume(struct spool_cursor *cursor, const uint8_t epoch[16], uint64_t seq);
void spool_cursor_rewind(struct spool_cursor *cursor); /* to acked + 1 everywhere */
/* Send again first..last even if acked (replay window); what is gone comes as tombstones. */
int spool_cursor_resend(struct spool_cursor *cursor, const uint8_t epoch[16], uint64_t first_seq,
			uint64_t last_seq);

struct spool_epoch_info {
	uint8_t epoch[16];
	uint64_t oldest_seq, first_unacked_seq, tail_seq;
};
/* In order of creation, the current one last. Returns how many. */
size_t spool_cursor_epochs(const struct spool_cursor *cursor,
			   struct spool_epoch_info ret_epochs[SPOOL_MAX_EPOCHS]);

struct spool_cursor_stats {
	uint64_t acked, unacked, sent_unacked;
	uint64_t oldest_unacked_unix_ns; /* 0 = none */
};
void spool_cursor_stats(const struct spool_cursor *cursor, struct spool_cursor_stats *ret_stats);

/* @seq of @epoch ended as a tombstone. Exact until it is told as acked (callbacks.acked); true for
 * an epoch that is not known any more. */
bool spool_is_gone(const struct spool *spool, const uint8_t epoch[16], uint64_t seq);

struct spool_stats {
	uint64_t captured, acked, unacked, tombstoned; /* acked: by every cursor */
	uint64_t tombstoned_by_reason[16];	       /* index: GoneReason */
	uint64_t durable_seq, tail_seq;
	uint8_t epoch[16];
	uint64_t bytes_used, memory_used;
	uint32_t segments;
	uint64_t corrupt_records, syncs, sync_ns_total, disk_errors;
	bool degraded;
	char degraded_reason[128];
};
void spool_stats(const struct spool *spool, struct spool_stats *ret_stats);
