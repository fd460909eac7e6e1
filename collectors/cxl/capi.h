/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/collector.h"

/* Events of IBM CAPI accelerators (drivers/misc/cxl, 3.18 to 6.14), from their AFU devices; see
 * capi.c. */
struct capi_config {
	struct config_strings devices; /* paths or globs of nodes in one folder each */
	int byte_order;		       /* enum capi_byte_order */
	int decoder;		       /* enum capi_decoder */
	uint64_t keep, resubmit;
	bool start_work;
	uint64_t wed, irqs;
};

enum capi_byte_order { CAPI_NATIVE, CAPI_LITTLE, CAPI_BIG };

extern const struct config_table capi_config_table;
extern const struct collector_ops capi_collector;
