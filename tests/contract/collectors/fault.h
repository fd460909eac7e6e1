/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Real faults on this kernel, private to the test: a loop device whose backing file was cut short,
 * and a tracefs of the process's own mount namespace. Nothing outlives the process: the file is
 * unlinked at once, the loop device is released by the kernel with its last descriptor
 * (LO_FLAGS_AUTOCLEAR), mounts go with the namespace.
 */
struct fault_device {
	int fd; /* of the loop device, O_DIRECT */
	uint32_t major, minor;
	char name[16]; /* loop3 */
};

/* Why the kernel tests cannot run here; NULL = they can. Enters a private mount namespace. */
const char *fault_missing(void);
/* Mounts tracefs at @path (made). 0 or -errno. */
int fault_mount_tracefs(const char *path);
void fault_unmount(const char *path);

/* 0 or -errno. 1 MiB of which nothing can be read. */
int fault_device_open(struct fault_device *device);
void fault_device_close(struct fault_device *device);
/* Reads 4 KiB at @sector; returns the negative errno of the read, 0 if it worked. */
int fault_read(const struct fault_device *device, uint64_t sector);
