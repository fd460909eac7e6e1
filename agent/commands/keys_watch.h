/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>

/*
 * Says when a file of commands.keys_dir has changed, a moment after the last change, so that a tool
 * that writes several is heard once. Where the folder is not there yet, its parent is watched for
 * it. Where neither can be watched, a reload is needed: nothing polls.
 */
struct keys_watch {
	struct ev_loop *loop;
	int fd; /* inotify; -1 = none */
	char *dir;
	struct ev_io io;
	struct ev_timer settle;
	void *data;
	void (*changed)(void *data);
};

void keys_watch_init(struct keys_watch *watch, struct ev_loop *loop, void *data,
		     void (*changed)(void *data));
/* Watches @dir (copied; NULL = none) from now on, anew each time: it may have come or been
 * replaced. */
void keys_watch_set(struct keys_watch *watch, const char *dir);
void keys_watch_deinit(struct keys_watch *watch);
