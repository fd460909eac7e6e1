/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"
#include "core/buf.h"
#include "proto/codec.h"

/*
 * The unary methods of pathbell.v1.Fleet. One call: request -> (check) -> job for the store ->
 * answer. gRPC thread, but for `read`.
 */
int fleet_on_call(struct aggregator *aggregator, struct rpc_call *call, const struct caller *caller,
		  const struct rpc_call_ops **ret_ops, void **ret_data, const char **ret_details);

/* A filter as the request says it; borrows from it. NULL or what is wrong with which field. */
const char *fleet_filter(const Pathbell__V1__EventFilter *from, struct store_filter *ret_filter);

/* ---- for the methods (fleet_*.c) ---- */

#define FLEET_ANSWER_MAX (3u << 20) /* clients take 4 MiB by default */

struct fleet_call {
	struct reader_job read; /* first */
	struct writer_job write;
	struct aggregator *aggregator;
	struct rpc_call *call; /* NULL: closed */
	const struct fleet_method *method;
	struct caller caller;
	ProtobufCMessage *request; /* lives as long as the call */
	struct arena *arena;	   /* what `read` collects */
	struct buf answer;	   /* or what it encodes */
	union {
		Pathbell__V1__ListHostsResponse hosts;
		Pathbell__V1__ListCommandsResponse commands;
		Pathbell__V1__CommandRecord *command;
		Pathbell__V1__Host *host;
		uint64_t next_after_id;
	};
	size_t max_results;
	bool is_busy, is_finished;
	Pathbell__V1__SignedCommand *envelope; /* SubmitCommand */
	Pathbell__V1__Command *command_sent;
	char target[300];
	char position[160];
};

struct fleet_method {
	const char *name;
	const ProtobufCMessageDescriptor *request;
	/* Checks the request and starts (fleet_read or a write). RPC_OK, or a status with
	 * *ret_details. */
	int (*begin)(struct fleet_call *call, const char **ret_details);
	int (*read)(struct fleet_call *call, struct store *store); /* reader thread */
	void (*answer)(struct fleet_call *call);		   /* read.error is 0 */
};

extern const struct fleet_method fleet_list_hosts, fleet_get_host, fleet_query_events;
extern const struct fleet_method fleet_submit_command, fleet_get_command, fleet_list_commands;

/* Begins the method's read; false: busy, and the call is finished. */
bool fleet_read(struct fleet_call *call);
void fleet_answer(struct fleet_call *call, const ProtobufCMessage *message);
void fleet_answer_bytes(struct fleet_call *call, const void *data, size_t size);
void fleet_fail(struct fleet_call *call, int status, const char *details);
/* After the last asynchronous step. */
void fleet_release(struct fleet_call *call);
