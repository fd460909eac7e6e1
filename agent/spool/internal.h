/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <sys/queue.h>

#include "agent/spool/epoch.h"
#include "agent/spool/slab.h"
#include "agent/spool/slot.h"
#include "agent/spool/spool.h"
#include "agent/spool/writer.h"
#include "core/buf.h"

/* The loop's side, shared by the files of this folder only. spool.c opens with the essay. */
#define SPOOL_DIR_NONE	     (-1)
#define SPOOL_DIR_MAIN	     0
#define SPOOL_DIR_FALLBACK   1
#define SPOOL_WINDOW_SIZE    ((size_t)256 * 1024)
#define SPOOL_MAX_RESENDS    16
#define SPOOL_MAX_WAITERS    1024
#define SPOOL_MAX_ORPHANS    4
#define SPOOL_STATE_EVERY_NS UINT64_C(1000000000)

/* A piece of a segment in memory, for one cursor and lane. */
struct spool_window {
	uint8_t *data;
	size_t size, pos;
	uint64_t number, offset; /* segment, and where in it data begins */
	uint64_t passed;	 /* seq of the last record behind pos */
	bool pending;		 /* a job fills it */
};

struct spool_resend {
	struct epoch *epoch;
	uint64_t next, last;
};

struct spool_cursor {
	struct spool *spool;
	unsigned index;
	char name[SLOT_NAME_SIZE]; /* empty: free */
	bool open;
	struct spool_window windows[SPOOL_N_LANES];
	struct slab *hint_slab[SPOOL_N_LANES]; /* not counted: cleared when the slab goes */
	size_t hint_offset[SPOOL_N_LANES];
	struct spool_resend resends[SPOOL_MAX_RESENDS];
	unsigned n_resends;
	struct buf chunk;
};

struct spool_waiter {
	TAILQ_ENTRY(spool_waiter) link;
	struct epoch *epoch;
	uint64_t seq;
	void (*done)(void *data);
	void *data;
};

/* What the commit job in flight will have made durable. */
struct spool_commit {
	struct job *job; /* NULL: none */
	struct epoch *epoch;
	uint64_t to_seq;
	struct segment **segments;
	size_t n_segments, capacity;
	uint64_t cursors[SPOOL_MAX_SOURCES + 1];
};

struct spool {
	struct ev_loop *loop;
	struct spool_options options; /* strings are owned */
	struct spool_callbacks callbacks;
	int dirfds[WRITER_N_DIRS], lock_fd, live_fd;
	struct slot_live live;

	struct epoch *epochs[SPOOL_MAX_EPOCHS]; /* the last is the current one */
	size_t n_epochs;
	struct spool_cursor cursors[SPOOL_MAX_CURSORS];

	struct slab_list slabs[SPOOL_N_LANES];
	struct slab *plan_slab[SPOOL_N_LANES]; /* where planning goes on; not counted */
	size_t plan_offset[SPOOL_N_LANES];
	size_t slab_size, memory_used;

	struct segment *active[SPOOL_N_LANES];
	struct segment_list dying; /* to be unlinked once the state says so */
	uint64_t next_number, bytes_used;
	uint32_t n_segments;

	struct writer *writer, *orphans[SPOOL_MAX_ORPHANS];
	unsigned n_orphans, n_jobs;
	struct spool_commit commit;
	struct job *state_job;
	uint64_t generation, state_ns;
	bool state_dirty, clean;

	ev_async async;
	ev_prepare prepare;
	ev_timer linger, stall, retry, age;
	uint64_t stall_progress;
	uint64_t pending_bytes;	   /* appended since the last commit job */
	struct segment *migrating; /* being copied back from the fallback folder */
	struct job *probe;

	int target; /* folder for new segments; SPOOL_DIR_NONE: memory only */
	unsigned failures;
	bool degraded, degraded_news;
	char degraded_reason[128];

	uint64_t appended_cursors[SPOOL_MAX_SOURCES + 1], durable_cursors[SPOOL_MAX_SOURCES + 1];
	uint64_t base_captured, base_gone, gone_by_reason[16];
	uint64_t lost_news[16];
	uint64_t corrupt_records, syncs, sync_ns_total, disk_errors;
	bool want_readable, readable_news, want_room, room_news, acked_news, urgent;
	TAILQ_HEAD(, spool_waiter) waiters;
	unsigned n_waiters;
};

static inline struct epoch *spool_current(const struct spool *spool)
{
	return spool->epochs[spool->n_epochs - 1];
}
