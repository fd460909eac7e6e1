/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/collector.h"
#include "collectors/multipath/map.h"

/*
 * Makes the event of @change and hands it over. 0; -ENOMEM. ctx->pipeline_full says that it was
 * not taken: the same change again later.
 */
int publish_change(struct collector_ctx *ctx, const struct map_change *change);
