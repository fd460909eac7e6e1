/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/commands/check.h"

/*
 * A flood of one kind of refusal becomes a few events and, 10 s later, one that says how many more
 * there were. Nothing is lost from the count: the timer runs as long as something is untold.
 */
struct flood {
	struct ev_loop *loop;
	struct check_rate rate;
	uint64_t per_minute;
	uint64_t untold;
	struct ev_timer timer;
	void *data;
	void (*tell)(void *data, uint64_t count);
};

void flood_init(struct flood *flood, struct ev_loop *loop, uint64_t per_minute, void *data,
		void (*tell)(void *data, uint64_t count));
/* Stops; what is untold stays so. */
void flood_deinit(struct flood *flood);
/* True: tell this one by itself. False: it is counted. */
bool flood_pass(struct flood *flood, uint64_t now_ns);
