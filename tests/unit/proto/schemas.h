/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "pathbell/v1/command.pb-c.h"
#include "pathbell/v1/event.pb-c.h"
#include "pathbell/v1/fleet.pb-c.h"
#include "pathbell/v1/ingest.pb-c.h"
#include "pathbell/v1/local.pb-c.h"

/* Every message that comes from outside a process as a whole. */
static const ProtobufCMessageDescriptor *const schemas_roots[] = {
	&pathbell__v1__event__descriptor,
	&pathbell__v1__events_up__descriptor,
	&pathbell__v1__events_down__descriptor,
	&pathbell__v1__control_up__descriptor,
	&pathbell__v1__control_down__descriptor,
	&pathbell__v1__command__descriptor,
	&pathbell__v1__signed_command__descriptor,
	&pathbell__v1__list_hosts_request__descriptor,
	&pathbell__v1__list_hosts_response__descriptor,
	&pathbell__v1__get_host_request__descriptor,
	&pathbell__v1__host__descriptor,
	&pathbell__v1__query_events_request__descriptor,
	&pathbell__v1__query_events_response__descriptor,
	&pathbell__v1__watch_events_request__descriptor,
	&pathbell__v1__stored_event__descriptor,
	&pathbell__v1__submit_command_request__descriptor,
	&pathbell__v1__submit_command_response__descriptor,
	&pathbell__v1__get_command_request__descriptor,
	&pathbell__v1__command_record__descriptor,
	&pathbell__v1__list_commands_request__descriptor,
	&pathbell__v1__list_commands_response__descriptor,
	&pathbell__v1__watch_commands_request__descriptor,
	&pathbell__v1__cancel_command_request__descriptor,
	&pathbell__v1__plan_campaign_request__descriptor,
	&pathbell__v1__submit_campaign_request__descriptor,
	&pathbell__v1__get_campaign_request__descriptor,
	&pathbell__v1__list_campaigns_request__descriptor,
	&pathbell__v1__watch_campaign_request__descriptor,
	&pathbell__v1__control_campaign_request__descriptor,
	&pathbell__v1__query_audit_request__descriptor,
	&pathbell__v1__cancel_command_response__descriptor,
	&pathbell__v1__plan_campaign_response__descriptor,
	&pathbell__v1__campaign__descriptor,
	&pathbell__v1__list_campaigns_response__descriptor,
	&pathbell__v1__query_audit_response__descriptor,
	&pathbell__v1__local_request__descriptor,
	&pathbell__v1__local_response__descriptor,
};
#define SCHEMAS_N (sizeof(schemas_roots) / sizeof(schemas_roots[0]))
