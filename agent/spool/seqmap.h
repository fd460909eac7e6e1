/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Two bits for each seq of an epoch: which lane holds it, and whether it is gone (a tombstone).
 * Exact, so that counters are; small, because a page of 4096 equal bits takes no bitmap: 24 bytes
 * for 4096 records of one lane. Seqs outside the pages read as lane 0 and not gone.
 */
enum seqmap_plane { SEQMAP_LANE, SEQMAP_GONE, SEQMAP_N_PLANES };

struct seqmap_page {
	uint64_t *bits[SEQMAP_N_PLANES]; /* NULL: all equal, by n_set */
	uint16_t n_set[SEQMAP_N_PLANES]; /* 0 to 4096 */
};

struct seqmap {
	uint64_t base; /* seq of the first bit; a multiple of 4096 */
	struct seqmap_page *pages;
	size_t n_pages, capacity;
};

/* Makes room for @seq. 0 or -ENOMEM; -ERANGE when more than 2^32 seqs would be covered. */
int seqmap_extend(struct seqmap *map, uint64_t seq);
/* Within what was extended. 0 or -ENOMEM (some of the range may be set). */
int seqmap_set(struct seqmap *map, enum seqmap_plane plane, uint64_t first, uint64_t last,
	       bool value);
bool seqmap_get(const struct seqmap *map, enum seqmap_plane plane, uint64_t seq);
/* How many are set in first..last. */
uint64_t seqmap_count(const struct seqmap *map, enum seqmap_plane plane, uint64_t first,
		      uint64_t last);
/* Marks gone what is in @lane and not yet; *ret_n: how many became gone. 0 or -ENOMEM. */
int seqmap_drop_lane(struct seqmap *map, unsigned lane, uint64_t first, uint64_t last,
		     uint64_t *ret_n);
/* Live ones of @lane. */
uint64_t seqmap_count_lane(const struct seqmap *map, unsigned lane, uint64_t first, uint64_t last);
/* The end, at most @last, of the run of equal values that begins at @first. */
uint64_t seqmap_run(const struct seqmap *map, enum seqmap_plane plane, uint64_t first,
		    uint64_t last);
/* Forgets whole pages below @seq. */
void seqmap_trim(struct seqmap *map, uint64_t seq);
void seqmap_deinit(struct seqmap *map);
