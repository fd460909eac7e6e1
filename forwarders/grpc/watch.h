/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stddef.h>

/*
 * Tells when something happened in the folders of some files: writes, atomic renames, and the
 * swapped
 * ..data symlink of Kubernetes volumes. inotify, so that an idle process sleeps. Calls are for the
 * loop's thread; @changed comes some 200 ms after the last of a burst.
 */
struct watch;

/* 0 or -errno. */
int watch_new(struct ev_loop *loop, void (*changed)(void *data), void *data,
	      struct watch **ret_watch);
/* The files, instead of those before. Folders that are missing are tried again at the next call. */
void watch_set(struct watch *watch, const char *const *paths, size_t n_paths);
struct watch *watch_free(struct watch *watch);
