/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "fuzz_message.h"
#include "proto/codec.h"
#include "proto/json.h"
#include "proto/kind.h"

/* The head that is read in place and the unpacked event are one; every event has a JSON text. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Pathbell__V1__Event *event;
	struct codec_event_head head;
	struct json_object *json;
	int r;

	r = codec_event_head(data, size, &head);
	event = (Pathbell__V1__Event *)fuzz_message(&pathbell__v1__event__descriptor,
						    &scan_limits_event, data, size);
	if (!event)
		return 0;
	if (r < 0 || head.kind != (uint32_t)event->kind ||
	    head.severity != (uint32_t)event->severity ||
	    head.time_unix_ns != event->time_unix_ns || head.replayed != (event->replayed != 0) ||
	    (event->payload_case == PATHBELL__V1__EVENT__PAYLOAD_COMMAND_STATE) !=
		    !!head.command_state)
		abort();
	(void)kind_matches(head.kind, "*.error");
	json = json_from_message(&event->base);
	if (!json || !json_object_to_json_string(json))
		abort();
	json_object_put(json);
	return 0;
}
