/* SPDX-License-Identifier: Apache-2.0 */
#include "fabrics/identify.h"

#include <endian.h>
#include <errno.h>
#include <linux/nvme_ioctl.h>
#include <string.h>
#include <sys/ioctl.h>

#define IDENTIFY_OPCODE	   0x06
#define IDENTIFY_NAMESPACE 0x00 /* CNS */
#define IDENTIFY_ACTIVE	   0x02

/* Offsets of the Identify Namespace data structure, NVM Command Set Specification 1.0, 4.1.5.1. */
#define IDENTIFY_NSZE  0
#define IDENTIFY_NLBAF 25
#define IDENTIFY_FLBAS 26
#define IDENTIFY_LBAF  128 /* 4 bytes each; the third is the exponent of the block size */

static int identify_ioctl(int fd, uint32_t cns, uint32_t nsid, uint8_t data[IDENTIFY_SIZE])
{
	struct nvme_admin_cmd command = {
		.opcode = IDENTIFY_OPCODE,
		.nsid = nsid,
		.addr = (uint64_t)(uintptr_t)data,
		.data_len = IDENTIFY_SIZE,
		.cdw10 = cns,
	};
	int r = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command);

	return r < 0 ? -errno : r;
}

int identify_parse_list(const uint8_t data[IDENTIFY_SIZE], uint32_t after,
			uint32_t ret_nsids[IDENTIFY_MAX], size_t *ret_n)
{
	size_t n = 0;

	for (; n < IDENTIFY_MAX; n++) {
		uint32_t nsid;

		memcpy(&nsid, data + n * sizeof(nsid), sizeof(nsid));
		nsid = le32toh(nsid);
		if (nsid == 0)
			break;
		if (nsid <= after)
			return -EBADMSG;
		ret_nsids[n] = after = nsid;
	}
	*ret_n = n;
	return 0;
}

int identify_parse_sectors(const uint8_t data[IDENTIFY_SIZE], uint64_t *ret_sectors)
{
	/* Bits 5 and 6 are the upper ones of the format's index where there are more than 16. */
	unsigned format = data[IDENTIFY_FLBAS] & 0xf, shift;
	uint64_t blocks;

	if (data[IDENTIFY_NLBAF] >= 16)
		format |= (data[IDENTIFY_FLBAS] & 0x60U) >> 1;
	shift = data[IDENTIFY_LBAF + 4 * format + 2];
	memcpy(&blocks, data + IDENTIFY_NSZE, sizeof(blocks));
	blocks = le64toh(blocks);
	if (shift < 9 || shift > 31 || blocks > UINT64_MAX >> (shift - 9))
		return -EBADMSG;
	*ret_sectors = blocks << (shift - 9);
	return 0;
}

int identify_list(int fd, uint32_t after, uint32_t ret_nsids[IDENTIFY_MAX], size_t *ret_n)
{
	uint8_t data[IDENTIFY_SIZE];
	int r = identify_ioctl(fd, IDENTIFY_ACTIVE, after, data);

	return r ? r : identify_parse_list(data, after, ret_nsids, ret_n);
}

int identify_sectors(int fd, uint32_t nsid, uint64_t *ret_sectors)
{
	uint8_t data[IDENTIFY_SIZE];
	int r = identify_ioctl(fd, IDENTIFY_NAMESPACE, nsid, data);

	return r ? r : identify_parse_sectors(data, ret_sectors);
}
