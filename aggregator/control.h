/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"
#include "aggregator/hosts.h"

/* The Control stream of pathbell.v1.Ingest: commands down, receipts up. gRPC thread only. */
int control_on_call(struct aggregator *aggregator, struct rpc_call *call,
		    const struct caller *caller, const struct rpc_call_ops **ret_ops,
		    void **ret_data, const char **ret_details);
/* 0; -ENOBUFS: what waits for the host is full; RPC_E_CLOSED. */
int control_send_command(struct control *control, const uint8_t *envelope, size_t size);
void control_end(struct host *host);
