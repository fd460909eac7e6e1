/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/latency.h"

#include <string.h>

#define MICROSECOND UINT64_C(1000)
#define MILLISECOND UINT64_C(1000000)

const uint64_t latency_edges[LATENCY_N_EDGES] = {
	500 * MICROSECOND, 1 * MILLISECOND,   2 * MILLISECOND,	  3 * MILLISECOND,
	5 * MILLISECOND,   10 * MILLISECOND,  20 * MILLISECOND,	  50 * MILLISECOND,
	100 * MILLISECOND, 500 * MILLISECOND, 2000 * MILLISECOND, 30000 * MILLISECOND,
};

void latency_begin(struct latency *latency, const uint8_t epoch[LATENCY_ID_SIZE], uint64_t seq,
		   uint64_t now_ns)
{
	latency->seq = seq;
	latency->since_ns = now_ns;
	memcpy(latency->epoch, epoch, LATENCY_ID_SIZE);
}

void latency_acked(struct latency *latency, const uint8_t epoch[LATENCY_ID_SIZE], uint64_t seq,
		   uint64_t now_ns)
{
	uint64_t took_ns = now_ns - latency->since_ns;
	size_t i = 0;

	if (latency_is_idle(latency))
		return;
	if (memcmp(latency->epoch, epoch, LATENCY_ID_SIZE) != 0) {
		latency->seq = 0;
		return;
	}
	if (seq < latency->seq)
		return;
	while (i < LATENCY_N_EDGES && took_ns > latency_edges[i])
		i++;
	latency->counts[i]++;
	latency->samples++;
	latency->sum_ns += took_ns;
	latency->seq = 0;
}
