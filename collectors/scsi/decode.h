/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/tracefs/format.h"
#include "core/errmsg.h"
#include "handlers/handlers.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * Records of scsi_dispatch_cmd_done and scsi_dispatch_cmd_timeout (include/trace/events/scsi.h,
 * 6.1 to 6.12; the sense fields came between them), and what uevents call unit attentions. Pure.
 */
#define SCSI_CDB_MAX 32
/* "4294967295:4294967295:4294967295:4294967295" */
#define SCSI_ADDRESS_SIZE 48

struct scsi_decoder {
	uint16_t type; /* common_type */
	struct format_field common_type, host, channel, id, lun, result, opcode;
	struct format_field cdb;		  /* size 0: not on this kernel */
	struct format_field sense_key, asc, ascq; /* size 0: before 6.12 */
};

struct scsi_record {
	uint32_t host, channel, id, lun, opcode;
	uint8_t status, host_byte, driver_byte; /* of result, include/scsi/scsi_cmnd.h, 6.12 */
	bool tells_sense;			/* this kernel's record has the fields */
	bool sense_valid;			/* and they were filled */
	uint8_t sense_key, asc, ascq;
	uint64_t lba;	 /* of reads and writes, else 0 */
	uint32_t length; /* in blocks of the device */
};

/* 0, or -EBADMSG with @err. */
int scsi_decoder_init(struct scsi_decoder *decoder, const struct format *format,
		      struct errmsg *err);
#define SCSI_E_OTHER_EVENT 1
/* 0, SCSI_E_OTHER_EVENT, -EBADMSG. */
int scsi_decode(const struct scsi_decoder *decoder, const void *data, size_t size,
		struct scsi_record *ret_record);
/* Address and length of a read or write. */
void scsi_decode_cdb(const uint8_t *cdb, size_t size, uint64_t *ret_lba, uint32_t *ret_length);

void scsi_describe(const struct scsi_record *record, bool timed_out, const char *address,
		   Pathbell__V1__ScsiCommandError *ret_error);
/* What a hardware handler is asked. False: the kernel does not tell enough. */
bool scsi_question(const struct scsi_record *record, bool timed_out,
		   struct handler_error *ret_error);
Pathbell__V1__Severity scsi_severity(const struct scsi_record *record, bool timed_out);

struct scsi_attention {
	const char *name; /* value of SDEV_UA */
	uint8_t asc, ascq;
	Pathbell__V1__Severity severity;
};
/* NULL: not known. */
const struct scsi_attention *scsi_attention_find(const char *name);
/* "/devices/.../0:0:0:1" -> "0:0:0:1"; NULL: the last part is no SCSI address. */
const char *scsi_address_of(const char *devpath);
