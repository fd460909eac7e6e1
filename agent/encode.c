/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/encode.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "proto/scan.h"
#include "proto/wire.h"

/* Room left is pos - start; NULL once something did not fit. Every put returns the new first byte.
 */
struct encode {
	uint8_t *start;
};

static uint8_t *encode_message_before(const struct encode *encode, uint8_t *pos,
				      const ProtobufCMessage *message);

static inline uint8_t *encode_varint(const struct encode *encode, uint8_t *pos, uint64_t value)
{
	size_t n;

	if (!pos)
		return NULL;
	if (value < 0x80 && pos > encode->start) {
		*--pos = (uint8_t)value;
		return pos;
	}
	n = wire_varint_size(value);
	if ((size_t)(pos - encode->start) < n)
		return NULL;
	wire_put_varint(pos - n, value);
	return pos - n;
}

static inline uint8_t *encode_bytes(const struct encode *encode, uint8_t *pos, const void *data,
				    size_t size)
{
	if (!pos || (size_t)(pos - encode->start) < size)
		return NULL;
	pos -= size;
	if (size)
		memcpy(pos, data, size);
	return pos;
}

static uint64_t encode_zigzag32(int32_t value)
{
	return ((uint32_t)value << 1) ^ (uint32_t)(value >> 31);
}

static uint64_t encode_zigzag64(int64_t value)
{
	return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static uint8_t *encode_string(const struct encode *encode, uint8_t *pos, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	pos = encode_bytes(encode, pos, text, len);
	return encode_varint(encode, pos, len);
}

static uint8_t *encode_nested(const struct encode *encode, uint8_t *pos,
			      const ProtobufCMessage *message)
{
	uint8_t *end = pos;

	if (message)
		pos = encode_message_before(encode, pos, message);
	return pos ? encode_varint(encode, pos, (uint64_t)(end - pos)) : NULL;
}

/* The value without its tag. */
static uint8_t *encode_value(const struct encode *encode, uint8_t *pos, ProtobufCType type,
			     const void *member)
{
	const ProtobufCBinaryData *bytes = member;
	uint64_t fixed64;
	uint32_t fixed32;

	switch (type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		return encode_nested(encode, pos, *(const ProtobufCMessage *const *)member);
	case PROTOBUF_C_TYPE_STRING:
		return encode_string(encode, pos, *(const char *const *)member);
	case PROTOBUF_C_TYPE_BYTES:
		pos = encode_bytes(encode, pos, bytes->data, bytes->len);
		return encode_varint(encode, pos, bytes->len);
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		fixed64 = htole64(*(const uint64_t *)member);
		return encode_bytes(encode, pos, &fixed64, sizeof(fixed64));
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		fixed32 = htole32(*(const uint32_t *)member);
		return encode_bytes(encode, pos, &fixed32, sizeof(fixed32));
	case PROTOBUF_C_TYPE_BOOL:
		return encode_varint(encode, pos, *(const protobuf_c_boolean *)member != 0);
	case PROTOBUF_C_TYPE_SINT32:
		return encode_varint(encode, pos, encode_zigzag32(*(const int32_t *)member));
	case PROTOBUF_C_TYPE_SINT64:
		return encode_varint(encode, pos, encode_zigzag64(*(const int64_t *)member));
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_ENUM:
		/* negative numbers are sign-extended to 64 bits (protobuf encoding, "Signed
		 * Integers") */
		return encode_varint(encode, pos, (uint64_t)(int64_t) * (const int32_t *)member);
	case PROTOBUF_C_TYPE_UINT32:
		return encode_varint(encode, pos, *(const uint32_t *)member);
	default:
		return encode_varint(encode, pos, *(const uint64_t *)member);
	}
}

static uint8_t *encode_tag(const struct encode *encode, uint8_t *pos, uint32_t number,
			   enum wire_type type)
{
	return encode_varint(encode, pos, (uint64_t)number << 3 | type);
}

/* proto3: a field at its default is not written. */
static bool encode_is_default(ProtobufCType type, const void *member)
{
	switch (type) {
	case PROTOBUF_C_TYPE_BOOL:
		return *(const protobuf_c_boolean *)member == 0;
	case PROTOBUF_C_TYPE_STRING:
		return !*(const char *const *)member || !**(const char *const *)member;
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)member)->len == 0;
	case PROTOBUF_C_TYPE_MESSAGE:
		return !*(const ProtobufCMessage *const *)member;
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return *(const uint32_t *)member == 0;
	default:
		return *(const uint64_t *)member == 0;
	}
}

static size_t encode_element_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return sizeof(uint32_t);
	default:
		return sizeof(uint64_t);
	}
}

static uint8_t *encode_repeated(const struct encode *encode, uint8_t *pos,
				const ProtobufCFieldDescriptor *field, const void *member, size_t n)
{
	const uint8_t *items = *(const uint8_t *const *)member;
	size_t size = encode_element_size(field->type);
	bool packed = field->flags & PROTOBUF_C_FIELD_FLAG_PACKED;
	uint8_t *end = pos;

	while (pos && n-- > 0) {
		pos = encode_value(encode, pos, field->type, items + n * size);
		if (!packed)
			pos = encode_tag(encode, pos, field->id, scan_wire_type(field->type));
	}
	if (!packed || !pos)
		return pos;
	pos = encode_varint(encode, pos, (uint64_t)(end - pos));
	return encode_tag(encode, pos, field->id, WIRE_BYTES);
}

static uint8_t *encode_field(const struct encode *encode, uint8_t *pos,
			     const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const uint8_t *base = (const uint8_t *)message;
	const void *member = base + field->offset;
	const void *quantifier = base + field->quantifier_offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		size_t n = *(const size_t *)quantifier;

		return n ? encode_repeated(encode, pos, field, member, n) : pos;
	}
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		if (*(const uint32_t *)quantifier != field->id)
			return pos;
		if (field->type == PROTOBUF_C_TYPE_MESSAGE &&
		    encode_is_default(field->type, member))
			return pos;
	} else if (encode_is_default(field->type, member)) {
		return pos;
	}
	pos = encode_value(encode, pos, field->type, member);
	return encode_tag(encode, pos, field->id, scan_wire_type(field->type));
}

/* Fields in falling order of their numbers, so that they lie in rising order. */
static uint8_t *encode_message_before(const struct encode *encode, uint8_t *pos,
				      const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *descriptor = message->descriptor;

	for (unsigned i = descriptor->n_fields; pos && i-- > 0;)
		pos = encode_field(encode, pos, message, &descriptor->fields[i]);
	return pos;
}

size_t encode_message(const ProtobufCMessage *message, uint8_t *buffer, size_t size,
		      uint8_t **ret_start)
{
	const struct encode encode = { buffer };
	uint8_t *pos = encode_message_before(&encode, buffer + size, message);

	if (!pos)
		return 0;
	*ret_start = pos;
	return (size_t)(buffer + size - pos);
}
