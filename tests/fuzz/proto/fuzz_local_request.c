/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_message.h"
#include "pathbell/v1/local.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)fuzz_message(&pathbell__v1__local_request__descriptor, &scan_limits_request, data,
			   size);
	return 0;
}
