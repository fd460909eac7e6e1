/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"

/* Every call: who asks, what for, may he? For rpc_server_options.on_call; @data is the aggregator.
 */
int services_on_call(struct rpc_call *call, void *data, const struct rpc_call_ops **ret_ops,
		     void **ret_data, const char **ret_details);
