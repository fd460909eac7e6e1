/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Flap damping of one path, as routers do it (RFC 2439): each failure adds a penalty that decays
 * with a half-life. At `limit` the path is marginal, until the penalty is below DAMP_REUSE. The
 * penalty is capped, so that a path that has calmed down is told of within five half-lives. Pure:
 * `now` is CLOCK_MONOTONIC in ns from outside. Between two half-lives the decay is linear: integers
 * only, at most 6 % above the exponential.
 */
#define DAMP_PENALTY 1000 /* for each failure */
#define DAMP_REUSE   500
#define DAMP_CAP     16000

struct damp_options {
	uint32_t limit; /* 0 = never marginal */
	uint64_t half_life_ns;
};

struct damp {
	uint32_t penalty; /* at at_ns */
	uint64_t at_ns;
	bool marginal;
};

uint32_t damp_penalty(const struct damp *damp, const struct damp_options *options, uint64_t now_ns);
/* True: it has become marginal. */
bool damp_fail(struct damp *damp, const struct damp_options *options, uint64_t now_ns);
/* True: it was marginal and is no more. */
bool damp_settle(struct damp *damp, const struct damp_options *options, uint64_t now_ns);
/* When damp_settle will be true if nothing happens; UINT64_MAX when not marginal. */
uint64_t damp_due(const struct damp *damp, const struct damp_options *options);
