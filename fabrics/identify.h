/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * What a controller itself says of its namespaces: Identify, opcode 06h (NVM Express Base
 * Specification 2.0, 5.17), through the character device (NVME_IOCTL_ADMIN_CMD,
 * include/uapi/linux/nvme_ioctl.h, Linux 6.12). The ioctls sleep for as long as the controller
 * likes: for children only. 0, positive NVMe status, or -errno.
 */
#define IDENTIFY_SIZE 4096
#define IDENTIFY_MAX  1024 /* namespace ids of one list */

/* Active namespace ids above @after, ascending; IDENTIFY_MAX of them: there may be more. */
int identify_list(int fd, uint32_t after, uint32_t ret_nsids[IDENTIFY_MAX], size_t *ret_n);
/* Size of a namespace in units of 512 bytes. */
int identify_sectors(int fd, uint32_t nsid, uint64_t *ret_sectors);

/* The pure halves, over the data that the controller sent. -EBADMSG: not ascending; a block size
 * that none has. */
int identify_parse_list(const uint8_t data[IDENTIFY_SIZE], uint32_t after,
			uint32_t ret_nsids[IDENTIFY_MAX], size_t *ret_n);
int identify_parse_sectors(const uint8_t data[IDENTIFY_SIZE], uint64_t *ret_sectors);
