/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/watch_queue/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "collectors/watch_queue/filter.h"
#include "core/log.h"

/* include/uapi/linux/watch_queue.h: O_EXCL. That header cannot be included beside <fcntl.h>. */
#define PIPE_NOTIFICATION O_EXCL

int pipe_open(struct pipe_queue *pipe, unsigned n_notes, struct errmsg *err)
{
	int fds[2], r;

	pipe->read_fd = pipe->write_fd = -1;
	pipe->used = pipe->at = 0;
	if (pipe2(fds, PIPE_NOTIFICATION | O_CLOEXEC | O_NONBLOCK) < 0) {
		r = -errno;
		/* Without CONFIG_WATCH_QUEUE: ENOPKG. Before 5.8: EINVAL. */
		if (r == -ENOPKG || r == -EINVAL || r == -ENOSYS) {
			errmsg_set(err,
				   "this kernel has no notification pipe (CONFIG_WATCH_QUEUE is "
				   "off): %s",
				   log_errno(r));
			return PIPE_E_ABSENT;
		}
		errmsg_set(err, "cannot make a notification pipe: %s", log_errno(r));
		return r;
	}
	pipe->read_fd = fds[0];
	pipe->write_fd = fds[1];
	if (ioctl(pipe->read_fd, FILTER_IOC_SET_SIZE, n_notes) == 0)
		return 0;
	r = -errno;
	errmsg_set(err, "a notification pipe of %u records: %s", n_notes, log_errno(r));
	pipe_close(pipe);
	return r;
}

void pipe_close(struct pipe_queue *pipe)
{
	if (pipe->read_fd >= 0)
		close(pipe->read_fd);
	if (pipe->write_fd >= 0)
		close(pipe->write_fd);
	pipe->read_fd = pipe->write_fd = -1;
}

/* 0, PIPE_E_EMPTY, -errno. */
static int pipe_fill(struct pipe_queue *pipe)
{
	ssize_t n;

	do {
		n = read(pipe->read_fd, pipe->buffer, sizeof(pipe->buffer));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? PIPE_E_EMPTY : -errno;
	pipe->at = 0;
	pipe->used = (size_t)n;
	return n == 0 ? PIPE_E_EMPTY : 0;
}

int pipe_peek(struct pipe_queue *pipe, enum note_dialect dialect, struct note *ret_note)
{
	int r = pipe->at < pipe->used ? 0 : pipe_fill(pipe);

	if (r != 0)
		return r;
	r = note_decode(dialect, pipe->buffer + pipe->at, pipe->used - pipe->at, ret_note);
	if (r < 0) {
		ret_note->data = pipe->buffer + pipe->at;
		ret_note->size = pipe->used - pipe->at;
	}
	return r;
}

void pipe_advance(struct pipe_queue *pipe, const struct note *note)
{
	pipe->at += note->size;
}
