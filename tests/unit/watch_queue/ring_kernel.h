/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/watch_queue/decode.h"

/*
 * The kernel's half of the ring, as the driver of the series keeps it: it alone moves head, pads
 * the end with a SKIP record, covers the block at slot 0 with one, and drops what does not fit,
 * with the dialect's own mark.
 */
struct ring_kernel {
	uint8_t *memory;
	uint32_t mask, meta_slots, head;
	enum note_dialect dialect;
	bool owes_loss; /* dialects v1 and v3: the next record carries the mark */
	unsigned n_dropped;
};

void ring_kernel_init(struct ring_kernel *kernel, void *memory, size_t size,
		      enum note_dialect dialect);
/* A record with @n_slots slots whose second slot is @value. False: dropped. */
bool ring_kernel_post(struct ring_kernel *kernel, uint32_t n_slots, uint64_t value);
