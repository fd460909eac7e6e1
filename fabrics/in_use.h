/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Does anything use this block device, or a partition of it? Asked in this order, the first answer
 * counts:
 *
 *   holders	/sys/block/NAME/holders: device-mapper, LVM, md, bcache
 *   mounted	/proc/1/mountinfo: its number, or its node as the source (btrfs has a number of its
 * own) swap	/proc/swaps open	a descriptor of a process whose link is below /dev: virtual
 * machines, databases claimed	opening it exclusively says EBUSY: ZFS, LIO and all else inside the
 * kernel that claims
 *
 * What opens it inside the kernel without a claim (nvmet's block back-end) is not seen. The last
 * question claims the device itself for a moment. Everything may sleep: for children only.
 */
struct in_use_roots {
	const char *sysfs, *proc, *dev; /* /sys, /proc, /dev */
};

/* @name: nvme0n1. True with a phrase that goes behind "which is": "mounted on /data". */
bool in_use_find(const struct in_use_roots *roots, const char *name, char *ret_text, size_t size);
