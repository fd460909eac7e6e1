/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * How long from capture to the aggregator's ack: a histogram of samples. One event at a time is
 * watched: the first one published while none is, until the ack that covers it. Pure; times are
 * CLOCK_MONOTONIC and come from outside. Zero-initialised.
 */
#define LATENCY_N_EDGES 12
#define LATENCY_ID_SIZE 16

/* Upper edges of the buckets in nanoseconds; the bucket behind the last one has none. */
extern const uint64_t latency_edges[LATENCY_N_EDGES];

struct latency {
	uint64_t seq, since_ns; /* the watched event; seq 0 = none */
	uint8_t epoch[LATENCY_ID_SIZE];
	uint64_t counts[LATENCY_N_EDGES + 1];
	uint64_t samples, sum_ns;
};

static inline bool latency_is_idle(const struct latency *latency)
{
	return latency->seq == 0;
}

void latency_begin(struct latency *latency, const uint8_t epoch[LATENCY_ID_SIZE], uint64_t seq,
		   uint64_t now_ns);
/* An ack came. An ack of another epoch than the watched event's ends the watch without a sample. */
void latency_acked(struct latency *latency, const uint8_t epoch[LATENCY_ID_SIZE], uint64_t seq,
		   uint64_t now_ns);
