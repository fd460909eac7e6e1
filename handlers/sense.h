/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Sense data, SPC-5 section 4.4: fixed format (response codes 70h, 71h) and descriptor format
 * (72h, 73h). Pure. Like scsi_normalize_sense (drivers/scsi/scsi_common.c, Linux 6.12), 74h to 7Fh
 * are read in descriptor format, and what the data does not reach is zero.
 */
struct sense {
	uint8_t response_code; /* 70h to 7Fh */
	uint8_t key, asc, ascq;
	uint8_t fru; /* field replaceable unit code; 0 = none */
	bool deferred;
	bool filemark, end_of_medium, incorrect_length;
	bool has_information;
	uint64_t information; /* often the first LBA that failed */
};

enum sense_key {
	SENSE_NO_SENSE = 0x0,
	SENSE_RECOVERED_ERROR = 0x1,
	SENSE_NOT_READY = 0x2,
	SENSE_MEDIUM_ERROR = 0x3,
	SENSE_HARDWARE_ERROR = 0x4,
	SENSE_ILLEGAL_REQUEST = 0x5,
	SENSE_UNIT_ATTENTION = 0x6,
	SENSE_DATA_PROTECT = 0x7,
	SENSE_BLANK_CHECK = 0x8,
	SENSE_VENDOR_SPECIFIC = 0x9,
	SENSE_COPY_ABORTED = 0xa,
	SENSE_ABORTED_COMMAND = 0xb,
	SENSE_VOLUME_OVERFLOW = 0xd,
	SENSE_MISCOMPARE = 0xe,
	SENSE_COMPLETED = 0xf,
};

/* 0; -EBADMSG: no response code from 70h to 7Fh, or too short to have a sense key. */
int sense_parse(const void *data, size_t size, struct sense *ret_sense);
/* "medium error"; never NULL. */
const char *sense_key_name(uint8_t key);
