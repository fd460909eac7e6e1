/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"

/*
 * grpc.reflection.v1 and v1alpha ServerReflectionInfo, over proto/descriptors.h. The two packages
 * have the same messages with the same numbers, so one implementation answers both. gRPC thread
 * only.
 */
int reflection_on_call(struct aggregator *aggregator, struct rpc_call *call,
		       const struct caller *caller, const struct rpc_call_ops **ret_ops,
		       void **ret_data, const char **ret_details);
