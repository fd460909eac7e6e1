/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/wire.h"

#include <errno.h>
#include <string.h>

/*
 * Tags and lengths are read from at most five bytes, as protobuf-c does: a longer spelling of a
 * small number is legal nowhere that it matters, and one reader accepting what the other refuses
 * would be a way past the pre-scan.
 */
#define WIRE_MAX_VARINT32 5
/* protobuf.dev/programming-guides/proto3, "Assigning Field Numbers". */
#define WIRE_MAX_NUMBER ((UINT32_C(1) << 29) - 1)

static const uint8_t *wire_get_long_varint(const uint8_t *pos, const uint8_t *end, unsigned max,
					   uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned n = 0; n < max && pos < end; n++, pos++) {
		/* The tenth byte holds bit 63 only. */
		if (n == WIRE_MAX_VARINT - 1 && *pos > 1)
			return NULL;
		value |= (uint64_t)(*pos & 0x7f) << (7 * n);
		if (*pos < 0x80) {
			*ret_value = value;
			return pos + 1;
		}
	}
	return NULL;
}

/* NULL: longer than @max bytes, above 64 bits, or past the end. Most have one byte. */
static inline const uint8_t *wire_get_varint(const uint8_t *pos, const uint8_t *end, unsigned max,
					     uint64_t *ret_value)
{
	if (pos < end && *pos < 0x80) {
		*ret_value = *pos;
		return pos + 1;
	}
	return wire_get_long_varint(pos, end, max, ret_value);
}

static uint32_t wire_load32(const uint8_t *pos)
{
	return (uint32_t)pos[0] | (uint32_t)pos[1] << 8 | (uint32_t)pos[2] << 16 |
	       (uint32_t)pos[3] << 24;
}

static const uint8_t *wire_get_fixed(const uint8_t *pos, const uint8_t *end, size_t size,
				     uint64_t *ret_value)
{
	if ((size_t)(end - pos) < size)
		return NULL;
	*ret_value = wire_load32(pos);
	if (size == 8)
		*ret_value |= (uint64_t)wire_load32(pos + 4) << 32;
	return pos + size;
}

static const uint8_t *wire_get_bytes(const uint8_t *pos, const uint8_t *end,
				     struct wire_field *ret_field)
{
	uint64_t size;

	pos = wire_get_varint(pos, end, WIRE_MAX_VARINT32, &size);
	if (!pos || size > (size_t)(end - pos))
		return NULL;
	ret_field->data = pos;
	ret_field->size = size;
	return pos + size;
}

int wire_next(struct wire_reader *reader, struct wire_field *ret_field)
{
	const uint8_t *pos = reader->pos;
	uint64_t tag;

	if (pos == reader->end)
		return WIRE_E_END;
	pos = wire_get_varint(pos, reader->end, WIRE_MAX_VARINT32, &tag);
	if (!pos || tag >> 3 == 0 || tag >> 3 > WIRE_MAX_NUMBER)
		return -EBADMSG;
	ret_field->number = (uint32_t)(tag >> 3);
	ret_field->type = (enum wire_type)(tag & 7);
	ret_field->value = 0;
	ret_field->data = NULL;
	ret_field->size = 0;
	switch (tag & 7) {
	case WIRE_VARINT:
		pos = wire_get_varint(pos, reader->end, WIRE_MAX_VARINT, &ret_field->value);
		break;
	case WIRE_FIXED64:
		pos = wire_get_fixed(pos, reader->end, 8, &ret_field->value);
		break;
	case WIRE_FIXED32:
		pos = wire_get_fixed(pos, reader->end, 4, &ret_field->value);
		break;
	case WIRE_BYTES:
		pos = wire_get_bytes(pos, reader->end, ret_field);
		break;
	default: /* groups (3, 4) and what was never defined (6, 7) */
		return -EBADMSG;
	}
	if (!pos)
		return -EBADMSG;
	reader->pos = pos;
	return 0;
}

int wire_next_varint(struct wire_reader *reader, uint64_t *ret_value)
{
	const uint8_t *pos;

	if (reader->pos == reader->end)
		return WIRE_E_END;
	pos = wire_get_varint(reader->pos, reader->end, WIRE_MAX_VARINT, ret_value);
	if (!pos)
		return -EBADMSG;
	reader->pos = pos;
	return 0;
}

uint8_t *wire_put_varint(uint8_t *out, uint64_t value)
{
	while (value >= 0x80) {
		*out++ = (uint8_t)(value | 0x80);
		value >>= 7;
	}
	*out++ = (uint8_t)value;
	return out;
}

uint8_t *wire_put_tag(uint8_t *out, uint32_t number, enum wire_type type)
{
	return wire_put_varint(out, (uint64_t)number << 3 | type);
}

uint8_t *wire_put_fixed32(uint8_t *out, uint32_t value)
{
	for (unsigned n = 0; n < 4; n++)
		*out++ = (uint8_t)(value >> (8 * n));
	return out;
}

uint8_t *wire_put_fixed64(uint8_t *out, uint64_t value)
{
	out = wire_put_fixed32(out, (uint32_t)value);
	return wire_put_fixed32(out, (uint32_t)(value >> 32));
}

size_t wire_varint_size(uint64_t value)
{
	/* One byte for each started group of seven bits; (9 * bits + 64) / 64 is that without a
	 * loop. */
	return (9 * (64 - (unsigned)__builtin_clzll(value | 1)) + 64) / 64;
}
