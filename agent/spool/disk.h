/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/*
 * The calls through which the writer thread touches files; as their namesakes, -1 and errno. Tests
 * put their own table in place before spool_open to fail, delay or block the n-th call.
 */
struct disk {
	int (*openat)(int dirfd, const char *name, int flags, mode_t mode);
	ssize_t (*pread)(int fd, void *buffer, size_t size, off_t offset);
	ssize_t (*pwrite)(int fd, const void *data, size_t size, off_t offset);
	int (*fallocate)(int fd, int mode, off_t offset, off_t size);
	int (*fdatasync)(int fd);
	int (*fsync)(int fd);
	int (*ftruncate)(int fd, off_t size);
	int (*unlinkat)(int dirfd, const char *name, int flags);
};

extern const struct disk disk_real;
/* What the next spool_open will use; NULL = disk_real. Not thread-safe. */
void disk_set(const struct disk *disk);
const struct disk *disk_get(void);
/* How long a degraded spool waits before it tries its folder again: 30 s; tests wait less. */
extern double disk_retry_s;

/* All of it over EINTR and short writes; the whole or until end of file. 0 (bytes read) or -errno.
 */
int disk_write_all(const struct disk *disk, int fd, const void *data, size_t size, off_t offset);
ssize_t disk_read_all(const struct disk *disk, int fd, void *buffer, size_t size, off_t offset);
