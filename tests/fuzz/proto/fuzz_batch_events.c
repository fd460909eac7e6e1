/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_message.h"
#include "proto/codec.h"
#include "proto/wire.h"

/* What the aggregator does with a batch: walk `tag, length, event` in place, then take each event.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct codec_event_head head;
	struct wire_reader reader;
	struct wire_field field;

	wire_reader_init(&reader, data, size);
	while (wire_next(&reader, &field) == 0) {
		if (field.number != CODEC_BATCH_EVENTS_FIELD || field.type != WIRE_BYTES)
			continue;
		if (codec_event_head(field.data, field.size, &head) < 0)
			continue;
		(void)fuzz_message(&pathbell__v1__event__descriptor, &scan_limits_event, field.data,
				   field.size);
	}
	return 0;
}
