/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/encode.h"
#include "pathbell/v1/command.pb-c.h"
#include "pathbell/v1/event.pb-c.h"
#include "pathbell/v1/fleet.pb-c.h"
#include "pathbell/v1/ingest.pb-c.h"
#include "proto/arena.h"

/*
 * Random messages of every type in the schema, made from the descriptors: the bytes must be those
 * of protobuf_c_message_pack, and every buffer that is too small must be refused.
 */
static uint64_t seed;

static uint64_t next(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* Small, large, negative, zero: whatever changes the length. */
static uint64_t number(void)
{
	return next() >> (next() % 64) ? next() >> (next() % 64) : next() % 2;
}

static ProtobufCMessage *make(struct arena *arena, const ProtobufCMessageDescriptor *descriptor,
			      unsigned depth);

static char *text(struct arena *arena)
{
	size_t len = next() % (next() % 8 ? 12 : 300);
	char *text = arena_alloc(arena, len + 1);

	memset(text, 'a', len);
	text[len] = 0;
	return text;
}

static void fill(struct arena *arena, const ProtobufCFieldDescriptor *field, void *member,
		 unsigned depth)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)member = make(arena, field->descriptor, depth + 1);
		break;
	case PROTOBUF_C_TYPE_STRING:
		*(char **)member = text(arena);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		((ProtobufCBinaryData *)member)->data = (uint8_t *)text(arena);
		((ProtobufCBinaryData *)member)->len =
			strlen((char *)((ProtobufCBinaryData *)member)->data);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)member = next() % 2;
		break;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_ENUM:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		*(uint32_t *)member = (uint32_t)number();
		break;
	default:
		*(uint64_t *)member = number();
	}
}

static void fill_repeated(struct arena *arena, const ProtobufCFieldDescriptor *field, uint8_t *base,
			  unsigned depth)
{
	size_t n = next() % 4;
	uint8_t *items = arena_alloc(arena, (n + 1) * 16);
	size_t size = field->type == PROTOBUF_C_TYPE_BYTES  ? 16
		      : field->type == PROTOBUF_C_TYPE_BOOL ? sizeof(protobuf_c_boolean)
		      : field->type == PROTOBUF_C_TYPE_UINT32 ||
				      field->type == PROTOBUF_C_TYPE_INT32 ||
				      field->type == PROTOBUF_C_TYPE_ENUM
			      ? 4
			      : 8;

	memset(items, 0, (n + 1) * 16);
	for (size_t i = 0; i < n; i++)
		fill(arena, field, items + i * size, depth);
	*(size_t *)(base + field->quantifier_offset) = n;
	*(void **)(base + field->offset) = items;
}

static ProtobufCMessage *make(struct arena *arena, const ProtobufCMessageDescriptor *descriptor,
			      unsigned depth)
{
	uint8_t *base = arena_alloc(arena, descriptor->sizeof_message);

	protobuf_c_message_init(descriptor, base);
	for (unsigned i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];

		if (next() % 3 == 0 || (depth > 4 && field->type == PROTOBUF_C_TYPE_MESSAGE))
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			fill_repeated(arena, field, base, depth);
			continue;
		}
		if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
			if (*(uint32_t *)(base + field->quantifier_offset) || next() % 8)
				continue;
			*(uint32_t *)(base + field->quantifier_offset) = field->id;
		}
		fill(arena, field, base + field->offset, depth);
	}
	return (ProtobufCMessage *)base;
}

static void compare(const ProtobufCMessage *message)
{
	static uint8_t buffer[1 << 20], expected[1 << 20];
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *start = NULL;

	assert_true(size <= sizeof(expected));
	protobuf_c_message_pack(message, expected);
	assert_int_equal(encode_message(message, buffer, sizeof(buffer), &start), size);
	if (size == 0)
		return;
	assert_memory_equal(start, expected, size);
	assert_ptr_equal(start + size, buffer + sizeof(buffer));
	for (size_t less = 1; less <= size; less += 1 + size / 16)
		assert_int_equal(encode_message(message, buffer, size - less, &start), 0);
	assert_int_equal(encode_message(message, buffer, size, &start), size);
	assert_ptr_equal(start, buffer);
}

static void same_bytes_as_protobuf_c(void **state)
{
	static const ProtobufCMessageDescriptor *const types[] = {
		&pathbell__v1__event__descriptor,	   &pathbell__v1__event__descriptor,
		&pathbell__v1__event__descriptor,	   &pathbell__v1__command__descriptor,
		&pathbell__v1__events_up__descriptor,	   &pathbell__v1__host__descriptor,
		&pathbell__v1__signed_command__descriptor,
	};
	struct arena *arena;

	assert_int_equal(arena_new(&arena, 8 << 20), 0);
	for (unsigned i = 0; i < 20000; i++) {
		seed = 0x9e3779b97f4a7c15 * (i + 1);
		compare(make(arena, types[i % (sizeof(types) / sizeof(types[0]))], 0));
		arena_reset(arena);
	}
	arena_free(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_bytes_as_protobuf_c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
