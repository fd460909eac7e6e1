/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* Closes unless negative; keeps errno. Returns -1: fd = fd_close(fd). */
int fd_close(int fd);
int fd_set_nonblock(int fd);
int fd_set_cloexec(int fd);
/* All of it, over EINTR and short writes. 0 or -errno. */
int fd_write_all(int fd, const void *data, size_t size);
/* Reads until end or @size; returns bytes or -errno. */
ssize_t fd_read_all(int fd, void *ret_data, size_t size);

static inline void fd_closep(int *fd)
{
	fd_close(*fd);
}

#define _cleanup_fd_ __attribute__((cleanup(fd_closep)))
