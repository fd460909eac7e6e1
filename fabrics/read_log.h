/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/buf.h"
#include "fabrics/log_page.h"

/*
 * Reads the discovery log page of a discovery controller through its character device
 * (NVME_IOCTL_ADMIN_CMD, include/uapi/linux/nvme_ioctl.h, Linux 6.12). Sleeps in the kernel for as
 * long as the controller likes: for children only.
 *
 * Order: header, entries, header again, the last one with RAE (Retain Asynchronous Event) 0, so
 * that from then on a change sends an AEN again. Where its generation counter differs from the
 * first one, the page changed meanwhile and everything is read anew.
 */
#define READ_LOG_TRIES 8

struct read_log_result {
	struct log_page_header header;
	uint32_t n_entries;  /* in the buffer */
	uint32_t n_left_out; /* above LOG_PAGE_MAX */
	uint32_t n_restarts; /* the counter had changed */
};

/*
 * @fd: of /dev/nvmeN. Entries are appended to @entries, LOG_PAGE_UNIT bytes each. 0;
 * READ_LOG_E_BUSY: it changed with every one of READ_LOG_TRIES reads (the last one's entries are
 * there, AENs are armed); READ_LOG_E_STATUS: the controller answered with *ret_status; -EBADMSG;
 * -errno.
 */
#define READ_LOG_E_BUSY	  1
#define READ_LOG_E_STATUS 2
int read_log(int fd, struct buf *entries, struct read_log_result *ret_result, uint16_t *ret_status);

/* The seam for tests: one Get Log Page. 0, positive NVMe status, -errno. */
typedef int (*read_log_page)(void *data, uint64_t offset, void *to, uint32_t size, bool retain);
int read_log_by(read_log_page page, void *data, struct buf *entries,
		struct read_log_result *ret_result, uint16_t *ret_status);
