/* SPDX-License-Identifier: Apache-2.0 */
/* The state slots and the live file. What is accepted must survive being written again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/spool/layout.h"
#include "agent/spool/slot.h"
#include "core/crc32c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[2 * SLOT_SIZE], again[SLOT_SIZE];
	static struct slot slot, back;
	struct slot_live live;
	uint32_t used;

	memset(file, 0, sizeof(file));
	memcpy(file, data, size < sizeof(file) ? size : sizeof(file));
	if (size >= SLOT_LIVE_SIZE)
		slot_decode_live(data, &live);
	/* With a right checksum, so that the fields behind it are reached. */
	used = layout_get32(file + 16);
	if (used >= 72 && used <= SLOT_SIZE) {
		memset(file + 12, 0, 4);
		layout_put32(file + 12, crc32c(0, file, (used + 511) & ~(size_t)511));
	}
	if (slot_choose(file, sizeof(file), &slot)) {
		slot_encode(&slot, again);
		if (!slot_decode(again, sizeof(again), &back) ||
		    memcmp(&slot, &back, sizeof(slot)) != 0)
			abort();
	}
	return 0;
}
