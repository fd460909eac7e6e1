/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/spool.h"

/*
 * The state file: two slots, written in turn, the newer whole one counts. And the live file. Pure;
 * byte offsets in docs/formats/spool.md.
 */
#define SLOT_FILE	"state"
#define SLOT_SIZE	32768
#define SLOT_NAME_SIZE	32
#define SLOT_MAX_COVERS 256

struct slot_epoch {
	uint8_t id[16];
	uint64_t tail;			/* durable then */
	uint64_t settled, settled_gone; /* every cursor has it up to settled; so many of these were
					   tombstones */
	uint64_t acked[SPOOL_MAX_CURSORS];
};

/* Holes within first..last of an epoch are explained by it. */
struct slot_cover {
	uint32_t epoch, reason;
	uint64_t first, last;
};

struct slot {
	uint64_t generation, next_number;
	uint8_t boot[16];
	bool clean;
	uint64_t base_captured, base_gone; /* of epochs that are no longer listed */
	uint64_t gone_by_reason[16];	   /* all tombstones ever */
	uint64_t cursors[SPOOL_MAX_SOURCES + 1];
	uint32_t n_cursors, n_epochs, n_covers;
	char names[SPOOL_MAX_CURSORS][SLOT_NAME_SIZE];
	struct slot_epoch epochs[SPOOL_MAX_EPOCHS];
	struct slot_cover covers[SLOT_MAX_COVERS];
};

/* Returns the bytes used of @out, a multiple of 512. */
size_t slot_encode(const struct slot *slot, uint8_t out[SLOT_SIZE]);
/* False: not a whole, sane slot. */
bool slot_decode(const uint8_t *in, size_t size, struct slot *ret_slot);
/* The newer of the two slots in a state file's bytes. */
bool slot_choose(const uint8_t *file, size_t size, struct slot *ret_slot);

#define SLOT_LIVE_SIZE 64
struct slot_live {
	uint8_t boot[16], epoch[16];
	uint64_t offered;
};
void slot_encode_live(const struct slot_live *live, uint8_t out[SLOT_LIVE_SIZE]);
bool slot_decode_live(const uint8_t in[SLOT_LIVE_SIZE], struct slot_live *ret_live);
