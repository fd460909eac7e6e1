/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/collector.h"

/* Unit attentions, failed and timed out commands with their sense, Fibre Channel notifications; see
 * scsi.c. */
struct scsi_config {
	uint64_t buffer_size; /* bytes of trace ring for each CPU */
	uint64_t receive_buffer;
};

extern const struct config_table scsi_config_table;
extern const struct collector_ops scsi_collector;
