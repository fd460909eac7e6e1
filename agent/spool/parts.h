/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/spool/internal.h"

/* What the files of the loop's side ask of each other. */
/* spool.c: callbacks to the owner run from the loop, never from inside a call. */
void spool_wake(struct spool *spool);
void spool_fire_waiters(struct spool *spool);

/* memory.c */
int memory_reserve(struct spool *spool, unsigned lane, size_t total, struct slab **ret_slab);
bool memory_has_room(const struct spool *spool);
void memory_release(struct spool *spool); /* what is settled and durable */
/* The record, in memory; NULL when it is not there. */
const uint8_t *memory_find(struct spool_cursor *cursor, const struct epoch *epoch, unsigned lane,
			   uint64_t seq);
void memory_deinit(struct spool *spool);

/* commit.c */
void commit_submit(struct spool *spool);
bool commit_is_pending(const struct spool *spool);
void commit_forget(struct spool *spool); /* its job will never end: plan it again */

/* state.c */
void state_submit(struct spool *spool);
/* Adds the write of the state to @job. 0 or -ENOMEM. */
int state_add(struct spool *spool, struct job *job);
void state_forget(struct spool *spool);

/* evict.c */
void evict_for(struct spool *spool, uint64_t more_bytes);
void evict_acked(struct spool *spool);
void evict_by_age(struct spool *spool);
void evict_arm(struct spool *spool);
void evict_gone(struct spool *spool, struct epoch *epoch, uint64_t n, uint32_t reason);

/* degrade.c */
void degrade_on_error(struct spool *spool, int error, const char *what);
void degrade_on_stall(struct spool *spool);
void degrade_on_retry(struct spool *spool);
void degrade_done_well(struct spool *spool);
bool degrade_is_hung(const struct spool *spool);
void degrade_submit(struct spool *spool, struct job *job);
/* Copies what the fallback folder holds to the main one, a segment at a time. */
void degrade_migrate(struct spool *spool);

/* settle.c */
void settle_epoch(struct spool *spool, struct epoch *epoch);
int settle_begin_epoch(struct spool *spool);
void settle_reap(struct spool *spool);

/* read.c: a record of a cursor, from memory or its window; READ_E_x */
#define READ_E_PENDING 1
#define READ_E_GONE    2 /* it was marked so just now */
int read_record(struct spool_cursor *cursor, struct epoch *epoch, uint64_t seq,
		struct layout_record *ret_record);
void read_forget(struct spool *spool);
void read_release(struct spool_cursor *cursor); /* windows, when the cursor has caught up */

/* recover.c */
int recover_run(struct spool *spool, struct errmsg *err);
/* live.c */
int live_open(struct spool *spool);
bool live_read(struct spool *spool, struct slot_live *ret_live);
void live_offer(struct spool *spool, const struct epoch *epoch, uint64_t seq);
