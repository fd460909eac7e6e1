/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pathbell/v1/event.pb-c.h"

/* CXL memory devices as sysfs shows them: /sys/bus/cxl/devices/memX, Documentation/ABI/testing/
 * sysfs-bus-cxl, 5.12 to 7.2. What a kernel or device does not show is left out. */
#define MEMDEV_MAX	 256
#define MEMDEV_MAX_EXTRA 6

struct memdev_list {
	size_t n, n_left_out; /* above MEMDEV_MAX */
	uint32_t numbers[MEMDEV_MAX];
};

/* Everything that the messages point to. */
struct memdev {
	char name[16], id[32], serial[24], firmware[64], address[64], security[32];
	char values[MEMDEV_MAX_EXTRA][32];
	Pathbell__V1__Subject subject;
	Pathbell__V1__DeviceState state;
	Pathbell__V1__Attribute attributes[MEMDEV_MAX_EXTRA], *extra[MEMDEV_MAX_EXTRA];
	size_t n_extra;
};

/* By number. 0 (also where there is no bus cxl: none), -errno. */
int memdev_list(const char *sysfs_path, struct memdev_list *ret_list);
/* 0, -ENOENT (gone meanwhile), -errno. @ret_memdev must not be moved. */
int memdev_read(const char *sysfs_path, uint32_t number, struct memdev *ret_memdev);
