/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One AEN may be heard twice: as a trace record when it arrives, and as a uevent from a worker soon
 * after (nvme_async_event_work, drivers/nvme/host/core.c, Linux 6.12). Whichever comes first is
 * told, its twin of the other source is not. The uevent has one slot for each controller, so that
 * not every record has a twin: an unmatched one is forgotten after TWINS_WINDOW_NS, or when
 * TWINS_MAX newer ones have come. Pure.
 */
#define TWINS_MAX	32
#define TWINS_WINDOW_NS UINT64_C(5000000000)

enum twins_source { TWINS_TRACE, TWINS_UEVENT };

struct twins {
	size_t next;
	struct {
		bool is_waiting;
		enum twins_source source;
		char name[32];
		uint32_t aen;
		uint64_t time_ns;
	} items[TWINS_MAX];
};

/* True: the other source has told it. */
bool twins_is_told(struct twins *twins, enum twins_source source, const char *name, uint32_t aen,
		   uint64_t now_ns);
