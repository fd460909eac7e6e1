/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The few device-mapper ioctls that the collector needs, on /dev/mapper/control
 * (include/uapi/linux/dm-ioctl.h, Linux 6.12). libdevmapper is not used: it keeps its control
 * descriptor to itself, so that DM_DEV_ARM_POLL and poll can't meet on one open file; it allocates
 * and logs, which a child of a program with threads must not; and it is 400 KB for five calls.
 *
 * No memory but dm_buffer's, which is mapped: all may be called between fork and exit.
 */
#define DM_CONTROL "/dev/mapper/control"

struct dm_buffer {
	void *data;
	size_t size;
};

struct dm_entry {
	const char *name;
	uint32_t major, minor;
	uint32_t event_nr; /* 0 where the kernel has none (before 4.13) */
};

struct dm_status {
	const char *target, *text; /* of the first target; "" = no table */
	const char *name, *uuid;
	bool suspended;
	uint32_t n_targets;
};

/* device-mapper is in the kernel now. Opening the control node would load its module. */
bool dm_is_present(void);
/* A non-blocking descriptor, or -errno. */
int dm_open(void);
/* From now on poll says POLLIN once there has been a newer event of any map, a creation, renaming
 * or removal. 0 or -errno. */
int dm_arm_poll(int fd);

/* Grows @buffer as needed, up to 16 MiB. 0 or -errno. */
int dm_list(int fd, struct dm_buffer *buffer);
/* Steps through it; *offset starts at 0. False at the end. */
bool dm_list_next(const struct dm_buffer *buffer, size_t *offset, struct dm_entry *ret_entry);
/* TABLE line, else INFO, of the live table. Never flushes, but may sleep for a lock. Strings are in
 * @buffer. 0; -ENXIO: the device is gone; -errno. */
int dm_table_status(int fd, struct dm_buffer *buffer, uint32_t major, uint32_t minor, bool table,
		    struct dm_status *ret_status);
/* A message to the target at the start of the map (DM_TARGET_MSG): "fail_path 8:16". Sleeps for a
 * lock: for children only. 0; -EINVAL: the target does not know it; -ENXIO: no such map; -errno
 * (-EBUSY: suspended). */
int dm_message(int fd, struct dm_buffer *buffer, uint32_t major, uint32_t minor,
	       const char *message);
void dm_buffer_free(struct dm_buffer *buffer);
