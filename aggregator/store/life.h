/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Who says that a command is in a new state. */
enum life_teller { LIFE_AGGREGATOR, LIFE_HOST };

/*
 * May the state of a command on a host become @next? Pure. The host is the authority: what it says
 * overrides EXPIRED and CANCELLED of the aggregator; a final state stays; INDETERMINATE is left by
 * a final one only.
 */
bool life_may_become(uint32_t current, uint32_t next, enum life_teller teller);
