/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "collectors/watch.h"
#include "core/backoff.h"

/*
 * When a guard opens its collector again: by backoff after a failure (1 s to 5 min) or an absence
 * (10 s to 10 min), or, without any timer, when a watched path may have appeared.
 */
struct retry {
	struct ev_loop *loop;
	struct backoff failed, absent;
	struct watch watch;
	struct ev_io watch_io;
	struct ev_timer timer;
	bool watch_raced; /* the one look behind the arming of the watch was taken */
	void (*due)(void *data);
	void *data;
};

void retry_init(struct retry *retry, struct ev_loop *loop, void (*due)(void *data), void *data);
/* Stops everything; the struct may be used again. */
void retry_stop(struct retry *retry);
bool retry_is_timed(const struct retry *retry);
/* Each returns the milliseconds until the next attempt. */
uint32_t retry_after_failure(struct retry *retry);
uint32_t retry_after_absence(struct retry *retry);
/* False: @path can't be watched (or is NULL). */
bool retry_watch(struct retry *retry, const char *path);
/* It worked. */
void retry_up(struct retry *retry);
