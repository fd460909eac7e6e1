/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "aggregator/http/change.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the method, the rest is the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = { "SubmitCommand", "SubmitCampaign", "CancelCommand",
					       "ControlCampaign", "PlanCampaign" };
	ProtobufCMessage *message;
	struct errmsg err = { 0 };

	if (size == 0)
		return 0;
	message = change_parse(methods[data[0] % 5], "0190a00000007000800000000000000a",
			       (const char *)data + 1, size - 1, &err);
	if (!message && !err.text[0])
		abort();
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
	return 0;
}
