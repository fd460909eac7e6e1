/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/campaign/storm.h"

#include <string.h>

#define STORM_NS UINT64_C(1000000000)

static void storm_move(struct storm *storm, uint64_t now_ns)
{
	uint64_t second = now_ns / STORM_NS;

	if (second >= storm->second + STORM_SECONDS)
		memset(storm->slots, 0, sizeof(storm->slots));
	else
		for (uint64_t i = storm->second + 1; i <= second; i++)
			storm->slots[i % STORM_SECONDS] = 0;
	if (second > storm->second)
		storm->second = second;
}

void storm_add(struct storm *storm, uint64_t now_ns, uint64_t n)
{
	storm_move(storm, now_ns);
	storm->slots[storm->second % STORM_SECONDS] += n;
}

uint64_t storm_count(struct storm *storm, uint64_t now_ns)
{
	uint64_t n = 0;

	storm_move(storm, now_ns);
	for (unsigned i = 0; i < STORM_SECONDS; i++)
		n += storm->slots[i];
	return n;
}
