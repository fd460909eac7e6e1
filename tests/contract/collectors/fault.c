/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FAULT_SIZE (1 << 20)

const char *fault_missing(void)
{
	if (geteuid() != 0)
		return "not root";
	if (access("/dev/loop-control", R_OK | W_OK) < 0)
		return "no /dev/loop-control";
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return "no private mount namespace";
	return NULL;
}

int fault_mount_tracefs(const char *path)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	return mount("tracefs", path, "tracefs", 0, NULL) < 0 ? -errno : 0;
}

void fault_unmount(const char *path)
{
	umount2(path, MNT_DETACH);
	rmdir(path);
}

void fault_device_close(struct fault_device *device)
{
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
}

static int fault_attach(struct fault_device *device, int file_fd)
{
	struct loop_config config = { .fd = (unsigned)file_fd,
				      .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), r = -EBUSY;
	char path[32];

	if (control < 0)
		return -errno;
	/* Others on this machine look for a free one, too. */
	for (int attempt = 0; attempt < 50 && r == -EBUSY; attempt++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		snprintf(device->name, sizeof(device->name), "loop%d", number);
		snprintf(path, sizeof(path), "/dev/%s", device->name);
		device->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		if (device->fd < 0) {
			r = -errno;
			break;
		}
		r = ioctl(device->fd, LOOP_CONFIGURE, &config) < 0 ? -errno : 0;
		if (r < 0)
			fault_device_close(device);
	}
	close(control);
	return r;
}

int fault_device_open(struct fault_device *device)
{
	char path[] = "/tmp/pathbell-fault-XXXXXX";
	int file_fd = mkostemp(path, O_CLOEXEC), r;
	struct stat st = { 0 };

	device->fd = -1;
	if (file_fd < 0)
		return -errno;
	unlink(path);
	r = ftruncate(file_fd, FAULT_SIZE) < 0 ? -errno : fault_attach(device, file_fd);
	if (r == 0 && (ftruncate(file_fd, 0) < 0 || fstat(device->fd, &st) < 0))
		r = -errno;
	close(file_fd);
	if (r < 0)
		return r;
	device->major = major(st.st_rdev);
	device->minor = minor(st.st_rdev);
	return 0;
}

int fault_read(const struct fault_device *device, uint64_t sector)
{
	static uint8_t buffer[4096] __attribute__((aligned(4096)));
	ssize_t n = pread(device->fd, buffer, sizeof(buffer), (off_t)(sector * 512));

	return n < 0 ? -errno : 0;
}
