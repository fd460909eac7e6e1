/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/keys_watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/fd.h"

#define KEYS_WATCH_SETTLE_S 0.2
/* inotify(7). A rename into place, a finished write, a removal; the folder itself. */
#define KEYS_WATCH_FILES                                                                         \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB | IN_DELETE_SELF | \
	 IN_MOVE_SELF | IN_ONLYDIR)
#define KEYS_WATCH_PARENT (IN_CREATE | IN_MOVED_TO | IN_ONLYDIR)

static void keys_watch_on_settled(EV_P_ struct ev_timer *timer, int revents)
{
	struct keys_watch *watch = timer->data;

	watch->changed(watch->data);
}

static void keys_watch_on_io(EV_P_ struct ev_io *io, int revents)
{
	struct keys_watch *watch = io->data;
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	while (read(watch->fd, events, sizeof(events)) > 0)
		;
	ev_timer_stop(EV_A_ & watch->settle);
	ev_timer_set(&watch->settle, KEYS_WATCH_SETTLE_S, 0.);
	ev_timer_start(EV_A_ & watch->settle);
}

void keys_watch_init(struct keys_watch *watch, struct ev_loop *loop, void *data,
		     void (*changed)(void *data))
{
	*watch = (struct keys_watch){ .loop = loop, .fd = -1, .data = data, .changed = changed };
	ev_init(&watch->io, keys_watch_on_io);
	ev_init(&watch->settle, keys_watch_on_settled);
	watch->io.data = watch->settle.data = watch;
}

static void keys_watch_stop(struct keys_watch *watch)
{
	ev_io_stop(watch->loop, &watch->io);
	watch->fd = fd_close(watch->fd);
	free(watch->dir);
	watch->dir = NULL;
}

void keys_watch_deinit(struct keys_watch *watch)
{
	if (!watch->loop)
		return;
	ev_timer_stop(watch->loop, &watch->settle);
	keys_watch_stop(watch);
}

static int keys_watch_add(struct keys_watch *watch)
{
	char *slash;
	int r = inotify_add_watch(watch->fd, watch->dir, KEYS_WATCH_FILES);

	if (r >= 0)
		return r;
	slash = strrchr(watch->dir, '/');
	if (!slash || slash == watch->dir)
		return -1;
	*slash = 0;
	return inotify_add_watch(watch->fd, watch->dir, KEYS_WATCH_PARENT);
}

void keys_watch_set(struct keys_watch *watch, const char *dir)
{
	keys_watch_stop(watch);
	if (!dir)
		return;
	watch->dir = strdup(dir);
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (!watch->dir || watch->fd < 0 || keys_watch_add(watch) < 0) {
		keys_watch_stop(watch);
		return;
	}
	ev_io_set(&watch->io, watch->fd, EV_READ);
	ev_io_start(watch->loop, &watch->io);
}
