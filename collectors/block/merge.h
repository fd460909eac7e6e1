/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/block/decode.h"

/*
 * One fault, one event, where two sources tell of it: the block collector's trace event and the
 * block records of the watch_queue collector. Pure: the caller gives CLOCK_MONOTONIC.
 *
 * Two reports are of the same fault when device, sector and class are equal and they come within
 * the times below; the n-th of one source pairs with the n-th of the other, so a sector that fails
 * ten times makes ten events. A pair is always published by the block collector, whose record knows
 * more, and carries via_watch_queue.
 *
 *   trace first  it waits; the pipe's record confirms it and rings the block collector's bell,
 *which publishes at once. Nobody confirms within MERGE_HOLD_NS: published unconfirmed, and
 *		  remembered for MERGE_MEMORY_NS, so that a record that comes late is dropped.
 *   pipe first	  it waits; the trace record takes it and is published at once. No trace record
 *within MERGE_HOLD_NS: the watch_queue collector publishes it, and remembers it. one is down
 *nothing waits: what the other tells is published as it comes.
 *
 * A class that the pipe cannot tell (above 10, see BlockErrorClass) never waits. Both kernels post
 * within a millisecond of each other, and both descriptors are served in one turn of the loop, so
 * the wait is normally over before the loop sleeps. A timer runs only while something waits.
 *
 * What waits or is remembered is bounded: without room the oldest memory goes, and without
 * memories the report is published at once and counted in `overflow` (then its twin makes a second
 * event). One thread.
 */
enum merge_source { MERGE_TRACE, MERGE_PIPE, MERGE_N_SOURCES };

#define MERGE_HOLD_NS	UINT64_C(100000000)
#define MERGE_MEMORY_NS UINT64_C(2000000000)
#define MERGE_MAX_ITEMS 1024

struct merge_report {
	struct block_record record;
	Pathbell__V1__BlockErrorClass error_class;
	uint64_t time_unix_ns, source_clock_ns;
	int cpu; /* -1 = none */
};

enum merge_verdict {
	MERGE_PUBLISH,	    /* now; the other source has not told it */
	MERGE_PUBLISH_BOTH, /* now; the other source has told it too */
	MERGE_WAIT,	    /* merge_next will give it back */
	MERGE_DROP,	    /* the other source has published it or is about to */
};

struct merge_item {
	struct merge_report report;
	enum merge_source source;
	enum { MERGE_WAITING, MERGE_CONFIRMED, MERGE_REMEMBERED } state;
	uint64_t until_ns, order;
};

struct merge {
	struct merge_item items[MERGE_MAX_ITEMS];
	size_t n_items;
	uint64_t order;
	struct {
		bool is_up;
		void (*wake)(void *data);
		void *data;
	} sources[MERGE_N_SOURCES];
	uint64_t paired, late, overflow;
};

/* The instance that the collectors of this process share; they live on one loop. */
struct merge *merge_shared(void);

void merge_init(struct merge *merge);
/* @source hears from now on. @wake: merge_next of @source may have something. */
void merge_up(struct merge *merge, enum merge_source source, void (*wake)(void *data), void *data);
/* @source hears no more. Returns how many reports of it were still waiting; they are forgotten. */
size_t merge_down(struct merge *merge, enum merge_source source);

enum merge_verdict merge_offer(struct merge *merge, enum merge_source source,
			       const struct merge_report *report, uint64_t now_ns);
/* What @source shall publish now, the oldest first; NULL = nothing. UINT64_MAX: all that waits. */
const struct merge_item *merge_next(const struct merge *merge, enum merge_source source,
				    uint64_t now_ns);
/* @item, as merge_next gave it, was published. */
void merge_published(struct merge *merge, const struct merge_item *item, uint64_t now_ns);
/* When merge_next has something; 0 = now, UINT64_MAX = nothing waits. */
uint64_t merge_deadline(const struct merge *merge, enum merge_source source);
