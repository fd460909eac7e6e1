/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/render.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/arena.h"
#include "proto/kind.h"

/* Fills every field of a message by its descriptor, so that no payload can be forgotten here. */
static void fill(ProtobufCMessage *message, struct arena *arena);

static void fill_value(const ProtobufCFieldDescriptor *field, char *value, struct arena *arena)
{
	ProtobufCMessage *sub;

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		*(char **)(void *)value = arena_strdup(arena, "te\033xt");
		break;
	case PROTOBUF_C_TYPE_BYTES:
		*(ProtobufCBinaryData *)(void *)value =
			(ProtobufCBinaryData){ 16,
					       (uint8_t *)arena_strdup(arena, "0123456789abcdef") };
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		sub = arena_alloc(
			arena,
			((const ProtobufCMessageDescriptor *)field->descriptor)->sizeof_message);
		protobuf_c_message_init(field->descriptor, sub);
		fill(sub, arena);
		*(ProtobufCMessage **)(void *)value = sub;
		break;
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		*(uint64_t *)(void *)value = UINT64_C(1795224600123456789);
		break;
	default:
		*(uint32_t *)(void *)value = 1;
	}
}

static void fill(ProtobufCMessage *message, struct arena *arena)
{
	for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
		char *base = (char *)message;

		if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			char *items = arena_alloc(arena, 64);

			memset(items, 0, 64);
			fill_value(field, items, arena);
			*(void **)(void *)(base + field->offset) = items;
			*(size_t *)(void *)(base + field->quantifier_offset) = 1;
		} else {
			fill_value(field, base + field->offset, arena);
		}
	}
}

static char *line_of(const Pathbell__V1__Event *event)
{
	struct output output = { .utc = true };
	struct buf out = { 0 };

	assert_int_equal(render_event(&output, "alpha", event, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	return (char *)out.data;
}

static void assert_one_safe_line(const char *line)
{
	for (; *line; line++)
		assert_in_range((unsigned char)*line, 0x20, 0x7e);
}

static void test_every_payload_type(void **state)
{
	const ProtobufCMessageDescriptor *schema = &pathbell__v1__event__descriptor;
	struct arena *arena = NULL;
	size_t n_payloads = 0;

	assert_int_equal(arena_new(&arena, 1 << 20), 0);
	for (unsigned i = 0; i < schema->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &schema->fields[i];
		Pathbell__V1__Event full = PATHBELL__V1__EVENT__INIT;
		Pathbell__V1__Event empty = PATHBELL__V1__EVENT__INIT;
		ProtobufCMessage *payload;
		struct buf alone = { 0 };
		char *line;

		if (!(field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
			continue;
		n_payloads++;
		fill(&full.base, arena);
		full.payload_case = (Pathbell__V1__Event__PayloadCase)field->id;
		fill_value(field, (char *)&full + field->offset, arena);
		line = line_of(&full);
		assert_one_safe_line(line);
		assert_non_null(strstr(line, "alpha"));
		assert_non_null(strstr(line, "[replay]"));
		free(line);
		assert_int_equal(render_payload(&full, &alone), 0);
		if (alone.size < 3)
			fail_msg("%s is shown as nothing", field->name);
		buf_deinit(&alone);

		empty.payload_case = full.payload_case;
		payload = arena_alloc(
			arena,
			((const ProtobufCMessageDescriptor *)field->descriptor)->sizeof_message);
		protobuf_c_message_init(field->descriptor, payload);
		*(ProtobufCMessage **)(void *)((char *)&empty + field->offset) = payload;
		line = line_of(&empty);
		assert_one_safe_line(line);
		free(line);
		arena_reset(arena);
	}
	assert_int_equal(n_payloads, 21);
	arena_free(arena);
}

static void test_a_block_error(void **state)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__BlockError error = PATHBELL__V1__BLOCK_ERROR__INIT;
	char *line;

	event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR;
	event.severity = PATHBELL__V1__SEVERITY__SEVERITY_ERROR;
	event.time_unix_ns = UINT64_C(1795224600123456789);
	subject.name = (char *)"sda";
	subject.id = (char *)"wwid:naa.5000c500";
	event.subject = &subject;
	error.error_class = PATHBELL__V1__BLOCK_ERROR_CLASS__BLOCK_ERROR_CLASS_CRITICAL_MEDIUM;
	error.error_number = -61;
	error.error_type = (char *)"ENODATA";
	error.sector = 2048;
	error.sector_count = 8;
	error.operation = PATHBELL__V1__BLOCK_OPERATION__BLOCK_OPERATION_READ;
	error.rwbs = (char *)"R";
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_BLOCK_ERROR;
	event.block_error = &error;
	line = line_of(&event);
	assert_string_equal(
		line, "2026-11-21T01:30:00.123Z alpha      error    storage.block.error    "
		      "sda[wwid:naa.5000c500] "
		      "critical_medium on read of sectors 2048-2055 (errno -61 ENODATA) rwbs=R");
	free(line);
}

static void test_a_gap_says_how_much(void **state)
{
	static const struct {
		uint64_t count;
		bool minimum;
		const char *text;
	} cases[] = {
		{ 1, false, "block lost 1 event: ring_overrun" },
		{ 5, true, "block lost at least 5 events: ring_overrun" },
		{ 0, true, "block lost an unknown number of events: ring_overrun" },
	};

	for (size_t i = 0; i < 3; i++) {
		Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
		Pathbell__V1__Gap gap = PATHBELL__V1__GAP__INIT;
		struct buf out = { 0 };

		gap.collector = (char *)"block";
		gap.cause = (char *)"ring_overrun";
		gap.count = cases[i].count;
		gap.count_is_minimum = cases[i].minimum;
		event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_GAP;
		event.gap = &gap;
		assert_int_equal(render_payload(&event, &out), 0);
		assert_int_equal(buf_append(&out, "", 1), 0);
		assert_string_equal((char *)out.data, cases[i].text);
		buf_deinit(&out);
	}
}

static void test_unknown_numbers_are_numbers(void **state)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__BlockError error = PATHBELL__V1__BLOCK_ERROR__INIT;
	char *line;

	event.kind = (Pathbell__V1__EventKind)4711;
	event.severity = (Pathbell__V1__Severity)99;
	error.error_class = (Pathbell__V1__BlockErrorClass)200;
	error.operation = (Pathbell__V1__BlockOperation)-5;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_BLOCK_ERROR;
	event.block_error = &error;
	line = line_of(&event);
	assert_non_null(strstr(line, "4711"));
	free(line);
}

static void test_a_long_list_is_cut(void **state)
{
	Pathbell__V1__FcFpin fpin = PATHBELL__V1__FC_FPIN__INIT;
	uint64_t names[64];
	struct buf out = { 0 };

	for (size_t i = 0; i < 64; i++)
		names[i] = i;
	fpin.port_names = names;
	fpin.n_port_names = 64;
	assert_int_equal(render_fields(&fpin.base, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_non_null(strstr((char *)out.data, ",15,...(64)"));
	buf_deinit(&out);
}

static void test_memory_has_a_limit(void **state)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	struct output output = { .utc = true };

	for (size_t max = 1; max < 60; max++) {
		struct buf out = { .max = max };

		assert_true(render_event(&output, "alpha", &event, &out) < 0 || out.size <= max);
		buf_deinit(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_payload_type),
		cmocka_unit_test(test_a_block_error),
		cmocka_unit_test(test_a_gap_says_how_much),
		cmocka_unit_test(test_unknown_numbers_are_numbers),
		cmocka_unit_test(test_a_long_list_is_cut),
		cmocka_unit_test(test_memory_has_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
