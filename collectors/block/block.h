/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/collector.h"

/* Failed block requests, by trace event block:block_rq_error in a private tracefs instance; see
 * block.c. */
enum block_tracepoint {
	BLOCK_TRACEPOINT_AUTO,
	BLOCK_TRACEPOINT_RQ_ERROR,
	BLOCK_TRACEPOINT_RQ_COMPLETE
};

struct block_config {
	uint64_t buffer_size; /* bytes of ring for each CPU */
	int tracepoint;	      /* enum block_tracepoint */
};

extern const struct config_table block_config_table;
extern const struct collector_ops block_collector;
