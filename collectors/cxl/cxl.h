/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/collector.h"

/* Compute Express Link memory events, by the trace events of system cxl; see cxl.c. */
struct cxl_config {
	uint64_t buffer_size;	      /* bytes of ring for each CPU */
	struct config_strings events; /* SYSTEM:EVENT=RECORD, heard besides */
};

extern const struct config_table cxl_config_table;
extern const struct collector_ops cxl_collector;
