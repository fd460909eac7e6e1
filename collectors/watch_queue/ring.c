/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/watch_queue/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "collectors/watch_queue/filter.h"
#include "core/log.h"

/*
 * Memory, in slots of 8 bytes (drivers/misc/watch_queue.c of the series, v1 and v5)
 *   0	  header of a record of type META, SKIP, whose length covers this block
 *   8	  u32 head: next slot that the kernel fills; 12 u32 tail: next slot that we read;
 * free-running 16	  u32 mask: slots - 1; from v5 on 20 u32 reserved then records. One never
 * crosses the end: a SKIP record pads.
 *
 * Happy path
 *   attach: latch mask and the length of the block. v1 counts 20 / 8 = 2 slots for it, so that its
 *   first record overwrites mask: neither is ever read again.
 *   peek: head by acquire, so that the records below it are seen whole; copy the record at tail
 * out; decode the copy. advance: tail by release, so that the kernel cannot reuse what is still
 * read. The kernel wakes only when the ring was empty: always read until RING_E_EMPTY.
 *
 * Failure modes
 *   - Overrun. v1 to v4: flag in the first record that fits again. From v5 on: flag in slot 0,
 * which the kernel rewrites when head wraps, so it is looked at before every record. Our clearing
 *     leaves the length in that word alone, because the word is also the SKIP record over the
 * block.
 *   - Corruption (length 0, beyond the head, across the end; head further away than the ring is
 *     long): the way to the next record is lost. Give up everything up to the head, say so.
 */
#define RING_SLOT	   8
#define RING_HEAD	   8
#define RING_TAIL	   12
#define RING_MASK	   16
#define RING_INFO	   4
#define RING_LOST	   0x00010000u /* FLAG_0 of slot 0, dialects v5 and v8 */
#define RING_MIN_SLOT	   16
#define RING_CORRUPT_SHOWN 64

/* v1 and v2 number their requests under 's'. */
#define RING_V1_SET_SIZE   _IO('s', 1)
#define RING_V1_SET_FILTER _IO('s', 2)

static uint32_t *ring_word(const struct ring *ring, size_t offset)
{
	return (uint32_t *)(void *)(ring->memory + offset);
}

static bool ring_has_lost_word(const struct ring *ring)
{
	return ring->dialect == NOTE_RING_V5 || ring->dialect == NOTE_RING_V8;
}

int ring_attach(struct ring *ring, void *memory, size_t size, enum note_dialect dialect)
{
	uint32_t mask, info, n_slots = (uint32_t)(size / RING_SLOT);
	size_t meta_size;

	if (n_slots < RING_MIN_SLOT || ((uintptr_t)memory & (RING_SLOT - 1)) != 0)
		return -EBADMSG;
	ring->memory = memory;
	ring->dialect = dialect;
	ring->lost_told = false;
	mask = __atomic_load_n(ring_word(ring, RING_MASK), __ATOMIC_RELAXED);
	info = __atomic_load_n(ring_word(ring, RING_INFO), __ATOMIC_RELAXED);
	meta_size = note_length(dialect, info & ~RING_LOST);
	if (mask >= n_slots || mask < RING_MIN_SLOT - 1 || (mask & (mask + 1)) != 0)
		return -EBADMSG;
	if (meta_size < 16 || meta_size > 64)
		return -EBADMSG;
	ring->mask = mask;
	ring->meta_slots = (uint32_t)(meta_size / RING_SLOT);
	ring->tail = __atomic_load_n(ring_word(ring, RING_TAIL), __ATOMIC_RELAXED);
	return 0;
}

static void ring_set_tail(struct ring *ring, uint32_t tail)
{
	ring->tail = tail;
	ring->lost_told = false;
	__atomic_store_n(ring_word(ring, RING_TAIL), tail, __ATOMIC_RELEASE);
}

static bool ring_take_lost_word(struct ring *ring)
{
	uint32_t *info = ring_word(ring, RING_INFO);

	if (!ring_has_lost_word(ring) || !(__atomic_load_n(info, __ATOMIC_RELAXED) & RING_LOST))
		return false;
	return (__atomic_fetch_and(info, ~RING_LOST, __ATOMIC_RELAXED) & RING_LOST) != 0;
}

/* The copy of what stands at tail: at most up to the head, and up to the end of the memory. */
static size_t ring_copy(struct ring *ring, uint32_t distance)
{
	uint32_t index = ring->tail & ring->mask, n_slots = ring->mask + 1 - index;
	size_t size;

	if (n_slots > distance)
		n_slots = distance;
	size = (size_t)n_slots * RING_SLOT;
	if (size > NOTE_MAX_SIZE)
		size = NOTE_MAX_SIZE;
	memcpy(ring->copy, ring->memory + (size_t)index * RING_SLOT, size);
	return size;
}

static int ring_resync(struct ring *ring, uint32_t head, size_t size, struct note *ret_note)
{
	*ret_note = (struct note){ .kind = NOTE_UNKNOWN, .data = ring->copy };
	ret_note->size = size < RING_CORRUPT_SHOWN ? size : RING_CORRUPT_SHOWN;
	ring_set_tail(ring, head);
	return RING_E_CORRUPT;
}

/* How many slots the record covers. */
static uint32_t ring_slots(const struct note *note)
{
	return (uint32_t)((note->size + RING_SLOT - 1) / RING_SLOT);
}

int ring_peek(struct ring *ring, struct note *ret_note)
{
	/* Padding is at least one slot: more steps than slots means that the head runs away. */
	for (uint32_t steps = 0;; steps++) {
		uint32_t head = __atomic_load_n(ring_word(ring, RING_HEAD), __ATOMIC_ACQUIRE);
		uint32_t distance = head - ring->tail;
		size_t size;

		if (ring_take_lost_word(ring))
			return RING_E_LOSS;
		if (distance == 0)
			return RING_E_EMPTY;
		if (distance > ring->mask + 1 || steps > ring->mask)
			return ring_resync(ring, head, 0, ret_note);
		if ((ring->tail & ring->mask) == 0) {
			/* The block itself: what its header says now does not matter. */
			if (distance < ring->meta_slots)
				return ring_resync(ring, head, 0, ret_note);
			ring_set_tail(ring, ring->tail + ring->meta_slots);
			continue;
		}
		size = ring_copy(ring, distance);
		if (note_decode(ring->dialect, ring->copy, size, ret_note) < 0)
			return ring_resync(ring, head, size, ret_note);
		if (ret_note->lost_before && !ring->lost_told) {
			ring->lost_told = true;
			return RING_E_LOSS;
		}
		if (ret_note->kind != NOTE_SKIP)
			return 0;
		ring_advance(ring, ret_note);
	}
}

void ring_advance(struct ring *ring, const struct note *note)
{
	ring_set_tail(ring, ring->tail + ring_slots(note));
}

static int ring_map(struct ring *ring, unsigned pages, enum note_dialect dialect,
		    const struct config_maps *filters, struct errmsg *err)
{
	bool first = dialect == NOTE_RING_V1;
	size_t size = pages * (size_t)sysconf(_SC_PAGESIZE);
	void *memory;
	int r;

	if (ioctl(ring->fd, first ? RING_V1_SET_SIZE : FILTER_IOC_SET_SIZE, pages) < 0) {
		r = -errno;
		errmsg_set(err, "a ring of %u pages: %s", pages, log_errno(r));
		return r;
	}
	r = filter_set(ring->fd, first ? RING_V1_SET_FILTER : FILTER_IOC_SET_FILTER, filters, err);
	if (r < 0)
		return r;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, 0);
	if (memory == MAP_FAILED) {
		r = -errno;
		errmsg_set(err, "mapping the ring: %s", log_errno(r));
		return r;
	}
	ring->memory = memory;
	ring->mapped_size = size;
	r = ring_attach(ring, memory, size, dialect);
	if (r < 0)
		errmsg_set(err, "the device does not hold a ring of the configured dialect");
	return r;
}

int ring_open(struct ring *ring, const char *path, unsigned pages, enum note_dialect dialect,
	      const struct config_maps *filters, struct errmsg *err)
{
	struct errmsg detail = { 0 };
	int r;

	*ring = (struct ring){ .fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK) };
	if (ring->fd < 0) {
		r = -errno;
		errmsg_set(err, "%s: %s", path, log_errno(r));
		return r == -ENOENT || r == -ENXIO || r == -ENODEV ? RING_E_ABSENT : r;
	}
	r = ring_map(ring, pages, dialect, filters, &detail);
	if (r < 0) {
		errmsg_set(err, "%s: %s", path, detail.text);
		ring_close(ring);
	}
	return r;
}

void ring_close(struct ring *ring)
{
	if (ring->mapped_size > 0)
		munmap(ring->memory, ring->mapped_size);
	if (ring->fd >= 0)
		close(ring->fd);
	ring->mapped_size = 0;
	ring->fd = -1;
}
