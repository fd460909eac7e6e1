/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/watch_queue/decode.h"
#include "core/config.h"
#include "core/errmsg.h"

/*
 * The ring of the 2019 series: a misc device (/dev/watch_queue in the code, /dev/event_queue in its
 * text), mapped shared. See the essay in ring.c. The reading half works on any memory, and trusts
 * none of it: every record is copied before it is looked at, and every index is checked.
 */
struct ring {
	uint8_t *memory;
	uint32_t mask;	     /* slots - 1, latched */
	uint32_t meta_slots; /* that the header covers, latched */
	uint32_t tail;	     /* next slot to read, free-running; the kernel only reads our copy */
	enum note_dialect dialect;
	size_t mapped_size; /* 0: not ours to unmap */
	int fd;		    /* -1: none */
	bool lost_told;	    /* loss flag of the record at the front was reported */
	_Alignas(8) uint8_t copy[NOTE_MAX_SIZE + NOTE_HEADER_SIZE];
};

#define RING_MAX_PAGES 16

/* @memory holds @size bytes as the kernel lays them out. 0, or -EBADMSG: no ring can be there. */
int ring_attach(struct ring *ring, void *memory, size_t size, enum note_dialect dialect);

/*
 * The record at the front, copied out; it stays there until ring_advance. Padding is stepped over.
 * 0, RING_E_EMPTY, RING_E_LOSS (the kernel dropped records before this point; call again),
 * RING_E_CORRUPT (what stands there cannot be a record: everything up to the head was given up;
 * ret_note has data and size of its first bytes).
 */
#define RING_E_EMPTY   1
#define RING_E_LOSS    2
#define RING_E_CORRUPT 3
int ring_peek(struct ring *ring, struct note *ret_note);
void ring_advance(struct ring *ring, const struct note *note);

/* Opens, sizes, filters, maps and attaches. 0, RING_E_ABSENT (no such device), -errno; with @err.
 */
#define RING_E_ABSENT 4
int ring_open(struct ring *ring, const char *path, unsigned pages, enum note_dialect dialect,
	      const struct config_maps *filters, struct errmsg *err);
/* Also for one that was never opened but holds fd -1 and mapped_size 0. */
void ring_close(struct ring *ring);
