/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "agent/spool/layout.h"
#include "agent/spool/seqmap.h"
#include "agent/spool/slot.h"
#include "agent/spool/spool.h"
#include "core/buf.h"

/* One numbering of records, and its segment files. Invariant: settled <= acked[any] <= tail,
 * durable <= planned <= tail. */
struct segment;
TAILQ_HEAD(segment_list, segment);

struct epoch_cover {
	uint64_t first, last;
	uint32_t reason;
};

struct epoch {
	uint8_t id[16];
	uint32_t seed;
	uint64_t tail, planned, durable;
	uint64_t settled, settled_gone; /* by every cursor; so many of 1..settled were tombstones */
	uint64_t n_gone;		/* in settled+1..tail */
	uint64_t acked[SPOOL_MAX_CURSORS], sent[SPOOL_MAX_CURSORS];
	struct seqmap map;
	struct epoch_cover covers[SLOT_MAX_COVERS / 4];
	unsigned n_covers;
	struct segment_list segments[SPOOL_N_LANES]; /* ascending */
	bool settled_news;
};

enum segment_state { SEGMENT_ACTIVE, SEGMENT_CLOSED, SEGMENT_DYING };

struct segment_mark {
	uint64_t seq, offset;
};

struct segment {
	TAILQ_ENTRY(segment) link;
	struct epoch *epoch;
	uint64_t number;
	uint8_t lane, dir;
	enum segment_state state;
	unsigned busy;				 /* jobs in flight that name it */
	uint64_t first_seq, last_seq, size;	 /* planned; last_seq 0: no record */
	uint64_t durable_last, durable_size;	 /* sure */
	uint64_t zeroed, file_size;		 /* blocks made real; what it costs of the budget */
	uint64_t cursors[SPOOL_MAX_SOURCES + 1]; /* highest of its records */
	uint64_t n_records, oldest_ns, newest_ns, max_durable;
	uint64_t known_boot_ns,
		known_age_ns; /* CLOCK_BOOTTIME when its newest record was of that age */
	struct buf runs;      /* for the seal: complete run and gap pairs */
	uint64_t run;	      /* length of the run that is open */
	struct segment_mark *marks;
	size_t n_marks;
};

struct epoch *epoch_new(const uint8_t id[16]);
struct epoch *epoch_free(struct epoch *epoch); /* with its segments */
/* Explains holes in first..last. When there are too many, neighbours are joined. */
void epoch_cover(struct epoch *epoch, uint64_t first, uint64_t last, uint32_t reason);
/* The reason of the narrowest cover over @seq. */
uint32_t epoch_reason(const struct epoch *epoch, uint64_t seq);

/* Below this nothing is kept: acked and removed. */
uint64_t epoch_oldest(const struct epoch *epoch);

struct segment *segment_new(struct epoch *epoch, uint64_t number, unsigned lane, unsigned dir);
struct segment *segment_free(struct segment *segment);
/* Inserts by first_seq into its epoch's list. */
void segment_insert(struct segment *segment);
/* Accounts for a record of @total bytes behind the others. 0 or -ENOMEM. */
int segment_add(struct segment *segment, const struct layout_record *record, size_t total);
/* Seal and trailer as one piece for free(); NULL when it would be too large or memory is out. */
uint8_t *segment_seal(struct segment *segment, size_t *ret_size);
/* The durable segment that may hold @seq, or NULL. */
struct segment *segment_find(const struct epoch *epoch, unsigned lane, uint64_t seq);
/* An offset at or before @seq; every record before it has a seq of at most *ret_passed. */
uint64_t segment_offset(const struct segment *segment, uint64_t seq, uint64_t *ret_passed);
