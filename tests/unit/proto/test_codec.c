/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bytes.h"
#include "core/crc32c.h"
#include "proto/codec.h"

static size_t pack_event(uint8_t *out, size_t size)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__CommandState command = PATHBELL__V1__COMMAND_STATE__INIT;
	Pathbell__V1__Attribute attribute = PATHBELL__V1__ATTRIBUTE__INIT;
	Pathbell__V1__Attribute *extra[] = { &attribute, &attribute };
	size_t packed;

	event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_COMMAND_FINISHED;
	event.severity = PATHBELL__V1__SEVERITY__SEVERITY_INFO;
	event.time_unix_ns = 1700000000000000001;
	event.observed_unix_ns = 1700000000000000002;
	event.replayed = 1;
	event.source = &source;
	event.subject = &subject;
	event.extra = extra;
	event.n_extra = 2;
	source.collector = (char *)"agent";
	source.seq = 7;
	subject.type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_COMMAND;
	subject.id = (char *)"command:1";
	subject.name = (char *)"x";
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_COMMAND_STATE;
	event.command_state = &command;
	command.life = PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED;
	assert_int_equal(codec_pack(&event.base, out, size, &packed), 0);
	return packed;
}

static void test_head(void **state)
{
	struct codec_event_head head;
	uint8_t packed[512];
	size_t size = pack_event(packed, sizeof(packed));

	assert_int_equal(codec_event_head(packed, size, &head), 0);
	assert_int_equal(head.kind, 904);
	assert_int_equal(head.severity, 9);
	assert_true(head.time_unix_ns == 1700000000000000001);
	assert_true(head.observed_unix_ns == 1700000000000000002);
	assert_true(head.replayed);
	assert_int_equal(head.collector_len, 5);
	assert_memory_equal(head.collector, "agent", 5);
	assert_int_equal(head.subject_id_len, 9);
	assert_memory_equal(head.subject_id, "command:1", 9);
	assert_int_equal(head.command_state_size, 2);
	assert_memory_equal(head.command_state, "\x10\x07", 2);
}

static void test_head_of_little(void **state)
{
	struct codec_event_head head;

	assert_int_equal(codec_event_head(NULL, 0, &head), 0);
	assert_int_equal(head.kind, 0);
	assert_null(head.subject_id);
	assert_null(head.command_state);
	/* An unknown kind stays a number. */
	assert_int_equal(codec_event_head("\x08\xff\xff\x03", 4, &head), 0);
	assert_int_equal(head.kind, 65535);
	/* An empty command state is one. */
	assert_int_equal(codec_event_head("\xba\x02\x00", 3, &head), 0);
	assert_non_null(head.command_state);
	assert_int_equal(head.command_state_size, 0);
}

/* Truncations and flips: no over-read; and what the scan accepts, the head reads the same as
 * protobuf-c. */
static void test_head_agrees_with_unpack(void **state)
{
	uint8_t packed[512];
	size_t size = pack_event(packed, sizeof(packed));

	for (size_t bit = 0; bit < size * 8; bit++) {
		uint8_t *copy = malloc(size);
		struct codec_event_head head;
		Pathbell__V1__Event *event;
		int r;

		assert_non_null(copy);
		memcpy(copy, packed, size);
		copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		r = codec_event_head(copy, size, &head);
		event = codec_unpack(&pathbell__v1__event__descriptor, &scan_limits_event, NULL,
				     copy, size, NULL);
		if (event) {
			assert_int_equal(r, 0);
			assert_int_equal(head.kind, (unsigned)event->kind);
			assert_true(head.time_unix_ns == event->time_unix_ns);
			assert_int_equal(head.replayed, event->replayed);
			if (head.subject_id)
				assert_memory_equal(head.subject_id, event->subject->id,
						    head.subject_id_len);
			protobuf_c_message_free_unpacked(&event->base, NULL);
		}
		free(copy);
	}
	for (size_t n = 0; n < size; n++) {
		struct codec_event_head head;
		uint8_t *exact = malloc(n ? n : 1);

		memcpy(exact, packed, n);
		(void)codec_event_head(exact, n, &head);
		free(exact);
	}
}

static void test_head_refuses(void **state)
{
	struct codec_event_head head = { .kind = 42 };

	assert_int_equal(codec_event_head("\x0a\x00", 2, &head), -EBADMSG); /* kind as bytes */
	assert_int_equal(codec_event_head("\x08\x01\x08\x02", 4, &head), -EBADMSG); /* twice */
	assert_int_equal(codec_event_head("\x4a\x02\x12\x05", 4, &head), -EBADMSG); /* in subject */
	assert_int_equal(codec_event_head("\x4a\x04\x12\x00\x12\x00", 6, &head), -EBADMSG);
	assert_int_equal(codec_event_head("\x48\x01", 2, &head), -EBADMSG); /* subject as varint */
	assert_int_equal(codec_event_head("\xb8\x02\x01", 3, &head), -EBADMSG); /* command_state */
	assert_int_equal(head.kind, 42); /* untouched on failure */
}

/* Any value of the right wire type; an unknown field gets a varint. */
static void put_any(struct bytes *b, uint32_t number, const ProtobufCFieldDescriptor *field)
{
	switch (field ? field->type : PROTOBUF_C_TYPE_UINT32) {
	case PROTOBUF_C_TYPE_FIXED64:
		bytes_tag(b, number, WIRE_FIXED64);
		bytes_raw(b, "12345678", 8);
		break;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		bytes_text(b, number, "");
		break;
	default:
		bytes_varint(b, number, 1);
	}
}

/* Each field twice: the head refuses exactly the singular ones that this build knows, as the
 * pre-scan does. */
static void test_head_repeats_as_scan(void **state)
{
	for (uint32_t number = 1; number < 128; number++) {
		const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(
			&pathbell__v1__event__descriptor, number);
		bool may_repeat = !field || field->label == PROTOBUF_C_LABEL_REPEATED;
		struct codec_event_head head;
		uint8_t data[64];
		struct bytes b = { data, 0, sizeof(data) };
		int scan, r;

		put_any(&b, number, field);
		put_any(&b, number, field);
		scan = scan_check(&pathbell__v1__event__descriptor, &scan_limits_event, data,
				  b.size, NULL);
		r = codec_event_head(data, b.size, &head);
		assert_int_equal(scan, r);
		assert_int_equal(r == 0, may_repeat);
	}
}

static void test_pack_bounds(void **state)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	uint8_t out[16] = { 0 };
	size_t size;

	event.kind = 100;
	event.time_unix_ns = 1;
	assert_int_equal(codec_pack(&event.base, out, 11, &size), 0);
	assert_int_equal(size, 11);
	memset(out, 0xee, sizeof(out));
	assert_int_equal(codec_pack(&event.base, out, 10, &size), -EMSGSIZE);
	assert_int_equal(size, 11);
	assert_int_equal(out[0], 0xee);
}

/* Head plus framed events are the bytes that protobuf-c makes of the same message. */
static void batch_equals(uint64_t first_seq, unsigned count, uint64_t sent, size_t event_size)
{
	Pathbell__V1__EventsUp up = PATHBELL__V1__EVENTS_UP__INIT;
	Pathbell__V1__Batch batch = PATHBELL__V1__BATCH__INIT;
	ProtobufCBinaryData *events = calloc(count + 1, sizeof(*events));
	uint8_t epoch[16] = "sixteen bytes ..";
	uint8_t *framed = malloc(count * (event_size + 6) + 1), *pos = framed;
	uint8_t *event = calloc(1, event_size + 1);
	uint8_t head[CODEC_BATCH_HEAD_MAX];
	size_t head_size, framed_size, size;
	uint8_t *packed;

	for (unsigned n = 0; n < count; n++) {
		uint8_t *start = pos;

		events[n].data = event;
		events[n].len = event_size;
		pos = codec_put_frame(pos, event_size);
		assert_in_range(pos - start, 2, 6);
		memcpy(pos, event, event_size);
		pos += event_size;
		assert_int_equal(pos - start, codec_framed_size(event_size));
	}
	framed_size = (size_t)(pos - framed);
	batch.epoch.data = epoch;
	batch.epoch.len = 16;
	batch.first_seq = first_seq;
	batch.count = count;
	batch.crc32c = crc32c(0, framed, framed_size);
	batch.sent_unix_ns = sent;
	batch.events = events;
	batch.n_events = count;
	up.message_case = PATHBELL__V1__EVENTS_UP__MESSAGE_BATCH;
	up.batch = &batch;
	size = protobuf_c_message_get_packed_size(&up.base);
	packed = malloc(size);
	protobuf_c_message_pack(&up.base, packed);

	head_size = codec_put_batch_head(head, epoch, first_seq, count, batch.crc32c, sent,
					 framed_size);
	assert_true(head_size <= CODEC_BATCH_HEAD_MAX);
	assert_int_equal(head_size + framed_size, size);
	assert_memory_equal(head, packed, head_size);
	assert_memory_equal(framed, packed + head_size, framed_size);
	free(packed);
	free(event);
	free(framed);
	free(events);
}

static void test_batch(void **state)
{
	batch_equals(1, 1, 1700000000000000000, 100);
	batch_equals(UINT64_MAX, 8192, UINT64_MAX, 1);
	batch_equals(300, 3, 1, 127);
	batch_equals(300, 3, 1, 128);
	batch_equals(5, 2, 9, 16384);
	batch_equals(5, 1, 9, CODEC_EVENT_MAX);
	batch_equals(0, 0, 0, 0);
	batch_equals(7, 4, 0, 0);
}

static void test_unpack_into_arena(void **state)
{
	uint8_t packed[512];
	size_t size = pack_event(packed, sizeof(packed));
	struct errmsg err = { 0 };
	struct arena *arena;
	Pathbell__V1__Event *event;

	assert_int_equal(arena_new(&arena, 4096), 0);
	for (int n = 0; n < 100; n++) {
		arena_reset(arena);
		event = codec_unpack(&pathbell__v1__event__descriptor, &scan_limits_event, arena,
				     packed, size, &err);
		assert_non_null(event);
		assert_string_equal(event->subject->id, "command:1");
	}
	arena_free(arena);
	assert_int_equal(arena_new(&arena, 64), 0);
	assert_null(codec_unpack(&pathbell__v1__event__descriptor, &scan_limits_event, arena,
				 packed, size, &err));
	assert_non_null(strstr(err.text, "out of memory"));
	arena_free(arena);
}

/* Every allocation of the unpacking fails once: a clean NULL each time, until it succeeds. */
static void test_unpack_sweeps_memory(void **state)
{
	uint8_t packed[512];
	size_t size = pack_event(packed, sizeof(packed));
	size_t failures = 0;

	for (size_t max = 16; max < 4096; max += 16, failures++) {
		struct arena *arena;
		void *event;

		assert_int_equal(arena_new(&arena, max), 0);
		event = codec_unpack(&pathbell__v1__event__descriptor, &scan_limits_event, arena,
				     packed, size, NULL);
		arena_free(arena);
		if (event)
			break;
	}
	assert_in_range(failures, 10, 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_head_of_little),
		cmocka_unit_test(test_head_agrees_with_unpack),
		cmocka_unit_test(test_head_refuses),
		cmocka_unit_test(test_head_repeats_as_scan),
		cmocka_unit_test(test_pack_bounds),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_unpack_into_arena),
		cmocka_unit_test(test_unpack_sweeps_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
