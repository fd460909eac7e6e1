/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The protobuf wire format (protobuf.dev/programming-guides/encoding), read in place and written by
 * hand. Only for hot paths: everything else uses the generated code.
 */
enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire_field {
	uint32_t number;
	enum wire_type type;
	uint64_t value;	     /* varint, fixed */
	const uint8_t *data; /* WIRE_BYTES: points into the message */
	size_t size;
};

struct wire_reader {
	const uint8_t *pos, *end;
};

static inline void wire_reader_init(struct wire_reader *reader, const void *data, size_t size)
{
	reader->pos = (const uint8_t *)data;
	reader->end = size > 0 ? reader->pos + size : reader->pos; /* NULL with 0 is allowed */
}

#define WIRE_E_END 1
/* The next field. 0, WIRE_E_END, -EBADMSG (over-long varint, bad type, group, length past the end,
 * number 0). */
int wire_next(struct wire_reader *reader, struct wire_field *ret_field);
/* The next bare varint of a packed repeated field. 0, WIRE_E_END, -EBADMSG. */
int wire_next_varint(struct wire_reader *reader, uint64_t *ret_value);

/* Each writes at @out (the caller made sure of WIRE_MAX_VARINT or the stated size) and returns the
 * end. */
#define WIRE_MAX_VARINT 10
uint8_t *wire_put_varint(uint8_t *out, uint64_t value);
uint8_t *wire_put_tag(uint8_t *out, uint32_t number, enum wire_type type);
uint8_t *wire_put_fixed32(uint8_t *out, uint32_t value);
uint8_t *wire_put_fixed64(uint8_t *out, uint64_t value);
size_t wire_varint_size(uint64_t value);
