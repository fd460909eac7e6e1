/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/collector.h"
#include "collectors/nvme/controllers.h"

/* Where the changes come from. */
struct tell_source {
	const char *interface;
	uint64_t seq;
	int cpu; /* -1 = none */
	uint64_t source_clock_ns;
};

/* Whether it was taken: ctx->pipeline_full. */
void tell_change(struct collector_ctx *ctx, const struct controller *controller,
		 const struct controllers_change *change, const struct tell_source *source);
