/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds of CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME. */
uint64_t clock_monotonic_ns(void);
uint64_t clock_realtime_ns(void);
uint64_t clock_boottime_ns(void);

/* The kernel says that the clock is disciplined (adjtimex: no STA_UNSYNC). */
bool clock_is_synchronised(void);

#define CLOCK_NS_PER_S	UINT64_C(1000000000)
#define CLOCK_NS_PER_MS UINT64_C(1000000)

/* RFC 3339 in UTC with nanoseconds, e.g. 2026-11-21T01:30:00.000000000Z; 31 bytes with the final
 * NUL. */
#define CLOCK_TEXT_SIZE 40
void clock_format(uint64_t unix_ns, char ret_text[CLOCK_TEXT_SIZE]);
