/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_message.h"
#include "pathbell/v1/ingest.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	(void)fuzz_message(&pathbell__v1__events_down__descriptor, &scan_limits_stream, data, size);
	return 0;
}
