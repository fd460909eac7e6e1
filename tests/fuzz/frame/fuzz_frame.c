/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "forwarders/frame/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every packet is refused, or says exactly what its bytes say: encoded again they are the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[FRAME_MAX];
	struct frame frame;

	if (frame_decode(data, size, &frame) != 0)
		return 0;
	if (frame_encode(&frame, false, again, sizeof(again)) != (int)size ||
	    memcmp(data, again, size) != 0)
		abort();
	return 0;
}
