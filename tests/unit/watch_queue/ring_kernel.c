/* SPDX-License-Identifier: Apache-2.0 */
#include "ring_kernel.h"

#include <string.h>

#define SLOT 8
#define LOST 0x00010000u

static bool is_old(const struct ring_kernel *kernel)
{
	return kernel->dialect == NOTE_RING_V1 || kernel->dialect == NOTE_RING_V3;
}

static uint32_t *word(const struct ring_kernel *kernel, size_t offset)
{
	return (uint32_t *)(void *)(kernel->memory + offset);
}

static uint32_t length(const struct ring_kernel *kernel, uint32_t n_slots)
{
	return is_old(kernel) ? n_slots << 3 : n_slots;
}

void ring_kernel_init(struct ring_kernel *kernel, void *memory, size_t size,
		      enum note_dialect dialect)
{
	*kernel = (struct ring_kernel){ .memory = memory,
					.mask = (uint32_t)(size / SLOT) - 1,
					.dialect = dialect };
	memset(memory, 0, size);
	/* v1: sizeof is 20, and 20 / 8 = 2 slots. */
	kernel->meta_slots = is_old(kernel) ? 2 : 3;
	kernel->head = kernel->meta_slots;
	*word(kernel, 4) = length(kernel, kernel->meta_slots);
	*word(kernel, 8) = *word(kernel, 12) = kernel->head;
	*word(kernel, 16) = kernel->mask;
}

static void put(struct ring_kernel *kernel, uint32_t type, uint32_t subtype, uint32_t info)
{
	uint32_t index = kernel->head & kernel->mask;

	*word(kernel, (size_t)index * SLOT) = type | subtype << 24;
	/* Slot 0 is written by both sides. */
	__atomic_store_n(word(kernel, (size_t)index * SLOT + 4), info, __ATOMIC_RELAXED);
}

/* Padding to the end, and over the block. */
static void pad(struct ring_kernel *kernel, uint32_t n_slots)
{
	uint32_t index = kernel->head & kernel->mask, left = kernel->mask + 1 - index;

	if (index != 0 && left < n_slots) {
		put(kernel, 0, 0, length(kernel, left));
		kernel->head += left;
		index = 0;
	}
	if (index == 0) {
		put(kernel, 0, 0, length(kernel, kernel->meta_slots));
		kernel->head += kernel->meta_slots;
	}
}

static uint32_t needed(const struct ring_kernel *kernel, uint32_t n_slots)
{
	uint32_t index = kernel->head & kernel->mask, left = kernel->mask + 1 - index;

	if (index == 0)
		return n_slots + kernel->meta_slots;
	return left < n_slots ? left + kernel->meta_slots + n_slots : n_slots;
}

bool ring_kernel_post(struct ring_kernel *kernel, uint32_t n_slots, uint64_t value)
{
	uint32_t tail = __atomic_load_n(word(kernel, 12), __ATOMIC_ACQUIRE), info;
	uint32_t at = tail & kernel->mask;

	if (kernel->head - tail + needed(kernel, n_slots) > kernel->mask + 1 ||
	    (at >= 1 && at < kernel->meta_slots)) {
		kernel->n_dropped++;
		kernel->owes_loss = true;
		if (!is_old(kernel))
			__atomic_fetch_or(word(kernel, 4), LOST, __ATOMIC_RELAXED);
		return false;
	}
	pad(kernel, n_slots);
	info = length(kernel, n_slots);
	if (is_old(kernel) && kernel->owes_loss)
		info |= 1;
	kernel->owes_loss = false;
	put(kernel, is_old(kernel) ? 4 : 2, 6, info);
	for (uint32_t i = 1; i < n_slots; i++)
		memcpy(kernel->memory + (size_t)((kernel->head & kernel->mask) + i) * SLOT, &value,
		       SLOT);
	kernel->head += n_slots;
	__atomic_store_n(word(kernel, 8), kernel->head, __ATOMIC_RELEASE);
	return true;
}
