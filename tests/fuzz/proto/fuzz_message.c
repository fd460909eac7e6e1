/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_message.h"

#include <stdlib.h>
#include <string.h>

#include "proto/codec.h"

#define CHECK(condition)          \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

/* Growth by packing: an enum of five bytes may be sign-extended to ten. */
static void fuzz_repack(const ProtobufCMessageDescriptor *schema, const struct scan_limits *limits,
			const ProtobufCMessage *message, size_t size)
{
	struct scan_limits wide = *limits;
	size_t packed_size = protobuf_c_message_get_packed_size(message), again_size;
	uint8_t *packed = malloc(packed_size + 1), *again = malloc(packed_size + 1);
	ProtobufCMessage *back;

	CHECK(packed && again && packed_size <= 6 * size + 16);
	protobuf_c_message_pack(message, packed);
	wide.max_size = packed_size;
	wide.max_allocation *= 2;
	back = codec_unpack(schema, &wide, NULL, packed, packed_size, NULL);
	CHECK(back);
	CHECK(codec_pack(back, again, packed_size, &again_size) == 0);
	CHECK(again_size == packed_size && memcmp(packed, again, packed_size) == 0);
	protobuf_c_message_free_unpacked(back, NULL);
	free(packed);
	free(again);
}

ProtobufCMessage *fuzz_message(const ProtobufCMessageDescriptor *schema,
			       const struct scan_limits *limits, const uint8_t *data, size_t size)
{
	static struct arena *arena;
	struct scan_measure measure;
	struct errmsg err = { 0 };
	ProtobufCMessage *message;

	if (!arena)
		CHECK(arena_new(&arena, (size_t)128 << 20) == 0);
	arena_reset(arena);
	if (scan_measure(schema, limits, data, size, &measure, &err) < 0) {
		CHECK(err.text[0]); /* never refused without a reason */
		return NULL;
	}
	CHECK(measure.allocation <= limits->max_allocation &&
	      measure.fields <= limits->max_fields && measure.depth <= limits->max_depth);
	message = protobuf_c_message_unpack(schema, arena_allocator(arena), size, data);
	CHECK(message);
	CHECK(arena_used(arena) <= measure.allocation);
	fuzz_repack(schema, limits, message, size);
	return message;
}
