/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_message.h"
#include "pathbell/v1/fleet.pb-c.h"

/* What the CLI takes from an aggregator. The first byte selects the method. */
static const ProtobufCMessageDescriptor *const schemas[] = {
	&pathbell__v1__list_hosts_response__descriptor,
	&pathbell__v1__host__descriptor,
	&pathbell__v1__query_events_response__descriptor,
	&pathbell__v1__stored_event__descriptor,
	&pathbell__v1__submit_command_response__descriptor,
	&pathbell__v1__command_record__descriptor,
	&pathbell__v1__list_commands_response__descriptor,
	&pathbell__v1__cancel_command_response__descriptor,
	&pathbell__v1__plan_campaign_response__descriptor,
	&pathbell__v1__campaign__descriptor,
	&pathbell__v1__list_campaigns_response__descriptor,
	&pathbell__v1__query_audit_response__descriptor,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		(void)fuzz_message(schemas[data[0] % (sizeof(schemas) / sizeof(schemas[0]))],
				   &scan_limits_response, data + 1, size - 1);
	return 0;
}
