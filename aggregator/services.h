/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"

/* May the caller use this method ("/pathbell.v1.Fleet/..."), by his role alone? RPC_OK, or a status
 * with *ret_details. */
int services_check(const struct aggregator *aggregator, const char *method,
		   const struct caller *caller, const char **ret_details);

/* Every call: who asks, what for, may he? For rpc_server_options.on_call; @data is the aggregator.
 */
int services_on_call(struct rpc_call *call, void *data, const struct rpc_call_ops **ret_ops,
		     void **ret_data, const char **ret_details);
