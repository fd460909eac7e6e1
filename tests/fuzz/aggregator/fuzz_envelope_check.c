/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "aggregator/envelope_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Pathbell__V1__SignedCommand *envelope;
	Pathbell__V1__Command *command;
	struct errmsg err = { 0 };

	if (envelope_check(data, size, 1800000000000, &envelope, &command, &err) < 0) {
		if (!err.text[0])
			abort();
		return 0;
	}
	if (command->n_host_ids == 0 || command->id.len != 16 || envelope->n_signatures == 0)
		abort();
	protobuf_c_message_free_unpacked(&envelope->base, NULL);
	protobuf_c_message_free_unpacked(&command->base, NULL);
	return 0;
}
