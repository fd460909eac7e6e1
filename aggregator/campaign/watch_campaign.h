/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"

/*
 * WatchCampaign: the campaign as the store has it now, again after each change but at most ten
 * times a second, and once more at its end. gRPC thread only. Counts among the watchers.
 */
int watch_campaign_on_call(struct aggregator *aggregator, struct rpc_call *call,
			   const struct caller *caller, const struct rpc_call_ops **ret_ops,
			   void **ret_data, const char **ret_details);
void watch_campaigns_on_commit(struct aggregator *aggregator);
void watch_campaigns_stop(struct aggregator *aggregator);
