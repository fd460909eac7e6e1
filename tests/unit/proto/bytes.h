/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "proto/wire.h"

/* Protobuf written by hand into a fixed buffer, for messages that no encoder would write. */
struct bytes {
	uint8_t *data;
	size_t size, capacity;
};

static inline void bytes_raw(struct bytes *b, const void *data, size_t size)
{
	assert(size <= b->capacity - b->size);
	if (size > 0)
		memcpy(b->data + b->size, data, size);
	b->size += size;
}

static inline void bytes_tag(struct bytes *b, uint32_t number, unsigned type)
{
	uint8_t out[WIRE_MAX_VARINT];

	bytes_raw(b, out, (size_t)(wire_put_tag(out, number, (enum wire_type)type) - out));
}

static inline void bytes_varint(struct bytes *b, uint32_t number, uint64_t value)
{
	uint8_t out[WIRE_MAX_VARINT];

	bytes_tag(b, number, WIRE_VARINT);
	bytes_raw(b, out, (size_t)(wire_put_varint(out, value) - out));
}

static inline void bytes_bytes(struct bytes *b, uint32_t number, const void *data, size_t size)
{
	uint8_t out[WIRE_MAX_VARINT];

	bytes_tag(b, number, WIRE_BYTES);
	bytes_raw(b, out, (size_t)(wire_put_varint(out, size) - out));
	bytes_raw(b, data, size);
}

static inline void bytes_text(struct bytes *b, uint32_t number, const char *text)
{
	bytes_bytes(b, number, text, strlen(text));
}
