/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/*
 * Waits without a timer until a path may have appeared or changed: inotify on the nearest folder
 * above it that exists, or, for /proc/self/mountinfo, the kernel's own sign that a mount changed.
 */
struct watch {
	int fd;		/* pollable for reading; -1 = closed */
	int mount_fd;	/* -1: inotify */
	char name[256]; /* the part of the path below the watched folder; "" = anything */
};

/* 0 or -errno. */
int watch_open(struct watch *watch, const char *path);
/* fd is readable: true when it was about the path. */
bool watch_read(struct watch *watch);
/* Also for a struct that was never opened but holds -1. */
void watch_close(struct watch *watch);
