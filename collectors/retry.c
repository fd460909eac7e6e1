/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/retry.h"

#include "core/clock.h"

/* A busy folder or many mounts: at most one attempt for each of these. */
#define RETRY_WATCH_PAUSE_S 1.0

static const struct backoff_options retry_failed = {
	.base_ns = CLOCK_NS_PER_S,
	.cap_ns = 300 * CLOCK_NS_PER_S,
	.healthy_ns = 60 * CLOCK_NS_PER_S,
};

static const struct backoff_options retry_absent = {
	.base_ns = 10 * CLOCK_NS_PER_S,
	.cap_ns = 600 * CLOCK_NS_PER_S,
	.healthy_ns = 60 * CLOCK_NS_PER_S,
};

static void retry_start(struct retry *retry, double seconds)
{
	ev_timer_stop(retry->loop, &retry->timer);
	ev_timer_set(&retry->timer, seconds, 0.0);
	ev_timer_start(retry->loop, &retry->timer);
}

static void retry_on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct retry *retry = timer->data;

	retry->due(retry->data);
}

static void retry_on_watch(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct retry *retry = io->data;

	if (watch_read(&retry->watch) && !ev_is_active(&retry->timer))
		retry_start(retry, RETRY_WATCH_PAUSE_S);
}

void retry_init(struct retry *retry, struct ev_loop *loop, void (*due)(void *data), void *data)
{
	uint64_t seed = clock_monotonic_ns();

	*retry = (struct retry){
		.loop = loop, .watch = { .fd = -1, .mount_fd = -1 }, .due = due, .data = data
	};
	backoff_init(&retry->failed, &retry_failed, seed | 1);
	backoff_init(&retry->absent, &retry_absent, ~seed | 1);
	ev_init(&retry->watch_io, retry_on_watch);
	ev_init(&retry->timer, retry_on_timer);
	retry->watch_io.data = retry->timer.data = retry;
}

void retry_stop(struct retry *retry)
{
	ev_timer_stop(retry->loop, &retry->timer);
	ev_io_stop(retry->loop, &retry->watch_io);
	watch_close(&retry->watch);
}

bool retry_is_timed(const struct retry *retry)
{
	return ev_is_active(&retry->timer);
}

static uint32_t retry_after(struct retry *retry, struct backoff *backoff)
{
	uint64_t now_ns = clock_monotonic_ns(), next_ns = backoff_down(backoff, now_ns);
	uint64_t ms = next_ns > now_ns ? (next_ns - now_ns) / CLOCK_NS_PER_MS : 0;

	retry_start(retry, (double)ms / 1e3);
	return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

uint32_t retry_after_failure(struct retry *retry)
{
	return retry_after(retry, &retry->failed);
}

uint32_t retry_after_absence(struct retry *retry)
{
	return retry_after(retry, &retry->absent);
}

bool retry_watch(struct retry *retry, const char *path)
{
	if (path == NULL || watch_open(&retry->watch, path) < 0)
		return false;
	ev_io_set(&retry->watch_io, retry->watch.fd, EV_READ);
	ev_io_start(retry->loop, &retry->watch_io);
	if (!retry->watch_raced) {
		/* What came between the failed attempt and the watch gives no sign: look once more.
		 */
		retry->watch_raced = true;
		retry_start(retry, RETRY_WATCH_PAUSE_S);
	}
	return true;
}

void retry_up(struct retry *retry)
{
	uint64_t now_ns = clock_monotonic_ns();

	retry->watch_raced = false;
	ev_timer_stop(retry->loop, &retry->timer);
	backoff_up(&retry->failed, now_ns);
	backoff_up(&retry->absent, now_ns);
}
