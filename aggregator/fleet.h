/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"
#include "core/buf.h"
#include "proto/codec.h"

typedef void fleet_reply(void *data, int status, const char *details, const uint8_t *bytes,
			 size_t size);

/*
 * The unary methods of pathbell.v1.Fleet. One call: request -> (check) -> job for the store ->
 * answer. gRPC thread, but for `read`.
 */
/* The same from inside, e.g. for an HTTP request: @request (from protobuf-c's malloc) is the call's
 * from now on, @reply is called exactly once, at once or later; @bytes are the answer where status
 * is RPC_OK. */
void fleet_local(struct aggregator *aggregator, const char *method, const struct caller *caller,
		 ProtobufCMessage *request, fleet_reply *reply, void *data);

int fleet_on_call(struct aggregator *aggregator, struct rpc_call *call, const struct caller *caller,
		  const struct rpc_call_ops **ret_ops, void **ret_data, const char **ret_details);

/* A filter as the request says it; borrows from it. NULL or what is wrong with which field. */
const char *fleet_filter(const Pathbell__V1__EventFilter *from, struct store_filter *ret_filter);

/* ---- for the methods (fleet_*.c) ---- */

#define FLEET_ANSWER_MAX (3u << 20) /* clients take 4 MiB by default */

struct submit_campaign;

struct fleet_call {
	struct reader_job read; /* first */
	struct writer_job write;
	struct aggregator *aggregator;
	struct rpc_call *call; /* NULL: closed, or a local call */
	fleet_reply *reply;    /* of a local call */
	void *reply_data;
	const struct fleet_method *method;
	struct caller caller;
	ProtobufCMessage *request; /* lives as long as the call */
	struct arena *arena;	   /* what `read` collects */
	struct buf answer;	   /* or what it encodes */
	union {
		Pathbell__V1__ListHostsResponse hosts;
		Pathbell__V1__ListCommandsResponse commands;
		Pathbell__V1__ListCampaignsResponse campaigns;
		Pathbell__V1__PlanCampaignResponse plan;
		Pathbell__V1__QueryAuditResponse audits;
		Pathbell__V1__CommandRecord *command;
		Pathbell__V1__Campaign *campaign;
		Pathbell__V1__Host *host;
		uint64_t next_after_id;
	};
	size_t max_results;
	bool is_open, is_busy, is_finished;
	Pathbell__V1__SignedCommand *envelope; /* SubmitCommand */
	Pathbell__V1__Command *command_sent;
	struct submit_campaign *campaign_sent; /* SubmitCampaign */
	char target[300];
	char position[160];
	/* of a change, for the write */
	struct store_actor actor;
	struct store_audit audit;
	char audit_detail[1100], key_ids[160], reason[256];
};

struct fleet_method {
	const char *name;
	const ProtobufCMessageDescriptor *request;
	const struct scan_limits *limits; /* NULL: scan_limits_request */
	bool is_change;			  /* refusals are audited */
	/* Checks the request and starts (fleet_read or a write). RPC_OK, or a status with
	 * *ret_details. */
	int (*begin)(struct fleet_call *call, const char **ret_details);
	int (*read)(struct fleet_call *call, struct store *store); /* reader thread */
	void (*answer)(struct fleet_call *call);		   /* read.error is 0 */
};

extern const struct fleet_method fleet_list_hosts, fleet_get_host, fleet_query_events;
extern const struct fleet_method fleet_submit_command, fleet_get_command, fleet_list_commands;
extern const struct fleet_method fleet_cancel_command, fleet_query_audit;
extern const struct fleet_method fleet_plan_campaign, fleet_submit_campaign, fleet_get_campaign;
extern const struct fleet_method fleet_list_campaigns, fleet_control_campaign;

/* Begins the method's read; false: busy, and the call is finished. */
bool fleet_read(struct fleet_call *call);
void fleet_answer(struct fleet_call *call, const ProtobufCMessage *message);
void fleet_answer_bytes(struct fleet_call *call, const void *data, size_t size);
void fleet_fail(struct fleet_call *call, int status, const char *details);
/* After the last asynchronous step. */
void fleet_release(struct fleet_call *call);
/* 0 stands for @standard. False: above @max. */
bool fleet_page(uint32_t asked, uint32_t standard, uint32_t max, size_t *ret_size);
/* The write of a change: type, time, actor and audit are set; see audit_detail, key_ids. */
void fleet_write(struct fleet_call *call, enum store_write_type type, const char *action,
		 void (*done)(struct writer_job *job));
struct fleet_call *fleet_of(struct writer_job *job);
/* The write failed: what to tell. */
void fleet_write_failed(struct fleet_call *call, int error);
/* Reads one campaign into call->campaign: a method's `read`, with its `answer`. */
int fleet_read_campaign(struct fleet_call *call, struct store *store, const uint8_t id[16]);
void fleet_answer_campaign(struct fleet_call *call);
/* submit_campaign.c */
void submit_campaign_free(struct submit_campaign *campaign);
