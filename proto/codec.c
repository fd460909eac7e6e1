/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/codec.h"

#include <errno.h>
#include <string.h>

#include "proto/wire.h"

/* Field numbers of event.proto that codec_event_head reads. */
enum codec_event_field {
	CODEC_EVENT_KIND = 1,
	CODEC_EVENT_SEVERITY = 2,
	CODEC_EVENT_TIME = 3,
	CODEC_EVENT_OBSERVED = 4,
	CODEC_EVENT_SOURCE = 8,
	CODEC_EVENT_SUBJECT = 9,
	CODEC_EVENT_REPLAYED = 14,
	CODEC_EVENT_COMMAND_STATE = 39,
};
/* The singular fields of Event: 1 to 11, 13 to 15, 20 to 40. Others may be repeated ones of a newer
 * peer. */
#define CODEC_EVENT_SINGULAR   UINT64_C(0x1fffff0effe)
#define CODEC_SOURCE_COLLECTOR 1
#define CODEC_SUBJECT_ID       2

/* Field numbers of ingest.proto that codec_put_batch_head writes. */
enum codec_batch_field {
	CODEC_BATCH_EPOCH = 1,
	CODEC_BATCH_FIRST_SEQ = 2,
	CODEC_BATCH_COUNT = 3,
	CODEC_BATCH_CRC32C = 4,
	CODEC_BATCH_SENT = 5,
};
#define CODEC_UP_BATCH 2

void *codec_unpack(const ProtobufCMessageDescriptor *schema, const struct scan_limits *limits,
		   struct arena *arena, const void *data, size_t size, struct errmsg *err)
{
	ProtobufCMessage *message;

	if (scan_check(schema, limits, data, size, err) < 0)
		return NULL;
	message = protobuf_c_message_unpack(schema, arena ? arena_allocator(arena) : NULL, size,
					    data);
	if (!message)
		errmsg_set(err, "%s: out of memory", schema->short_name);
	return message;
}

int codec_pack(const ProtobufCMessage *message, uint8_t *out, size_t size, size_t *ret_size)
{
	*ret_size = protobuf_c_message_get_packed_size(message);
	if (*ret_size > size)
		return -EMSGSIZE;
	protobuf_c_message_pack(message, out);
	return 0;
}

/* Finds string @number in sub-message @bytes; walks all of it, so its structure is checked too. */
static int codec_head_text(const struct wire_field *bytes, uint32_t number, const char **ret_text,
			   size_t *ret_len)
{
	struct wire_reader reader;
	struct wire_field field;
	int r;

	if (bytes->type != WIRE_BYTES)
		return -EBADMSG;
	wire_reader_init(&reader, bytes->data, bytes->size);
	while ((r = wire_next(&reader, &field)) == 0) {
		if (field.number != number)
			continue;
		if (field.type != WIRE_BYTES || *ret_text)
			return -EBADMSG;
		*ret_text = (const char *)field.data;
		*ret_len = field.size;
	}
	return r == WIRE_E_END ? 0 : r;
}

static int codec_head_field(struct codec_event_head *head, const struct wire_field *field)
{
	enum wire_type want = WIRE_VARINT;

	switch (field->number) {
	case CODEC_EVENT_KIND:
		head->kind = (uint32_t)field->value;
		break;
	case CODEC_EVENT_SEVERITY:
		head->severity = (uint32_t)field->value;
		break;
	case CODEC_EVENT_TIME:
		head->time_unix_ns = field->value;
		want = WIRE_FIXED64;
		break;
	case CODEC_EVENT_OBSERVED:
		head->observed_unix_ns = field->value;
		want = WIRE_FIXED64;
		break;
	case CODEC_EVENT_REPLAYED:
		head->replayed = field->value != 0;
		break;
	case CODEC_EVENT_SOURCE:
		return codec_head_text(field, CODEC_SOURCE_COLLECTOR, &head->collector,
				       &head->collector_len);
	case CODEC_EVENT_SUBJECT:
		return codec_head_text(field, CODEC_SUBJECT_ID, &head->subject_id,
				       &head->subject_id_len);
	case CODEC_EVENT_COMMAND_STATE:
		head->command_state = field->data;
		head->command_state_size = field->size;
		want = WIRE_BYTES;
		break;
	default:
		return 0;
	}
	return field->type == want ? 0 : -EBADMSG;
}

int codec_event_head(const void *data, size_t size, struct codec_event_head *ret_head)
{
	struct codec_event_head head = { 0 };
	struct wire_reader reader;
	struct wire_field field;
	uint64_t seen = 0;
	int r;

	wire_reader_init(&reader, data, size);
	while ((r = wire_next(&reader, &field)) == 0) {
		if (field.number < 64 && CODEC_EVENT_SINGULAR >> field.number & 1) {
			if (seen >> field.number & 1)
				return -EBADMSG;
			seen |= UINT64_C(1) << field.number;
		}
		r = codec_head_field(&head, &field);
		if (r < 0)
			return r;
	}
	if (r != WIRE_E_END)
		return r;
	*ret_head = head;
	return 0;
}

size_t codec_framed_size(size_t event_size)
{
	return 1 + wire_varint_size(event_size) + event_size;
}

uint8_t *codec_put_frame(uint8_t *out, size_t event_size)
{
	out = wire_put_tag(out, CODEC_BATCH_EVENTS_FIELD, WIRE_BYTES);
	return wire_put_varint(out, event_size);
}

/* NOLINTNEXTLINE(readability-function-size): one parameter for each field of the message */
size_t codec_put_batch_head(uint8_t *out, const uint8_t epoch[16], uint64_t first_seq,
			    uint32_t count, uint32_t crc32c, uint64_t sent_unix_ns,
			    size_t events_size)
{
	uint8_t fields[CODEC_BATCH_HEAD_MAX / 2 + 8];
	uint8_t *pos = fields, *start = out;
	size_t size;

	/* Bytes are those that protobuf-c would write: in order, zero left out. */
	pos = wire_put_tag(pos, CODEC_BATCH_EPOCH, WIRE_BYTES);
	pos = wire_put_varint(pos, 16);
	memcpy(pos, epoch, 16);
	pos += 16;
	if (first_seq)
		pos = wire_put_varint(wire_put_tag(pos, CODEC_BATCH_FIRST_SEQ, WIRE_VARINT),
				      first_seq);
	if (count)
		pos = wire_put_varint(wire_put_tag(pos, CODEC_BATCH_COUNT, WIRE_VARINT), count);
	if (crc32c)
		pos = wire_put_fixed32(wire_put_tag(pos, CODEC_BATCH_CRC32C, WIRE_FIXED32), crc32c);
	if (sent_unix_ns)
		pos = wire_put_fixed64(wire_put_tag(pos, CODEC_BATCH_SENT, WIRE_FIXED64),
				       sent_unix_ns);
	size = (size_t)(pos - fields);
	out = wire_put_tag(out, CODEC_UP_BATCH, WIRE_BYTES);
	out = wire_put_varint(out, size + events_size);
	memcpy(out, fields, size);
	return (size_t)(out - start) + size;
}
