/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"
#include "aggregator/hosts.h"

/* The Events stream of pathbell.v1.Ingest. gRPC thread only. */
int ingest_on_events(struct aggregator *aggregator, struct rpc_call *call,
		     const struct caller *caller, const struct rpc_call_ops **ret_ops,
		     void **ret_data, const char **ret_details);
/* A group is durable: acknowledgements leave, and held streams go on if there is room. */
void ingest_on_commit(struct aggregator *aggregator);
/* Tells the host to come back after @return_ms; the stream is read no more. */
void ingest_drain(struct aggregator *aggregator, struct host *host, uint32_t return_ms);
/* Ends the host's stream after what is still to be sent. */
void ingest_end(struct host *host);
