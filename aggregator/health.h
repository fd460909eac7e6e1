/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"

/* grpc.health.v1: SERVING while the last commit to the store worked. gRPC thread only. */
struct health *health_new(void);
struct health *health_free(struct health *health);
int health_on_check(struct aggregator *aggregator, struct rpc_call *call,
		    const struct caller *caller, const struct rpc_call_ops **ret_ops,
		    void **ret_data, const char **ret_details);
int health_on_watch(struct aggregator *aggregator, struct rpc_call *call,
		    const struct caller *caller, const struct rpc_call_ops **ret_ops,
		    void **ret_data, const char **ret_details);
/* aggregator->is_ready has changed: tells the watchers. */
void health_changed(struct aggregator *aggregator);
