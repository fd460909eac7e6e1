/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/* How many fault events the whole fleet told in the last ten seconds. Pure; zero-initialise. */
#define STORM_SECONDS 10

struct storm {
	uint64_t second; /* of the newest slot */
	uint64_t slots[STORM_SECONDS];
};

void storm_add(struct storm *storm, uint64_t now_ns, uint64_t n);
uint64_t storm_count(struct storm *storm, uint64_t now_ns);
