/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme/twins.h"

#include <stdio.h>
#include <string.h>

bool twins_is_told(struct twins *twins, enum twins_source source, const char *name, uint32_t aen,
		   uint64_t now_ns)
{
	/* The oldest first, so that of two equal ones each has its own twin. */
	for (size_t i = 0; i < TWINS_MAX; i++) {
		size_t at = (twins->next + i) % TWINS_MAX;

		if (!twins->items[at].is_waiting || twins->items[at].source == source ||
		    twins->items[at].aen != aen || strcmp(twins->items[at].name, name) != 0 ||
		    now_ns - twins->items[at].time_ns > TWINS_WINDOW_NS)
			continue;
		twins->items[at].is_waiting = false;
		return true;
	}
	twins->items[twins->next].is_waiting = true;
	twins->items[twins->next].source = source;
	twins->items[twins->next].aen = aen;
	twins->items[twins->next].time_ns = now_ns;
	snprintf(twins->items[twins->next].name, sizeof(twins->items[0].name), "%s", name);
	twins->next = (twins->next + 1) % TWINS_MAX;
	return false;
}
