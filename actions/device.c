/* SPDX-License-Identifier: Apache-2.0 */
#include "actions/device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/file.h"

/* Logical blocks are at most a page on every kernel before 6.15 (block/blk-settings.c); 64 KiB
 * since. */
#define DEVICE_BLOCK_MAX 65536

static uint64_t device_attribute_u64(int dir, const char *path, uint64_t fallback)
{
	char line[64], *end;
	unsigned long long value;

	if (file_read_line(dir, path, line, sizeof(line)))
		return fallback;
	/* base 0: ioerr_cnt of SCSI is written with 0x (drivers/scsi/scsi_sysfs.c) */
	value = strtoull(line, &end, 0);
	return end == line ? fallback : value;
}

/* `inflight` holds reads and writes (Documentation/ABI/stable/sysfs-block). */
static uint32_t device_in_flight(int dir)
{
	char line[64];
	unsigned reads = 0, writes = 0;

	if (file_read_line(dir, "inflight", line, sizeof(line)))
		return 0;
	if (sscanf(line, "%u %u", &reads, &writes) != 2) // NOLINT(cert-err34-c)
		return 0;
	return reads + writes;
}

static void device_read_driver_state(int dir, struct device_state *state)
{
	char line[33];

	if (file_read_line(dir, "device/state", line, sizeof(line)) == 0)
		memcpy(state->state, line, sizeof(line));
	else if (file_read_line(dir, "dm/suspended", line, sizeof(line)) == 0)
		snprintf(state->state, sizeof(state->state), "%s",
			 strcmp(line, "0") == 0 ? "active" : "suspended");
}

static int device_open_sysfs(const char *sysfs, const struct device *device)
{
	char path[512];
	int dir;

	snprintf(path, sizeof(path), "%s/dev/block/%u:%u", sysfs, device->major, device->minor);
	dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return dir < 0 ? -errno : dir;
}

/* Numbers are recycled: the folder's own name must still be the one that was resolved. */
static bool device_is_same(int dir, const char *name)
{
	char link[64], target[512];
	const char *base;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, target, sizeof(target) - 1);
	if (n < 0)
		return true; /* no /proc: nothing to compare with */
	target[n] = 0;
	base = strrchr(target, '/');
	return !*name || (base && strcmp(base + 1, name) == 0);
}

int device_read_state(const char *sysfs, const struct device *device,
		      struct device_state *ret_state)
{
	struct device_state state = { 0 };
	_cleanup_fd_ int dir = device_open_sysfs(sysfs, device);

	if (dir < 0 && dir != -ENOENT)
		return dir;
	if (dir < 0 || !device_is_same(dir, device->name)) {
		*ret_state = state;
		return 0;
	}
	state.present = true;
	state.size_sectors = device_attribute_u64(dir, "size", 0);
	state.read_only = device_attribute_u64(dir, "ro", 0) != 0;
	state.removable = device_attribute_u64(dir, "removable", 0) != 0;
	state.io_errors = device_attribute_u64(dir, "device/ioerr_cnt", 0);
	state.in_flight = device_in_flight(dir);
	device_read_driver_state(dir, &state);
	*ret_state = state;
	return 0;
}

static uint32_t device_block_size(const char *sysfs, const struct device *device)
{
	_cleanup_fd_ int dir = device_open_sysfs(sysfs, device);
	uint64_t size;

	if (dir < 0)
		return 4096;
	size = device_attribute_u64(dir, "queue/logical_block_size", 0);
	if (!size) /* a partition: its disk has the queue */
		size = device_attribute_u64(dir, "../queue/logical_block_size", 4096);
	return size >= 512 && size <= DEVICE_BLOCK_MAX ? (uint32_t)size : 4096;
}

static int device_open_node(const char *dev, const struct device *device)
{
	char path[512];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dev, device->name);
	for (char *c = path + strlen(dev) + 1; *c; c++)
		if (*c == '!') /* sysfs spelling of a slash, as in cciss!c0d0 */
			*c = '/';
	/* O_NONBLOCK: an empty tray must not be waited for */
	fd = open(path, O_RDONLY | O_DIRECT | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && S_ISBLK(st.st_mode) &&
	    st.st_rdev == makedev(device->major, device->minor))
		return fd;
	fd_close(fd);
	return -ENXIO;
}

void device_read_sector(const char *sysfs, const char *dev, const struct device *device,
			struct device_state *state)
{
	uint32_t size = device_block_size(sysfs, device);
	_cleanup_fd_ int fd = device_open_node(dev, device);
	_cleanup_free_ void *block = NULL;
	ssize_t n;

	state->read_tried = true;
	state->readable = false;
	state->read_error = fd < 0 ? fd : 0;
	if (fd < 0)
		return;
	if (posix_memalign(&block, DEVICE_BLOCK_MAX, size)) {
		state->read_error = -ENOMEM;
		return;
	}
	n = pread(fd, block, size, 0);
	state->readable = n == (ssize_t)size;
	if (n < 0)
		state->read_error = -errno;
	else if (!state->readable)
		state->read_error = -EIO; /* shorter than one block: the end of the medium */
}
