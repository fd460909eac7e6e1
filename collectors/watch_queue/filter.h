/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/ioctl.h>

#include "core/config.h"
#include "core/errmsg.h"

/* The queue's own filter, applied by the kernel: with any rule, what no rule accepts is not queued.
 * Loss and removal records pass always. */
struct filter_rule {
	uint64_t type;
	uint64_t subtypes; /* bit n = subtype n; the kernel keeps only the first 32 */
	uint64_t info_mask, info_filter;
};

#define FILTER_MAX_RULES 16 /* kernel/watch_queue.c, 5.8 to 7.2 */

/* Mainline's numbers; the first ring dialect has 's' 1 and 's' 2. */
#define FILTER_IOC_SET_SIZE   _IO('W', 0x60)
#define FILTER_IOC_SET_FILTER _IO('W', 0x61)

extern const struct config_table filter_config_table;

/* @rules: of struct filter_rule; none = no filter. 0, -EINVAL and other -errno, with @err. */
int filter_set(int queue_fd, unsigned long request, const struct config_maps *rules,
	       struct errmsg *err);
