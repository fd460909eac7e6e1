/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/rows.h"

#include <errno.h>

#include "proto/scan.h"

void row_reader_init(struct row_reader *reader, const uint8_t *events, size_t events_size)
{
	wire_reader_init(&reader->wire, events, events_size);
}

static int row_frame(struct row_reader *reader, struct wire_field *ret_field)
{
	int r = wire_next(&reader->wire, ret_field);

	if (r == WIRE_E_END)
		return ROW_E_END;
	if (r < 0)
		return r;
	if (ret_field->number != CODEC_BATCH_EVENTS_FIELD || ret_field->type != WIRE_BYTES)
		return -EBADMSG;
	return 0;
}

int row_next(struct row_reader *reader, struct row *ret_row)
{
	struct wire_field field;
	int r = row_frame(reader, &field);

	if (r != 0)
		return r;
	ret_row->event = field.data;
	ret_row->event_size = field.size;
	ret_row->reject = NULL;
	if (field.size == 0)
		ret_row->reject = "empty event";
	else if (field.size > CODEC_EVENT_MAX)
		ret_row->reject = "event above 65536 bytes";
	else if (codec_event_head(field.data, field.size, &ret_row->head) != 0)
		ret_row->reject = "not an event";
	else if (scan_check(&pathbell__v1__event__descriptor, &scan_limits_event, field.data,
			    field.size, NULL) != 0)
		ret_row->reject = "event does not fit the schema or its limits";
	return 0;
}

int row_count(const uint8_t *events, size_t events_size, uint32_t *ret_count)
{
	struct row_reader reader;
	struct wire_field field;
	uint32_t count = 0;
	int r;

	row_reader_init(&reader, events, events_size);
	while ((r = row_frame(&reader, &field)) == 0)
		count++;
	if (r < 0)
		return r;
	*ret_count = count;
	return 0;
}
