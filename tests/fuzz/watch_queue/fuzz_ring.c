/* SPDX-License-Identifier: Apache-2.0 */
/* Any memory as a ring, first byte = dialect: reading ends, stays inside, and nothing is decoded
 * twice. */
#include <stdlib.h>
#include <string.h>

#include "collectors/watch_queue/ring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n_steps = 0, slots = 16;
	uint8_t *memory;
	struct ring ring;
	struct note note;
	int r;

	while (slots * 8 < size && slots < 1024)
		slots *= 2;
	memory = calloc(slots, 8);
	if (size > 1 && memory != NULL) {
		memcpy(memory, data + 1, size - 1 < slots * 8 ? size - 1 : slots * 8);
		if (ring_attach(&ring, memory, slots * 8,
				(enum note_dialect)(NOTE_RING_V1 + data[0] % 4)) == 0) {
			while ((r = ring_peek(&ring, &note)) != RING_E_EMPTY) {
				if (++n_steps > 2 * slots + 4)
					abort();
				if (r == 0 && note.size > NOTE_MAX_SIZE)
					abort();
				if (r == 0)
					ring_advance(&ring, &note);
			}
		}
	}
	free(memory);
	return 0;
}
