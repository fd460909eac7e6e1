/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A SCSI address as Linux writes it: HOST:CHANNEL:TARGET:LUN, the name of a folder in
 * /sys/bus/scsi/devices (scsi_sysfs_device_initialize, drivers/scsi/scsi_sysfs.c, Linux 6.12). */
struct hctl {
	uint32_t host, channel, target;
	uint64_t lun;
};

/* The whole text must be one; *ret_address is untouched where it is not. */
bool hctl_parse(const char *text, struct hctl *ret_address);
bool hctl_is_valid(const char *text);
