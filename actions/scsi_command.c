/* SPDX-License-Identifier: Apache-2.0 */
#include "actions/scsi_command.h"

#include <errno.h>
#include <scsi/sg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "handlers/sense.h"

int scsi_command_run(int fd, struct scsi_command *command)
{
	uint8_t sense_bytes[64] = { 0 };
	struct sg_io_hdr head = {
		.interface_id = 'S',
		.dxfer_direction = !command->data_size	? SG_DXFER_NONE
				   : command->to_device ? SG_DXFER_TO_DEV
							: SG_DXFER_FROM_DEV,
		.cmd_len = command->cdb_len,
		.mx_sb_len = sizeof(sense_bytes),
		.dxfer_len = command->data_size,
		.dxferp = command->data,
		.cmdp = command->cdb,
		.sbp = sense_bytes,
		.timeout = SCSI_COMMAND_TIMEOUT_MS,
	};
	struct sense sense;

	if (ioctl(fd, SG_IO, &head) != 0)
		return -errno;
	command->status = head.status;
	command->host_status = (uint8_t)head.host_status;
	command->has_sense =
		head.sb_len_wr && sense_parse(sense_bytes, head.sb_len_wr, &sense) == 0;
	if (command->has_sense) {
		command->sense_key = sense.key;
		command->asc = sense.asc;
		command->ascq = sense.ascq;
	}
	return head.status || head.host_status ? SCSI_COMMAND_E_STATUS : 0;
}

void scsi_command_describe(const struct scsi_command *command, char *ret_text, size_t size)
{
	if (command->has_sense)
		snprintf(ret_text, size, "sense %02x/%02x/%02x", command->sense_key, command->asc,
			 command->ascq);
	else if (command->host_status)
		snprintf(ret_text, size, "host status 0x%02x", command->host_status);
	else
		snprintf(ret_text, size, "status 0x%02x", command->status);
}
