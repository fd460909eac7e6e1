/* SPDX-License-Identifier: Apache-2.0 */
/* A uevent of any bytes, and what the multipath collector reads in it. */
#include <stdlib.h>
#include <string.h>

#include "collectors/multipath/event.h"
#include "collectors/uevent/uevent.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *message = malloc(size + 1);
	struct uevent uevent;
	struct event event;
	uint64_t number;

	if (message == NULL)
		return 0;
	memcpy(message, data, size);
	if (uevent_parse(message, size, &uevent) == 0) {
		if (uevent.action[0] == '\0' || uevent.n_properties > UEVENT_MAX_PROPERTIES)
			abort();
		for (size_t i = 0; i < uevent.n_properties; i++) {
			const char *key = uevent.properties[i].key;

			if (uevent_get(&uevent, key) == NULL)
				abort();
			(void)uevent_get_number(&uevent, key, &number);
		}
		(void)event_decode(&uevent, &event);
	}
	free(message);
	return 0;
}
