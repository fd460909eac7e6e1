/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/collector.h"
#include "collectors/nvme_monitor/connections.h"

/* Decisions as events. Whether it was taken: ctx->pipeline_full. */
void decision_event_publish(struct collector_ctx *ctx, const struct connections *connections,
			    const struct decision *decision, uint64_t unix_ns);
/* About the rules of udev, which belong to no connection. */
void decision_event_rules(struct collector_ctx *ctx, unsigned event, const char *reason,
			  uint64_t unix_ns);
