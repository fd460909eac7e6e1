/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Has the wall clock been set since the agent started? CLOCK_REALTIME minus CLOCK_BOOTTIME stays
 * the same while a clock is only slewed (both are; kernel/time/timekeeping.c, Linux 6.12) and moves
 * by exactly the step when it is set. Pure; zero-initialised.
 */
struct steady {
	bool anchored;
	int64_t offset_ms;
};

/*
 * True: the clock has not moved by more than @max_ms, or it has and the kernel says that it is
 * synchronised: then that is the new base. False: *ret_step_ms by how much it was set.
 */
bool steady_check(struct steady *steady, uint64_t realtime_ms, uint64_t boottime_ms,
		  bool synchronised, uint64_t max_ms, int64_t *ret_step_ms);
