/* SPDX-License-Identifier: Apache-2.0 */
#include "pathbell/v1/command.pb-c.h"
#include "pathbell/v1/event.pb-c.h"
#include "pathbell/v1/fleet.pb-c.h"
#include "pathbell/v1/ingest.pb-c.h"
#include "pathbell/v1/local.pb-c.h"
#include "proto/scan.h"

/*
 * max_allocation follows from the largest honest message of each class
 * (tests/unit/proto/test_scan.c builds them): a full batch of 8192 events is 1 MiB of copies, 128
 * KiB of array and 512 KiB of protobuf-c's own list of fields; a page of 1000 hosts or 1000 stored
 * events fits the response class.
 */
const struct scan_limits scan_limits_event = {
	.max_size = 64 * 1024,
	.max_fields = 8192,
	.max_depth = 8,
	.max_elements = 1024,
	.max_allocation = 1024 * 1024,
};

const struct scan_limits scan_limits_stream = {
	.max_size = 1024 * 1024,
	.max_fields = 16384,
	.max_depth = 8,
	.max_elements = 1024,
	.max_allocation = 4 * 1024 * 1024,
};

const struct scan_limits scan_limits_request = {
	.max_size = 256 * 1024,
	.max_fields = 16384,
	.max_depth = 8,
	.max_elements = 1024,
	.max_allocation = 2 * 1024 * 1024,
};

const struct scan_limits scan_limits_response = {
	.max_size = 4 * 1024 * 1024,
	.max_fields = 512 * 1024,
	.max_depth = 10,
	.max_elements = 10000,
	.max_allocation = 64 * 1024 * 1024,
};

/* One row for each repeated field of pathbell.v1, as its comment says ("at most N"). */
struct scan_row {
	const ProtobufCMessageDescriptor *schema;
	uint32_t number;
	uint32_t max;
};

static const struct scan_row scan_rows[] = {
	{ &pathbell__v1__event__descriptor, 12, 32 },			 /* extra */
	{ &pathbell__v1__subject__descriptor, 12, 16 },			 /* holders */
	{ &pathbell__v1__subject__descriptor, 15, 16 },			 /* parents */
	{ &pathbell__v1__multipath_event__descriptor, 17, 32 },		 /* groups */
	{ &pathbell__v1__multipath_group__descriptor, 4, 128 },		 /* paths */
	{ &pathbell__v1__fc_fpin__descriptor, 11, 64 },			 /* port_names */
	{ &pathbell__v1__incident__descriptor, 4, 1024 },		 /* host_ids */
	{ &pathbell__v1__resync_args__descriptor, 1, 16 },		 /* collectors */
	{ &pathbell__v1__command__descriptor, 3, 10000 },		 /* host_ids */
	{ &pathbell__v1__signed_command__descriptor, 2, 4 },		 /* signatures */
	{ &pathbell__v1__hello__descriptor, 9, 64 },			 /* epochs */
	{ &pathbell__v1__welcome__descriptor, 4, 64 },			 /* resume */
	{ &pathbell__v1__batch__descriptor, 8, 8192 },			 /* events */
	{ &pathbell__v1__ack__descriptor, 4, 64 },			 /* rejections */
	{ &pathbell__v1__drain__descriptor, 3, 16 },			 /* addresses */
	{ &pathbell__v1__host__descriptor, 16, 64 },			 /* epochs */
	{ &pathbell__v1__list_hosts_response__descriptor, 1, 1000 },	 /* hosts */
	{ &pathbell__v1__event_filter__descriptor, 1, 64 },		 /* host_ids */
	{ &pathbell__v1__query_events_response__descriptor, 1, 1000 },	 /* events */
	{ &pathbell__v1__command_host_state__descriptor, 6, 32 },	 /* transitions */
	{ &pathbell__v1__command_record__descriptor, 8, 10000 },	 /* hosts */
	{ &pathbell__v1__list_commands_response__descriptor, 1, 500 },	 /* commands */
	{ &pathbell__v1__local_status__descriptor, 8, 8 },		 /* forwarders */
	{ &pathbell__v1__local_collectors__descriptor, 1, 32 },		 /* collectors */
	{ &pathbell__v1__local_stats__descriptor, 1, 512 },		 /* counters */
	{ &pathbell__v1__local_log__descriptor, 1, 1000 },		 /* lines */
	{ &pathbell__v1__diag_args__descriptor, 1, 16 },		 /* sections */
	{ &pathbell__v1__campaign_selector__descriptor, 1, 64 },	 /* host_globs */
	{ &pathbell__v1__plan_campaign_response__descriptor, 1, 10000 }, /* hosts */
	{ &pathbell__v1__submit_campaign_request__descriptor, 1, 1024 }, /* envelopes */
	{ &pathbell__v1__campaign__descriptor, 21, 32 },		 /* lives */
	{ &pathbell__v1__campaign__descriptor, 22, 100 },		 /* failures */
	{ &pathbell__v1__list_campaigns_response__descriptor, 1, 500 },	 /* campaigns */
	{ &pathbell__v1__query_audit_response__descriptor, 1, 5000 },	 /* records */
	{ &pathbell__v1__local_nvme__descriptor, 5, 1024 },		 /* connections */
	{ &pathbell__v1__local_nvme__descriptor, 6, 1000 },		 /* decisions */
	{ &pathbell__v1__local_audit__descriptor, 1, 5000 },		 /* records */
	{ &pathbell__v1__local_keys__descriptor, 1, 256 },		 /* keys */
	{ &pathbell__v1__local_key__descriptor, 4, 32 },		 /* verbs */
};

uint32_t scan_stated_maximum(const ProtobufCMessageDescriptor *schema, uint32_t number)
{
	for (size_t n = 0; n < sizeof(scan_rows) / sizeof(scan_rows[0]); n++)
		if (scan_rows[n].schema == schema && scan_rows[n].number == number)
			return scan_rows[n].max;
	return 0;
}
