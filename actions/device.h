/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * A block device by stable identity, and its present state as sysfs and, where wished, one read
 * say. Plain bytes without pointers.
 */
struct device {
	uint32_t type; /* Pathbell__V1__SubjectType */
	uint32_t major, minor;
	uint64_t generation;
	char id[257], name[65], wwid[257], serial[129], model[129], vendor[65], uuid[257];
	char bus_address[65];
};

struct device_state {
	bool present, read_only, removable;
	bool read_tried, readable;
	int32_t read_error; /* negative errno */
	uint32_t in_flight;
	uint64_t size_sectors, io_errors;
	char state[33];
};

/*
 * Reads @sysfs/dev/block/MAJOR:MINOR. Where the device is not there (or the number belongs to
 * another name by now) *ret_state says absent. May sleep in the kernel. 0 or -errno.
 */
int device_read_state(const char *sysfs, const struct device *device,
		      struct device_state *ret_state);

/*
 * One logical block from the start of the device with O_DIRECT, so that the device answers and not
 * the page cache; fills read_tried, readable, read_error. May sleep for as long as the device
 * likes.
 */
void device_read_sector(const char *sysfs, const char *dev, const struct device *device,
			struct device_state *state);
