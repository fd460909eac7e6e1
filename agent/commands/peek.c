/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/peek.h"

#include "pathbell/v1/command.pb-c.h"
#include "proto/wire.h"

/* Field numbers of command.proto. */
#define PEEK_ENVELOPE_COMMAND 1
#define PEEK_COMMAND_VERB     2

bool peek_is_halt(const void *envelope, size_t size)
{
	struct wire_reader outer, inner;
	struct wire_field field;
	bool is_halt = false;

	wire_reader_init(&outer, envelope, size);
	do {
		if (wire_next(&outer, &field))
			return false;
	} while (field.number != PEEK_ENVELOPE_COMMAND || field.type != WIRE_BYTES);
	wire_reader_init(&inner, field.data, field.size);
	while (wire_next(&inner, &field) == 0)
		if (field.number == PEEK_COMMAND_VERB && field.type == WIRE_VARINT)
			is_halt = field.value == PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_HALT;
	return is_halt;
}
