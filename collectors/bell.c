/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/bell.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "core/clock.h"

int bell_add(struct bell *bell, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(bell->fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int bell_open(struct bell *bell)
{
	int r;

	*bell = (struct bell){ .fd = -1, .timer_fd = -1, .armed_ns = UINT64_MAX };
	bell->fd = epoll_create1(EPOLL_CLOEXEC);
	if (bell->fd < 0)
		return -errno;
	bell->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r = bell->timer_fd < 0 ? -errno : bell_add(bell, bell->timer_fd);
	if (r < 0)
		bell_close(bell);
	return r;
}

void bell_arm(struct bell *bell, uint64_t when_ns)
{
	struct itimerspec spec = { 0 };

	if (when_ns == bell->armed_ns)
		return;
	bell->armed_ns = when_ns;
	/* Zero means unarmed to the kernel. Setting a time also takes back an expiry that was not
	 * read. */
	if (when_ns != UINT64_MAX) {
		spec.it_value.tv_sec = (time_t)(when_ns / CLOCK_NS_PER_S);
		spec.it_value.tv_nsec = (long)(when_ns % CLOCK_NS_PER_S);
		if (when_ns == 0)
			spec.it_value.tv_nsec = 1;
	}
	(void)timerfd_settime(bell->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

void bell_close(struct bell *bell)
{
	if (bell->timer_fd >= 0)
		close(bell->timer_fd);
	if (bell->fd >= 0)
		close(bell->fd);
	bell->fd = bell->timer_fd = -1;
}
