/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * How much the agent may have sent in this session. Pure. Two bounds: our window (what was acked
 * and max_unacked more), and the server's credit. The agent counts framed events ("rest"), the
 * server whole messages ("weight"), so the server's is translated: what it has left is added to
 * what the agent has sent. What was told never goes down (docs/formats/frame.md).
 */
struct flow {
	uint64_t window;
	uint64_t server_bytes, server_records; /* absolute, by weight */
	uint64_t taken_rest, taken_weight;     /* from the agent, sent on or waiting */
	uint64_t acked_rest;
	uint64_t told_bytes, told_records;
};

void flow_open(struct flow *flow, uint64_t window, uint64_t server_bytes, uint64_t server_records);
void flow_take(struct flow *flow, uint64_t rest, uint64_t weight);
void flow_acked(struct flow *flow, uint64_t rest);
void flow_credit(struct flow *flow, uint64_t bytes, uint64_t records);
/* True: told_bytes and told_records have grown enough to tell the agent. */
bool flow_grant(struct flow *flow);
