/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

/*
 * For a collector that waits for several descriptors and a moment, while the contract gives it one
 * descriptor: an epoll with a one-shot timer in it. Unarmed, the timer costs no wake-up.
 */
struct bell {
	int fd; /* readable while any part is; -1 = closed */
	int timer_fd;
	uint64_t armed_ns; /* UINT64_MAX = unarmed */
};

/* 0 or -errno (closed then). */
int bell_open(struct bell *bell);
/* @fd stays the caller's; closing it takes it out. 0 or -errno. */
int bell_add(struct bell *bell, int fd);
/* Rings at @when_ns of CLOCK_MONOTONIC; a past time rings at once, UINT64_MAX never. A ring that
 * has begun ends with the next call that sets another time. */
void bell_arm(struct bell *bell, uint64_t when_ns);
/* Also for a bell that was never opened but holds -1. */
void bell_close(struct bell *bell);
