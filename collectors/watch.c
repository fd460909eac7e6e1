/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"

#define WATCH_MOUNTS "/proc/self/mountinfo"

/*
 * mountinfo is always readable and says EPOLLPRI once after a change (fs/proc_namespace.c,
 * mounts_poll, 6.12). An epoll descriptor that holds it for EPOLLPRI only turns that into
 * "readable", which any loop can wait for.
 */
static int watch_open_mounts(struct watch *watch)
{
	struct epoll_event event = { .events = EPOLLPRI };
	int r;

	watch->mount_fd = open(WATCH_MOUNTS, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (watch->mount_fd < 0)
		return -errno;
	watch->fd = epoll_create1(EPOLL_CLOEXEC);
	if (watch->fd >= 0 && epoll_ctl(watch->fd, EPOLL_CTL_ADD, watch->mount_fd, &event) == 0)
		return 0;
	r = -errno;
	watch_close(watch);
	return r;
}

static int watch_open_path(struct watch *watch, const char *path)
{
	/*
	 * Not IN_CLOSE_WRITE: in /dev that would wake us for every writer of /dev/null. Writes are
	 * watched on the path itself, where it exists.
	 */
	const unsigned mask =
		IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
	char folder[PATH_MAX], *slash;
	struct stat st;
	int r = -ENOENT;

	if (path[0] != '/' || strlen(path) >= sizeof(folder))
		return -EINVAL;
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->fd < 0)
		return -errno;
	snprintf(folder, sizeof(folder), "%s", path);
	while (r == -ENOENT && (slash = strrchr(folder, '/')) != NULL) {
		snprintf(watch->name, sizeof(watch->name), "%s", slash + 1);
		slash[slash == folder] = '\0';
		r = inotify_add_watch(watch->fd, folder, mask) < 0 ? -errno : 0;
		if (slash == folder)
			break;
		if (r == -ENOTDIR)
			r = -ENOENT;
	}
	if (r < 0)
		watch_close(watch);
	else if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		(void)inotify_add_watch(watch->fd, path, IN_CLOSE_WRITE);
	return r;
}

int watch_open(struct watch *watch, const char *path)
{
	*watch = (struct watch){ .fd = -1, .mount_fd = -1 };
	return strcmp(path, WATCH_MOUNTS) == 0 ? watch_open_mounts(watch)
					       : watch_open_path(watch, path);
}

bool watch_read(struct watch *watch)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct epoll_event event;
	bool found = false;
	ssize_t n;

	if (watch->mount_fd >= 0) {
		/* The kernel's sign is taken by looking; that the loop woke us is the news. */
		(void)epoll_wait(watch->fd, &event, 1, 0);
		return true;
	}
	while ((n = read(watch->fd, buffer, sizeof(buffer))) > 0) {
		for (char *pos = buffer; pos < buffer + n;) {
			const struct inotify_event *e = (const struct inotify_event *)pos;

			found |= e->len == 0 || watch->name[0] == '\0' ||
				 strcmp(e->name, watch->name) == 0;
			pos += sizeof(*e) + e->len;
		}
	}
	return found;
}

void watch_close(struct watch *watch)
{
	watch->fd = fd_close(watch->fd);
	watch->mount_fd = fd_close(watch->mount_fd);
}
