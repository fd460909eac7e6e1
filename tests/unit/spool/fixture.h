/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/spool/spool.h"

/*
 * A spool in a folder of its own on tmpfs, with everything its callbacks said. fixture_check
 * asserts the invariant after every step; fixture_wait runs the loop until a condition holds, never
 * for a guessed time.
 */
struct fixture {
	struct ev_loop *loop;
	struct spool *spool;
	struct spool_cursor *cursor;
	struct spool_options options;
	char dir[64], fallback[80], live[80], main[80];
	unsigned n_readable, n_room, n_degraded, n_acked;
	bool degraded;
	uint64_t lost[16];
	uint64_t acked_seq;
	bool synced;
};

void fixture_init(struct fixture *f);
void fixture_deinit(struct fixture *f); /* closes and removes the folder */
void fixture_open(struct fixture *f);	/* also the cursor "test" */
int fixture_try_open(struct fixture *f);
void fixture_close(struct fixture *f);
void fixture_check(const struct fixture *f);
/* Appends @n records "record SEQ EPOCH.." of @size bytes; they must be accepted. Returns the last
 * seq. */
uint64_t fixture_append(struct fixture *f, unsigned n, enum spool_lane lane, uint32_t size);
void fixture_turn(struct fixture *f); /* one round of the loop */
void fixture_sync(struct fixture *f); /* until all is durable */
#define fixture_wait(f, condition)       \
	do {                             \
		while (!(condition))     \
			fixture_turn(f); \
		fixture_check(f);        \
	} while (0)
/* The next chunk; waits while PENDING. 0 or SPOOL_E_EMPTY. Records are checked against what
 * fixture_append wrote. */
int fixture_next(struct fixture *f, struct spool_chunk *ret_chunk);
/* Drains everything: counts records and tombstoned seqs; asserts order without holes. Acks when
 * @ack. */
struct fixture_drained {
	uint64_t records, gone, gone_by_reason[16], last_seq;
};
struct fixture_drained fixture_drain(struct fixture *f, bool ack);
/* Content of a record, so that it can be told from any other. */
void fixture_fill(uint8_t *data, uint32_t size, uint64_t tag);
struct spool_stats fixture_stats(const struct fixture *f);
/* Runs @body in a child that must die of @signal or with @status; the spool is opened there. */
int fixture_fork(void (*body)(void *data), void *data);
