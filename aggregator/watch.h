/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"

/* WatchEvents and WatchCommands: live streams, each a cursor into the store. gRPC thread only. */
struct watches *watches_new(void);
struct watches *watches_free(struct watches *watches);
int watch_on_call(struct aggregator *aggregator, struct rpc_call *call, const struct caller *caller,
		  const struct rpc_call_ops **ret_ops, void **ret_data, const char **ret_details);
/* One more stream of any kind, within watch.max_watchers; and one less. */
bool watch_enter(struct aggregator *aggregator, const char **ret_details);
void watch_leave(struct aggregator *aggregator);
/* Something new is durable. */
void watch_on_commit(struct aggregator *aggregator, bool events, bool commands);
/* Ends all streams: the aggregator stops. */
void watch_stop(struct aggregator *aggregator);
