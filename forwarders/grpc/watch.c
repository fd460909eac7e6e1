/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define WATCH_SETTLE_S 0.2
#define WATCH_MASK                                                                           \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | \
	 IN_MOVE_SELF | IN_ONLYDIR)

struct watch {
	struct ev_loop *loop;
	struct ev_io io;
	struct ev_timer settle;
	int fd;
	void (*changed)(void *data);
	void *data;
};

static void watch_on_settled(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct watch *watch = timer->data;

	(void)events;
	ev_timer_stop(loop, timer);
	watch->changed(watch->data);
}

/* What happened does not matter: the files are looked at again. */
static void watch_on_readable(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct watch *watch = io->data;
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	(void)events;
	while (read(watch->fd, buffer, sizeof(buffer)) > 0)
		;
	ev_timer_again(loop, &watch->settle);
}

int watch_new(struct ev_loop *loop, void (*changed)(void *data), void *data,
	      struct watch **ret_watch)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (!watch || fd < 0) {
		int error = watch ? -errno : -ENOMEM;

		free(watch);
		if (fd >= 0)
			close(fd);
		return error;
	}
	watch->loop = loop;
	watch->fd = fd;
	watch->changed = changed;
	watch->data = data;
	ev_io_init(&watch->io, watch_on_readable, fd, EV_READ);
	watch->io.data = watch;
	ev_io_start(loop, &watch->io);
	ev_init(&watch->settle, watch_on_settled);
	watch->settle.repeat = WATCH_SETTLE_S;
	watch->settle.data = watch;
	*ret_watch = watch;
	return 0;
}

static void watch_folder_of(struct watch *watch, const char *path)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	struct stat st;

	if (!slash || (size_t)(slash - path) >= sizeof(folder))
		return;
	snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	(void)inotify_add_watch(watch->fd, folder, WATCH_MASK); /* a folder twice is one watch */
	if (lstat(folder, &st) == 0 && S_ISLNK(st.st_mode))
		watch_folder_of(watch, folder); /* where it is that may be turned elsewhere */
}

void watch_set(struct watch *watch, const char *const *paths, size_t n_paths)
{
	char target[PATH_MAX];
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK); /* drops all watches at once */

	if (fd < 0)
		return;
	ev_io_stop(watch->loop, &watch->io);
	close(watch->fd);
	watch->fd = fd;
	ev_io_set(&watch->io, fd, EV_READ);
	ev_io_start(watch->loop, &watch->io);
	for (size_t i = 0; i < n_paths; i++) {
		watch_folder_of(watch, paths[i]);
		if (realpath(paths[i], target))
			watch_folder_of(watch, target);
	}
}

struct watch *watch_free(struct watch *watch)
{
	if (!watch)
		return NULL;
	ev_io_stop(watch->loop, &watch->io);
	ev_timer_stop(watch->loop, &watch->settle);
	close(watch->fd);
	free(watch);
	return NULL;
}
