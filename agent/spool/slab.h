/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/*
 * The memory ring: for each lane a queue of slabs that hold records exactly as segments do, so that
 * the writer thread writes straight from them and a live forwarder reads straight from them. A slab
 * is counted: a write that hangs for ever keeps the bytes it reads, whatever the loop does
 * meanwhile.
 */
struct epoch;

struct slab {
	TAILQ_ENTRY(slab) link;
	atomic_uint refs;
	struct epoch *epoch;
	uint64_t first_seq, last_seq; /* first_seq 0: empty */
	size_t used, capacity;
	uint8_t data[];
};
TAILQ_HEAD(slab_list, slab);

/* One reference. NULL when out of memory. */
struct slab *slab_new(size_t capacity, struct epoch *epoch);
struct slab *slab_ref(struct slab *slab);
struct slab *slab_unref(struct slab *slab); /* returns NULL */
/* The offset of @seq in @slab, or of the first one behind it; slab->used if there is none. Begins
 * at @hint. */
size_t slab_seek(const struct slab *slab, uint64_t seq, size_t hint);
