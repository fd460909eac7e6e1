/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_message.h"
#include "pathbell/v1/fleet.pb-c.h"

/* The first byte selects the method. */
static const ProtobufCMessageDescriptor *const schemas[] = {
	&pathbell__v1__list_hosts_request__descriptor,
	&pathbell__v1__get_host_request__descriptor,
	&pathbell__v1__query_events_request__descriptor,
	&pathbell__v1__watch_events_request__descriptor,
	&pathbell__v1__submit_command_request__descriptor,
	&pathbell__v1__get_command_request__descriptor,
	&pathbell__v1__list_commands_request__descriptor,
	&pathbell__v1__watch_commands_request__descriptor,
	&pathbell__v1__cancel_command_request__descriptor,
	&pathbell__v1__plan_campaign_request__descriptor,
	&pathbell__v1__submit_campaign_request__descriptor,
	&pathbell__v1__get_campaign_request__descriptor,
	&pathbell__v1__list_campaigns_request__descriptor,
	&pathbell__v1__watch_campaign_request__descriptor,
	&pathbell__v1__control_campaign_request__descriptor,
	&pathbell__v1__query_audit_request__descriptor,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		(void)fuzz_message(schemas[data[0] % (sizeof(schemas) / sizeof(schemas[0]))],
				   &scan_limits_request, data + 1, size - 1);
	return 0;
}
