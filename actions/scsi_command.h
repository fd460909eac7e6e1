/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * One SCSI command to a block device by SG_IO (include/uapi/../scsi/sg.h, Linux 6.12). Sleeps for
 * as long as the device and its time-out allow: in an action's child only.
 */
#define SCSI_COMMAND_TIMEOUT_MS 30000

struct scsi_command {
	uint8_t cdb[16];
	uint8_t cdb_len;
	bool to_device; /* direction of @data */
	void *data;
	uint32_t data_size;
	/* Result */
	uint8_t status, host_status;
	bool has_sense;
	uint8_t sense_key, asc, ascq;
};

/* 0: it was carried out and its status is GOOD; SCSI_COMMAND_E_STATUS: see the result; -errno. */
#define SCSI_COMMAND_E_STATUS 1
int scsi_command_run(int fd, struct scsi_command *command);
/* "sense 05/24/00", "host status 0x01", "status 0x18" */
void scsi_command_describe(const struct scsi_command *command, char *ret_text, size_t size);
