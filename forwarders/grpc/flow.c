/* SPDX-License-Identifier: Apache-2.0 */
#include "flow.h"

static uint64_t flow_bytes(const struct flow *flow)
{
	uint64_t left = flow->server_bytes > flow->taken_weight
				? flow->server_bytes - flow->taken_weight
				: 0;
	uint64_t server =
		left > UINT64_MAX - flow->taken_rest ? UINT64_MAX : flow->taken_rest + left;
	uint64_t own = flow->acked_rest + flow->window;

	return server < own ? server : own;
}

void flow_open(struct flow *flow, uint64_t window, uint64_t server_bytes, uint64_t server_records)
{
	*flow = (struct flow){ .window = window,
			       .server_bytes = server_bytes,
			       .server_records = server_records };
	flow->told_bytes = flow_bytes(flow);
	flow->told_records = server_records;
}

void flow_take(struct flow *flow, uint64_t rest, uint64_t weight)
{
	flow->taken_rest += rest;
	flow->taken_weight += weight;
}

void flow_acked(struct flow *flow, uint64_t rest)
{
	flow->acked_rest += rest;
}

void flow_credit(struct flow *flow, uint64_t bytes, uint64_t records)
{
	if (bytes > flow->server_bytes)
		flow->server_bytes = bytes;
	if (records > flow->server_records)
		flow->server_records = records;
}

/*
 * Not for every ack: an eighth of the window, or whatever there is when the agent has used up what
 * it was told, or it would wait for ever for the rest.
 */
bool flow_grant(struct flow *flow)
{
	uint64_t bytes = flow_bytes(flow);
	bool more_records = flow->server_records > flow->told_records;
	bool more_bytes = bytes > flow->told_bytes &&
			  (bytes - flow->told_bytes >= flow->window / 8 ||
			   flow->told_bytes < flow->taken_rest + flow->window / 8);

	if (!more_bytes && !more_records)
		return false;
	if (bytes > flow->told_bytes)
		flow->told_bytes = bytes;
	flow->told_records = flow->server_records;
	return true;
}
