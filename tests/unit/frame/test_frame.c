/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "forwarders/frame/frame.h"
#include "frame_samples.h"

static uint8_t packet[FRAME_MAX + 64];

static int encode_sample(enum frame_type type)
{
	struct frame frame;
	int n;

	frame_sample(type, &frame);
	n = frame_encode(&frame, false, packet, sizeof(packet));
	assert_true(n >= 8);
	return n;
}

/* Decodes a copy of exactly @size bytes on the heap, so that ASan sees any read behind it. */
static int decode_copy(const uint8_t *data, size_t size, struct frame *ret_frame,
		       uint8_t **ret_copy)
{
	*ret_copy = malloc(size ? size : 1);
	assert_non_null(*ret_copy);
	memcpy(*ret_copy, data, size);
	return frame_decode(*ret_copy, size, ret_frame);
}

static void test_every_type_makes_the_round_trip(void **state)
{
	(void)state;
	for (int type = 1; type <= FRAME_SAMPLES; type++) {
		uint8_t again[FRAME_MAX], *copy;
		struct frame frame;
		int n = encode_sample((enum frame_type)type);

		assert_int_equal(decode_copy(packet, (size_t)n, &frame, &copy), 0);
		assert_int_equal(frame.type, type);
		assert_int_equal(frame_encode(&frame, false, again, sizeof(again)), n);
		assert_memory_equal(packet, again, n);
		assert_string_not_equal(frame_type_name(frame.type), "unknown");
		free(copy);
	}
}

static void test_fields_arrive(void **state)
{
	struct frame frame;
	uint8_t *copy;
	int n = encode_sample(FRAME_CONFIG);

	(void)state;
	assert_int_equal(decode_copy(packet, (size_t)n, &frame, &copy), 0);
	assert_int_equal(frame.config.n_addresses, 2);
	assert_memory_equal(frame.config.addresses[1].text, "[::1]:7443", 10);
	assert_int_equal(frame.config.addresses[1].len, 10);
	assert_true(frame.config.backoff_cap_ns == UINT64_MAX);
	assert_int_equal(frame.config.http_proxy.len, 0);
	assert_int_equal(frame.config.log_level, 6);
	free(copy);

	n = encode_sample(FRAME_SESSION);
	assert_int_equal(decode_copy(packet, (size_t)n, &frame, &copy), 0);
	assert_int_equal(frame.session.state, FRAME_SESSION_UP);
	assert_int_equal(frame.session.resume[63].seq, 63000);
	assert_int_equal(frame.session.resume[63].epoch[1], 64);
	assert_memory_equal(frame.session.cause.text, "refused", 7);
	free(copy);

	n = encode_sample(FRAME_BATCH);
	assert_int_equal(decode_copy(packet, (size_t)n, &frame, &copy), 0);
	assert_int_equal(frame.batch.first_seq, 100);
	assert_int_equal(frame.batch.count, 3);
	assert_true(frame.batch.crc32c == 0xdeadbeef);
	assert_int_equal(frame.batch.events_size, 10);
	free(copy);
}

/* The example of docs/formats/frame.md: if this changes, every forwarder ever written breaks. */
static void test_bytes_are_as_documented(void **state)
{
	static const uint8_t ack[] = { 8, 0, 1, 0, 25, 0, 0, 0,	  3, 0, 0, 0, 0, 0, 0, 0, 0,
				       0, 0, 0, 0, 0,  0, 0, 102, 0, 0, 0, 0, 0, 0, 0, 2 };
	static const uint8_t hello[] = { 1,   0,   1,	0,   23,  0,   0,   0,	 1,   0,   0,
					 0,   146, 16,	0,   0,	  13,  0,   'p', 'a', 't', 'h',
					 'b', 'e', 'l', 'l', '-', 'n', 'u', 'l', 'l' };

	(void)state;
	assert_int_equal(encode_sample(FRAME_ACK), sizeof(ack));
	assert_memory_equal(packet, ack, sizeof(ack));
	assert_int_equal(encode_sample(FRAME_HELLO), sizeof(hello));
	assert_memory_equal(packet, hello, sizeof(hello));
}

static void test_truncated_at_every_byte(void **state)
{
	(void)state;
	for (int type = 1; type <= FRAME_SAMPLES; type++) {
		int n = encode_sample((enum frame_type)type);

		for (int cut = 0; cut < n; cut++) {
			struct frame frame;
			uint8_t *copy;

			assert_int_equal(decode_copy(packet, (size_t)cut, &frame, &copy), -EBADMSG);
			free(copy);
		}
	}
}

/* The same cuts with a header that agrees: the fields themselves must notice. */
static void test_short_body_with_a_true_length(void **state)
{
	(void)state;
	for (int type = 1; type <= FRAME_SAMPLES; type++) {
		int n = encode_sample((enum frame_type)type);
		bool has_body = type == FRAME_BATCH || type == FRAME_COMMAND;

		for (int cut = 8; cut < n; cut++) {
			struct frame frame;
			uint8_t *copy;
			int r;

			packet[4] = (uint8_t)(cut - 8);
			packet[5] = (uint8_t)((cut - 8) >> 8);
			r = decode_copy(packet, (size_t)cut, &frame, &copy);
			assert_true(r == -EBADMSG || (has_body && r == 0));
			free(copy);
		}
	}
}

static void test_trailing_bytes_are_refused(void **state)
{
	(void)state;
	for (int type = 1; type <= FRAME_SAMPLES; type++) {
		int n = encode_sample((enum frame_type)type);
		struct frame frame;
		uint8_t *copy;

		packet[n] = 0;
		assert_int_equal(decode_copy(packet, (size_t)n + 1, &frame, &copy), -EBADMSG);
		free(copy);
		if (type == FRAME_BATCH || type == FRAME_COMMAND)
			continue;
		packet[4] = (uint8_t)(n + 1 - 8);
		packet[5] = (uint8_t)((n + 1 - 8) >> 8);
		assert_int_equal(decode_copy(packet, (size_t)n + 1, &frame, &copy), -EBADMSG);
		free(copy);
	}
}

/* A flipped bit is refused, or it makes another frame that means exactly its bytes. */
static void test_every_bit_flipped(void **state)
{
	(void)state;
	for (int type = 1; type <= FRAME_SAMPLES; type++) {
		int n = encode_sample((enum frame_type)type);

		for (int bit = 0; bit < n * 8; bit++) {
			uint8_t again[FRAME_MAX], *copy;
			struct frame frame;

			packet[bit / 8] ^= (uint8_t)(1 << (bit % 8));
			if (decode_copy(packet, (size_t)n, &frame, &copy) == 0) {
				assert_int_equal(frame_encode(&frame, false, again, sizeof(again)),
						 n);
				assert_memory_equal(packet, again, n);
			}
			free(copy);
			packet[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		}
	}
}

static void assert_refused(const struct frame *frame)
{
	assert_int_equal(frame_encode(frame, false, packet, sizeof(packet)), -EINVAL);
	assert_int_equal(frame_encode(frame, true, packet, sizeof(packet)), -EINVAL);
}

static void test_encode_refuses_what_decode_would(void **state)
{
	struct frame frame;

	(void)state;
	frame_sample(FRAME_CONFIG, &frame);
	frame.config.n_addresses = FRAME_MAX_ADDRESSES + 1;
	assert_refused(&frame);
	frame_sample(FRAME_CONFIG, &frame);
	frame.config.log_level = 8;
	assert_refused(&frame);
	frame_sample(FRAME_CONFIG, &frame);
	frame.config.host_id.len = 1025;
	assert_refused(&frame);
	frame_sample(FRAME_CONFIG, &frame);
	frame.config.host_id.text = NULL;
	assert_refused(&frame);
	frame_sample(FRAME_COMMAND, &frame);
	frame.command.envelope = NULL;
	assert_refused(&frame);
	frame_sample(FRAME_EPOCHS, &frame);
	frame.epochs.n_epochs = (size_t)65536 + 1; /* would fit its 16 bits if they were cut */
	assert_refused(&frame);
	frame_sample(FRAME_SESSION, &frame);
	frame.session.state = (enum frame_session)256;
	assert_refused(&frame);
	frame_sample(FRAME_BATCH, &frame);
	frame.batch.count = 0;
	assert_refused(&frame);
	frame_sample(FRAME_BATCH, &frame);
	frame.batch.count = 6;
	assert_refused(&frame);
	frame_sample(FRAME_BATCH, &frame);
	frame.batch.first_seq = UINT64_MAX - 1;
	assert_refused(&frame);
	frame_sample(FRAME_GONE, &frame);
	frame.gone.first_seq = 10;
	assert_refused(&frame);
	frame_sample(FRAME_ACK, &frame);
	frame.ack.level = 4;
	assert_refused(&frame);
	frame.ack.level = 0;
	assert_refused(&frame);
	frame_sample(FRAME_COMMAND, &frame);
	frame.command.envelope_size = 0;
	assert_refused(&frame);
	frame.type = (enum frame_type)99;
	assert_refused(&frame);
}

static void test_limits_of_size(void **state)
{
	static uint8_t events[FRAME_MAX];
	struct frame frame, back;

	(void)state;
	frame_sample(FRAME_BATCH, &frame);
	frame.batch.events = events;
	frame.batch.events_size = FRAME_MAX - 40;
	assert_int_equal(frame_encode(&frame, false, packet, sizeof(packet)), FRAME_MAX);
	assert_int_equal(frame_decode(packet, FRAME_MAX, &back), 0);
	assert_int_equal(back.batch.events_size, FRAME_MAX - 40);
	frame.batch.events_size++;
	assert_int_equal(frame_encode(&frame, false, packet, sizeof(packet)), -ENOBUFS);
	assert_int_equal(frame_encode(&frame, true, packet, sizeof(packet)), -EINVAL);
	assert_int_equal(frame_decode(packet, FRAME_MAX + 1, &back), -EBADMSG);
	for (int type = 1; type <= FRAME_SAMPLES; type++) {
		int n = encode_sample((enum frame_type)type);

		frame_sample((enum frame_type)type, &frame);
		for (int size = 0; size < n; size++)
			assert_int_equal(frame_encode(&frame, false, packet, (size_t)size),
					 -ENOBUFS);
	}
}

static void test_gather_leaves_the_body_out(void **state)
{
	struct frame frame, back;

	(void)state;
	frame_sample(FRAME_BATCH, &frame);
	assert_int_equal(frame_encode(&frame, true, packet, sizeof(packet)), 40);
	assert_int_equal(packet[4], 32 + 10);
	memcpy(packet + 40, frame.batch.events, frame.batch.events_size);
	assert_int_equal(frame_decode(packet, 50, &back), 0);
	frame_sample(FRAME_COMMAND, &frame);
	assert_int_equal(frame_encode(&frame, true, packet, sizeof(packet)), 8);
}

static void test_header_is_checked(void **state)
{
	struct frame frame, untouched;
	int n = encode_sample(FRAME_CREDIT);

	(void)state;
	memset(&frame, 0x5a, sizeof(frame));
	untouched = frame;
	packet[2] = 2; /* version */
	assert_int_equal(frame_decode(packet, (size_t)n, &frame), -EBADMSG);
	packet[2] = 1;
	packet[3] = 1; /* flags */
	assert_int_equal(frame_decode(packet, (size_t)n, &frame), -EBADMSG);
	packet[3] = 0;
	packet[1] = 1; /* type 0x0109 */
	assert_int_equal(frame_decode(packet, (size_t)n, &frame), -EBADMSG);
	packet[0] = 0;
	packet[1] = 0;
	assert_int_equal(frame_decode(packet, (size_t)n, &frame), -EBADMSG);
	assert_memory_equal(&frame, &untouched, sizeof(frame));
	assert_string_equal(frame_type_name((enum frame_type)0), "unknown");
	assert_string_equal(frame_type_name((enum frame_type)99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_type_makes_the_round_trip),
		cmocka_unit_test(test_fields_arrive),
		cmocka_unit_test(test_bytes_are_as_documented),
		cmocka_unit_test(test_truncated_at_every_byte),
		cmocka_unit_test(test_short_body_with_a_true_length),
		cmocka_unit_test(test_trailing_bytes_are_refused),
		cmocka_unit_test(test_every_bit_flipped),
		cmocka_unit_test(test_encode_refuses_what_decode_would),
		cmocka_unit_test(test_limits_of_size),
		cmocka_unit_test(test_gather_leaves_the_body_out),
		cmocka_unit_test(test_header_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
