/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/spool/crash.h"

double disk_retry_s = 30.;
void (*crash_hook)(const char *what, bool after);

static int disk_openat(int dirfd, const char *name, int flags, mode_t mode)
{
	return openat(dirfd, name, flags, mode);
}

const struct disk disk_real = {
	.openat = disk_openat,
	.pread = pread,
	.pwrite = pwrite,
	.fallocate = fallocate,
	.fdatasync = fdatasync,
	.fsync = fsync,
	.ftruncate = ftruncate,
	.unlinkat = unlinkat,
};

static const struct disk *disk_current = &disk_real;

void disk_set(const struct disk *disk)
{
	disk_current = disk != NULL ? disk : &disk_real;
}

const struct disk *disk_get(void)
{
	return disk_current;
}

int disk_write_all(const struct disk *disk, int fd, const void *data, size_t size, off_t offset)
{
	const char *p = data;

	while (size > 0) {
		ssize_t n = disk->pwrite(fd, p, size, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		offset += n;
		size -= (size_t)n;
	}
	return 0;
}

ssize_t disk_read_all(const struct disk *disk, int fd, void *buffer, size_t size, off_t offset)
{
	char *p = buffer;
	size_t done = 0;

	while (done < size) {
		ssize_t n = disk->pread(fd, p + done, size - done, offset + (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}
