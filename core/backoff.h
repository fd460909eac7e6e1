/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * When to try again. Pure: `now` and randomness come from outside. The delay is uniform in
 * [base, min(cap, base * 3^n)] with the jitter applied AFTER the cap, so that hosts that sit at the
 * cap still spread (facts: fleets that jittered before the cap returned in one wave). The first
 * attempt after a session that worked waits uniform(0, window), window set by the server. The count
 * of attempts is reset only after a session has been healthy for `healthy_ns`; a shorter one counts
 * as a failed attempt and waits for the greater of the two. Without a window the base takes its
 * place.
 */
#define BACKOFF_SERVER_MAX_NS \
	(UINT64_C(3600) * 1000000000) /* longest window or slot that is believed */

struct backoff_options {
	uint64_t base_ns;    /* > 0 */
	uint64_t cap_ns;     /* >= base_ns */
	uint64_t healthy_ns; /* a session this long resets the count */
};

struct backoff {
	struct backoff_options options;
	uint64_t random; /* state of the generator, never 0 */
	uint64_t window_ns;
	uint64_t up_since_ns; /* 0: no session */
	uint64_t attempts;    /* since the last reset */
	uint64_t total;	      /* ever; survives resets */
};

void backoff_init(struct backoff *backoff, const struct backoff_options *options, uint64_t seed);
/* A session was established at @now_ns. */
void backoff_up(struct backoff *backoff, uint64_t now_ns);
/* It ended, or the attempt failed. Returns the time (same clock as @now_ns) of the next attempt. */
uint64_t backoff_down(struct backoff *backoff, uint64_t now_ns);
/* The server told its window, or a slot for the return after a drain (used once, without jitter).
 */
void backoff_set_window(struct backoff *backoff, uint64_t window_ns);
uint64_t backoff_drained(struct backoff *backoff, uint64_t now_ns, uint64_t return_after_ns);
