/* SPDX-License-Identifier: Apache-2.0 */
/* A first byte that chooses byte order and decoder, then what a read of an AFU gave. */
#include <stdlib.h>
#include <string.h>

#include "collectors/cxl/capi_event.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct capi_text text;
	Pathbell__V1__CapiAfuEvent afu;
	struct capi_event event;
	bool big;

	if (size == 0)
		return 0;
	big = (data[0] & 1) != 0;
	(void)capi_event_is_driver(data + 1, size - 1, big);
	if (capi_event_decode(data + 1, size - 1, big, &event) < 0)
		return 0;
	capi_event_describe(&event, &afu);
	if (afu.driver_data.len > size ||
	    pathbell__v1__capi_afu_event__get_packed_size(&afu) > 2 * size + 64)
		abort();
	if (capi_event_tell(&event, data[0] >> 1, big, &text) &&
	    memchr(text.value, '\0', sizeof(text.value)) == NULL)
		abort();
	return 0;
}
