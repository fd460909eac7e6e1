/* SPDX-License-Identifier: Apache-2.0 */
#include "core/backoff.h"

#include <assert.h>
#include <stdbool.h>

/*
 * A mistaken or hostile server must not silence a host for long: what it may ask for is bounded
 * here, whatever it says.
 */
static uint64_t backoff_clamp(uint64_t ns)
{
	return ns < BACKOFF_SERVER_MAX_NS ? ns : BACKOFF_SERVER_MAX_NS;
}

/* xorshift64*: plenty for spreading hosts; period 2^64 - 1, state never 0. */
static uint64_t backoff_random(struct backoff *backoff)
{
	uint64_t x = backoff->random;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	backoff->random = x;
	return x * UINT64_C(0x2545F4914F6CDD1D);
}

/* Uniform in [low, high], both ends included. */
static uint64_t backoff_uniform(struct backoff *backoff, uint64_t low, uint64_t high)
{
	uint64_t span = high - low;
	uint64_t random = backoff_random(backoff);

	if (span == UINT64_MAX)
		return random;
	return low + (uint64_t)(((unsigned __int128)random * (span + 1)) >> 64);
}

/* min(cap, base * 3^attempts) without overflow. */
static uint64_t backoff_ceiling(const struct backoff *backoff)
{
	uint64_t ceiling = backoff->options.base_ns;

	for (uint64_t i = 0; i < backoff->attempts && ceiling < backoff->options.cap_ns; i++)
		ceiling = ceiling > UINT64_MAX / 3 ? UINT64_MAX : ceiling * 3;
	return ceiling < backoff->options.cap_ns ? ceiling : backoff->options.cap_ns;
}

static uint64_t backoff_add(uint64_t now_ns, uint64_t delay_ns)
{
	return delay_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + delay_ns;
}

void backoff_init(struct backoff *backoff, const struct backoff_options *options, uint64_t seed)
{
	assert(options->base_ns > 0 && options->cap_ns >= options->base_ns);

	/* Neighbouring seeds (host numbers, pids) must not give neighbouring first delays:
	 * splitmix64. */
	seed += UINT64_C(0x9E3779B97F4A7C15);
	seed = (seed ^ (seed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	seed = (seed ^ (seed >> 27)) * UINT64_C(0x94D049BB133111EB);
	seed ^= seed >> 31;
	*backoff = (struct backoff){ .options = *options, .random = seed ? seed : 1 };
}

void backoff_up(struct backoff *backoff, uint64_t now_ns)
{
	backoff->up_since_ns = now_ns ? now_ns : 1;
}

uint64_t backoff_down(struct backoff *backoff, uint64_t now_ns)
{
	bool was_up = backoff->up_since_ns != 0;
	bool was_healthy = was_up && now_ns >= backoff->up_since_ns &&
			   now_ns - backoff->up_since_ns >= backoff->options.healthy_ns;
	uint64_t window_ns = backoff->window_ns ? backoff->window_ns : backoff->options.base_ns;
	uint64_t spread_ns = was_up ? backoff_uniform(backoff, 0, window_ns) : 0;
	uint64_t delay_ns = 0;

	backoff->up_since_ns = 0;
	backoff->total++;
	if (was_healthy) {
		backoff->attempts = 0;
		return backoff_add(now_ns, spread_ns);
	}

	/*
	 * A session that did not live long is a failure, or a server that accepts and drops at once
	 * would be hammered; yet its hosts were all dropped together, so the window holds as well.
	 */
	backoff->attempts++;
	delay_ns = backoff_uniform(backoff, backoff->options.base_ns, backoff_ceiling(backoff));
	return backoff_add(now_ns, delay_ns > spread_ns ? delay_ns : spread_ns);
}

void backoff_set_window(struct backoff *backoff, uint64_t window_ns)
{
	backoff->window_ns = backoff_clamp(window_ns);
}

uint64_t backoff_drained(struct backoff *backoff, uint64_t now_ns, uint64_t return_after_ns)
{
	bool was_healthy = backoff->up_since_ns && now_ns >= backoff->up_since_ns &&
			   now_ns - backoff->up_since_ns >= backoff->options.healthy_ns;

	backoff->up_since_ns = 0;
	backoff->total++;
	if (was_healthy)
		backoff->attempts = 0;
	return backoff_add(now_ns, backoff_clamp(return_after_ns));
}
