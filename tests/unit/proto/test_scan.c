/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bytes.h"
#include "proto/codec.h"
#include "schemas.h"

#ifdef __SANITIZE_ADDRESS__
size_t __sanitizer_get_current_allocated_bytes(void); /* gcc 12 ships no header for it */
#endif

#define EVENT &pathbell__v1__event__descriptor
#define MAX   ((size_t)8 << 20)

static struct bytes *message; /* emptied before every test */

static int setup(void **state)
{
	message = calloc(1, sizeof(*message));
	assert_non_null(message);
	message->capacity = MAX;
	message->data = malloc(MAX);
	return message->data ? 0 : -1;
}

static int teardown(void **state)
{
	free(message->data);
	free(message);
	return 0;
}

static int check(const ProtobufCMessageDescriptor *schema, const struct scan_limits *limits,
		 struct errmsg *ret_err)
{
	memset(ret_err, 0, sizeof(*ret_err));
	return scan_check(schema, limits, message->data, message->size, ret_err);
}

/* The message is refused with @error, and the reason names @why. */
static void refused(const ProtobufCMessageDescriptor *schema, const struct scan_limits *limits,
		    int error, const char *why)
{
	struct errmsg err;

	assert_int_equal(check(schema, limits, &err), error);
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not name \"%s\"", err.text, why);
	message->size = 0;
}

static void accepted(const ProtobufCMessageDescriptor *schema, const struct scan_limits *limits)
{
	struct errmsg err;

	if (check(schema, limits, &err) != 0)
		fail_msg("refused: %s", err.text);
	message->size = 0;
}

static void test_wire_types(void **state)
{
	accepted(EVENT, &scan_limits_event); /* empty */
	bytes_varint(message, 1, 100);
	accepted(EVENT, &scan_limits_event);
	bytes_text(message, 1, "x");
	refused(EVENT, &scan_limits_event, -EBADMSG, "Event.kind: wire type");
	bytes_varint(message, 3, 5);
	refused(EVENT, &scan_limits_event, -EBADMSG, "Event.time_unix_ns: wire type");
	bytes_varint(message, 9, 5);
	refused(EVENT, &scan_limits_event, -EBADMSG, "Event.subject: wire type");
	/* protobuf-c does not check the wire type of a bool. */
	bytes_text(message, 14, "x");
	refused(EVENT, &scan_limits_event, -EBADMSG, "Event.replayed: wire type");
	bytes_raw(message, "\x0b", 1);
	refused(EVENT, &scan_limits_event, -EBADMSG, "Event: not protobuf");
}

static void test_duplicates(void **state)
{
	bytes_varint(message, 1, 100);
	bytes_varint(message, 1, 101);
	refused(EVENT, &scan_limits_event, -EBADMSG, "Event.kind: comes twice");
	bytes_text(message, 9, "");
	bytes_varint(message, 1, 100);
	bytes_text(message, 9, "");
	refused(EVENT, &scan_limits_event, -EBADMSG, "Event.subject: comes twice");
	bytes_text(message, 20, "");
	bytes_text(message, 21, "");
	refused(EVENT, &scan_limits_event, -EBADMSG, "Event.key_notification: second member");
	bytes_text(message, 21, "");
	bytes_text(message, 20, "");
	refused(EVENT, &scan_limits_event, -EBADMSG, "Event.block_error: second member");
	/* Unknown ones may be repeated fields of a newer peer. */
	bytes_varint(message, 900, 1);
	bytes_varint(message, 900, 2);
	accepted(EVENT, &scan_limits_event);
}

struct text {
	const char *bytes;
	size_t size;
	bool good;
};

static void test_text(void **state)
{
	static const struct text texts[] = {
		{ "", 0, true },
		{ "plain ascii of more than eight", 30, true },
		{ "gr\xc3\xbc\xc3\x9f", 6, true },
		{ "\xe2\x82\xac", 3, true },
		{ "\xf0\x9f\x94\x94", 4, true },
		{ "\xed\x9f\xbf\xee\x80\x80", 6, true },
		{ "\xf4\x8f\xbf\xbf", 4, true },
		{ "\x1b[31m<script>'; DROP", 20, true }, /* data; escaped where it is shown */
		{ "a\0b", 3, false },
		{ "12345678\0", 9, false },
		{ "1234\0"
		  "678",
		  8, false },
		{ "\x80", 1, false },
		{ "\xc0\xaf", 2, false },
		{ "\xc1\xbf", 2, false },
		{ "\xe0\x9f\xbf", 3, false },
		{ "\xed\xa0\x80", 3, false },
		{ "\xf0\x8f\xbf\xbf", 4, false },
		{ "\xf4\x90\x80\x80", 4, false },
		{ "\xf5\x80\x80\x80", 4, false },
		{ "\xc3", 1, false },
		{ "\xe2\x82", 2, false },
		{ "\xe2\x82g", 3, false },
		{ "\xff", 1, false },
	};

	for (size_t n = 0; n < sizeof(texts) / sizeof(texts[0]); n++) {
		char *copy = malloc(texts[n].size + (texts[n].size == 0)); /* exact, for ASan */

		assert_non_null(copy);
		memcpy(copy, texts[n].bytes, texts[n].size);
		if (scan_is_text(copy, texts[n].size) != texts[n].good)
			fail_msg("text %zu", n);
		free(copy);
		bytes_bytes(message, 11, texts[n].bytes, texts[n].size);
		if (texts[n].good)
			accepted(EVENT, &scan_limits_event);
		else
			refused(EVENT, &scan_limits_event, -EBADMSG, "Event.fault_id: not UTF-8");
	}
}

static void test_text_every_place(void **state)
{
	/* Long text with one bad byte at every place: the fast way over eight bytes finds each. */
	char text[40];

	for (size_t bad = 0; bad < sizeof(text); bad++) {
		memset(text, 'a', sizeof(text));
		assert_true(scan_is_text(text, sizeof(text)));
		text[bad] = '\0';
		assert_false(scan_is_text(text, sizeof(text)));
		text[bad] = '\xbf';
		assert_false(scan_is_text(text, sizeof(text)));
		text[bad] = '\x7f';
		assert_true(scan_is_text(text, sizeof(text)));
	}
}

static void test_elements(void **state)
{
	struct bytes inner = { malloc(4096), 0, 4096 };

	for (int n = 0; n < 32; n++)
		bytes_text(message, 12, "");
	accepted(EVENT, &scan_limits_event);
	for (int n = 0; n < 33; n++)
		bytes_text(message, 12, "");
	refused(EVENT, &scan_limits_event, -EMSGSIZE, "Event.extra: more than 32 elements");
	/* Not consecutive, and in a sub-message. */
	for (int n = 0; n < 17; n++) {
		bytes_text(&inner, 12, "dm-0");
		bytes_text(&inner, 15, "sda");
	}
	bytes_bytes(message, 9, inner.data, inner.size);
	refused(EVENT, &scan_limits_event, -EMSGSIZE, "Subject.holders: more than 16 elements");
	free(inner.data);
}

/* FcFpin.port_names, repeated fixed64: packed, not packed, and both. */
static void put_fpin(unsigned packed, unsigned single)
{
	uint8_t data[1024] = { 0 };
	struct bytes inner = { malloc(4096), 0, 4096 };

	if (packed)
		bytes_bytes(&inner, 11, data, (size_t)packed * 8);
	for (unsigned n = 0; n < single; n++) {
		bytes_tag(&inner, 11, WIRE_FIXED64);
		bytes_raw(&inner, data, 8);
	}
	bytes_bytes(message, 32, inner.data, inner.size);
	free(inner.data);
}

static void test_packed(void **state)
{
	Pathbell__V1__Event *event;

	put_fpin(64, 0);
	accepted(EVENT, &scan_limits_event);
	put_fpin(0, 64);
	accepted(EVENT, &scan_limits_event);
	put_fpin(65, 0);
	refused(EVENT, &scan_limits_event, -EMSGSIZE, "FcFpin.port_names: more than 64");
	put_fpin(33, 32);
	refused(EVENT, &scan_limits_event, -EMSGSIZE, "FcFpin.port_names: more than 64");
	put_fpin(33, 31);
	event = codec_unpack(EVENT, &scan_limits_event, NULL, message->data, message->size, NULL);
	assert_non_null(event);
	assert_int_equal(event->fc_fpin->n_port_names, 64);
	protobuf_c_message_free_unpacked(&event->base, NULL);
	message->size = 0;
	bytes_raw(message,
		  "\x82\x02\x05\x5a\x03"
		  "abc",
		  8);
	refused(EVENT, &scan_limits_event, -EBADMSG, "FcFpin.port_names: packed size");
}

static void test_limits_are_exact(void **state)
{
	struct scan_limits limits = scan_limits_event;
	struct scan_measure measure;

	bytes_varint(message, 1, 100);
	bytes_varint(message, 2, 17);
	bytes_text(message, 9,
		   "\x12\x03"
		   "abc");
	assert_int_equal(scan_measure(EVENT, &limits, message->data, message->size, &measure, NULL),
			 0);
	assert_int_equal(measure.fields, 4);
	assert_int_equal(measure.depth, 2);

	limits.max_size = message->size;
	limits.max_fields = measure.fields;
	limits.max_depth = measure.depth;
	limits.max_allocation = measure.allocation;
	assert_int_equal(scan_measure(EVENT, &limits, message->data, message->size, &measure, NULL),
			 0);
	limits.max_size--;
	assert_int_equal(scan_check(EVENT, &limits, message->data, message->size, NULL), -EMSGSIZE);
	limits.max_size++;
	limits.max_fields--;
	assert_int_equal(scan_check(EVENT, &limits, message->data, message->size, NULL), -EMSGSIZE);
	limits.max_fields++;
	limits.max_depth--;
	assert_int_equal(scan_check(EVENT, &limits, message->data, message->size, NULL), -EMSGSIZE);
	limits.max_depth++;
	limits.max_allocation--;
	refused(EVENT, &limits, -EMSGSIZE, "would allocate more than");
}

/* Bytes in use of the process's heap. */
static size_t heap(void)
{
#ifdef __SANITIZE_ADDRESS__
	return __sanitizer_get_current_allocated_bytes();
#else
	return mallinfo2().uordblks;
#endif
}

/* D4 P2: what would become hundreds of MB is refused after at most one look at each byte. */
static void attack(const ProtobufCMessageDescriptor *schema, const char *why)
{
	const struct scan_limits *classes[] = { &scan_limits_stream, &scan_limits_request,
						&scan_limits_response };
	size_t before = heap();
	struct errmsg err;

	for (size_t n = 0; n < sizeof(classes) / sizeof(classes[0]); n++) {
		struct scan_limits limits = *classes[n];

		limits.max_size = MAX; /* as if the transport had no limit */
		assert_true(check(schema, &limits, &err) < 0);
		assert_true(codec_unpack(schema, &limits, NULL, message->data, message->size,
					 NULL) == NULL);
	}
	if (!strstr(err.text, why))
		fail_msg("\"%s\" does not name \"%s\"", err.text, why);
	assert_true(heap() <= before + 4096);
	message->size = 0;
}

static void test_attack_empty_messages(void **state)
{
	while (message->size < (size_t)4 << 20)
		bytes_text(message, 1, "");
	attack(&pathbell__v1__list_hosts_response__descriptor, "more than 1000 elements");
	while (message->size < (size_t)4 << 20)
		bytes_text(message, 12, "");
	attack(EVENT, "Event.extra: more than 32");
}

static void test_attack_tiny_fields(void **state)
{
	while (message->size < (size_t)4 << 20)
		bytes_raw(message, "\xf8\x07\x00", 3); /* unknown field 127 */
	attack(EVENT, "more than");
	while (message->size < (size_t)4 << 20)
		bytes_text(message, 8, ""); /* events of a batch */
	attack(&pathbell__v1__batch__descriptor, "more than 8192 elements");
}

static void test_attack_depth(void **state)
{
	/* Unknown fields are not descended into; known ones end at the schema's own depth. */
	struct bytes outer = { malloc(MAX), 0, MAX };

	assert_non_null(outer.data);
	for (int n = 0; n < 20000; n++) {
		outer.size = 0;
		bytes_bytes(&outer, 17, message->data,
			    message->size < 70000 ? message->size : 70000);
		message->size = 0;
		bytes_raw(message, outer.data, outer.size);
	}
	free(outer.data);
	{
		struct errmsg err;

		assert_true(check(&pathbell__v1__multipath_event__descriptor, &scan_limits_response,
				  &err) < 0);
	}
}

static void test_attack_declared_size(void **state)
{
	bytes_raw(message, "\x6a\xff\xff\xff\x7f", 5); /* raw, 256 MiB declared, nothing there */
	refused(EVENT, &scan_limits_event, -EBADMSG, "not protobuf");
	bytes_raw(message, "\x6a\xff\xff\xff\xff\x07", 6); /* 2 GiB */
	refused(EVENT, &scan_limits_event, -EBADMSG, "not protobuf");
	/* A packed count of 2^32 elements can't be declared: the elements must be there. */
	bytes_raw(message, "\x82\x02\x08\x5a\xff\xff\xff\xff\x0f", 9);
	refused(EVENT, &scan_limits_event, -EBADMSG, "not protobuf");
}

/* Unpacks into an arena of exactly the estimate. */
static void fits_estimate(const ProtobufCMessageDescriptor *schema,
			  const struct scan_limits *limits)
{
	struct scan_measure measure;
	struct errmsg err = { 0 };
	struct arena *arena;

	if (scan_measure(schema, limits, message->data, message->size, &measure, &err) < 0)
		fail_msg("refused: %s", err.text);
	assert_int_equal(arena_new(&arena, measure.allocation), 0);
	assert_non_null(codec_unpack(schema, limits, arena, message->data, message->size, NULL));
	/* The estimate is not only an upper bound: it is close. */
	assert_true(measure.allocation - arena_used(arena) <= 16 + measure.allocation / 8);
	arena_free(arena);
	message->size = 0;
}

/* The largest honest messages fit their limits. */
static void test_full_batch(void **state)
{
	struct bytes batch = { malloc(MAX), 0, MAX };
	uint8_t event[100] = { 0 };

	for (int n = 0; n < 8192; n++)
		bytes_bytes(&batch, 8, event, sizeof(event));
	bytes_bytes(message, 2, batch.data, batch.size);
	fits_estimate(&pathbell__v1__events_up__descriptor, &scan_limits_stream);
	free(batch.data);
}

static void test_many_hosts(void **state)
{
	struct bytes host = { malloc(65536), 0, 65536 };

	bytes_text(&host, 1, "01234567-89ab-cdef-0123-456789abcdef");
	for (unsigned n = 2; n <= 4; n++)
		bytes_text(&host, n, "a name of quite some length, for a host in a big fleet");
	for (int n = 0; n < 1000; n++)
		bytes_bytes(message, 1, host.data, host.size);
	fits_estimate(&pathbell__v1__list_hosts_response__descriptor, &scan_limits_response);
	for (int n = 0; n < 1700; n++)
		bytes_text(message, 3, "01234567-89ab-cdef-0123-456789abcdef");
	fits_estimate(&pathbell__v1__command__descriptor, &scan_limits_request);
	free(host.data);
}

static void test_multipath_snapshot(void **state)
{
	struct bytes path = { malloc(256), 0, 256 };
	struct bytes group = { malloc(65536), 0, 65536 };
	struct bytes event = { malloc(65536), 0, 65536 };

	bytes_text(&path, 1, "sdaaa");
	bytes_varint(&path, 2, 134);
	bytes_varint(&path, 3, 1000);
	bytes_varint(&path, 4, 1);
	bytes_varint(&path, 5, 3);
	bytes_text(&path, 6, "naa.600508b400105e210000900000490000");
	for (int n = 0; n < 128; n++)
		bytes_bytes(&group, 4, path.data, path.size);
	for (int n = 0; n < 7; n++)
		bytes_bytes(&event, 17, group.data, group.size);
	bytes_bytes(message, 28, event.data, event.size);
	fits_estimate(EVENT, &scan_limits_event);
	free(path.data);
	free(group.data);
	free(event.data);
}

/* Unknown fields of every wire type count towards the estimate and survive repacking. */
static void test_unknown_fields(void **state)
{
	for (unsigned n = 0; n < 100; n++) {
		bytes_varint(message, 1000 + n, UINT64_MAX);
		bytes_text(message, 2000 + n, "unknown text");
		bytes_tag(message, 3000 + n, WIRE_FIXED32);
		bytes_raw(message, "abcd", 4);
		bytes_tag(message, 4000 + n, WIRE_FIXED64);
		bytes_raw(message, "abcdefgh", 8);
	}
	fits_estimate(EVENT, &scan_limits_event);
}

/* D4 P1: every truncation and every flipped bit of an honest message; the sanitizers watch. */
static void test_truncated_and_flipped(void **state)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__BlockError error = PATHBELL__V1__BLOCK_ERROR__INIT;
	char *holders[] = { (char *)"dm-0", (char *)"dm-1" };
	uint8_t packed[512];
	size_t size;

	event.kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_BLOCK_ERROR;
	event.time_unix_ns = 1;
	event.subject = &subject;
	event.block_error = &error;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_BLOCK_ERROR;
	subject.id = (char *)"wwid:naa.600508b400105e21";
	subject.holders = holders;
	subject.n_holders = 2;
	error.error_number = -61;
	error.sector = UINT64_MAX;
	assert_int_equal(codec_pack(&event.base, packed, sizeof(packed), &size), 0);
	for (size_t bit = 0; bit <= size * 8; bit++) {
		uint8_t *copy = malloc(size);
		Pathbell__V1__Event *back;

		assert_non_null(copy);
		memcpy(copy, packed, size);
		if (bit < size * 8)
			copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
		for (size_t n = bit < size * 8 ? size : 0; n <= size; n++) {
			uint8_t *exact = malloc(n ? n : 1);

			memcpy(exact, copy, n);
			back = codec_unpack(EVENT, &scan_limits_event, NULL, exact, n, NULL);
			if (back)
				protobuf_c_message_free_unpacked(&back->base, NULL);
			free(exact);
		}
		free(copy);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_wire_types),
		TEST(test_duplicates),
		TEST(test_text),
		TEST(test_text_every_place),
		TEST(test_elements),
		TEST(test_packed),
		TEST(test_limits_are_exact),
		TEST(test_attack_empty_messages),
		TEST(test_attack_tiny_fields),
		TEST(test_attack_depth),
		TEST(test_attack_declared_size),
		TEST(test_full_batch),
		TEST(test_many_hosts),
		TEST(test_multipath_snapshot),
		TEST(test_unknown_fields),
		TEST(test_truncated_and_flipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
