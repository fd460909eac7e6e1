/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/collector.h"

/* NVMe controllers: their events, their connections, their asynchronous events; see nvme.c. */
struct nvme_config {
	uint64_t interval;	 /* ns between two looks at fabrics controllers */
	uint64_t receive_buffer; /* bytes of the uevent socket */
	uint64_t buffer_size;	 /* bytes of the trace ring for each CPU */
};

extern const struct config_table nvme_config_table;
extern const struct collector_ops nvme_collector;
