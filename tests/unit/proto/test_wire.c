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
#include "proto/wire.h"

/* Reads one field from an exact heap copy, so that ASan sees a read past the end. */
static int next(const void *data, size_t size, struct wire_field *ret_field)
{
	uint8_t *copy = malloc(size ? size : 1);
	struct wire_reader reader;
	int r;

	assert_non_null(copy);
	memcpy(copy, data, size);
	wire_reader_init(&reader, copy, size);
	r = wire_next(&reader, ret_field);
	if (r == 0 && ret_field->data)
		assert_true(ret_field->data + ret_field->size <= copy + size);
	free(copy);
	return r;
}

static void test_varint_round_trip(void **state)
{
	uint8_t out[16];
	struct wire_field field;
	uint8_t *end;

	for (unsigned bit = 0; bit < 64; bit++) {
		for (int delta = -1; delta <= 1; delta++) {
			uint64_t value = (UINT64_C(1) << bit) + (uint64_t)delta;

			end = wire_put_varint(wire_put_tag(out, 1, WIRE_VARINT), value);
			assert_int_equal(end - out - 1, wire_varint_size(value));
			assert_int_equal(next(out, (size_t)(end - out), &field), 0);
			assert_true(field.value == value);
			/* Every truncation is refused. */
			for (size_t n = 1; n < (size_t)(end - out); n++)
				assert_int_equal(next(out, n, &field), -EBADMSG);
		}
	}
}

static void test_fixed_and_bytes(void **state)
{
	uint8_t out[32];
	struct wire_field field;
	uint8_t *end;

	end = wire_put_fixed32(wire_put_tag(out, 4, WIRE_FIXED32), 0x89abcdef);
	assert_int_equal(next(out, (size_t)(end - out), &field), 0);
	assert_int_equal(field.number, 4);
	assert_true(field.value == 0x89abcdef);
	assert_int_equal(next(out, (size_t)(end - out) - 1, &field), -EBADMSG);

	end = wire_put_fixed64(wire_put_tag(out, 536870911, WIRE_FIXED64), 0x0123456789abcdef);
	assert_int_equal(next(out, (size_t)(end - out), &field), 0);
	assert_int_equal(field.number, 536870911);
	assert_true(field.value == 0x0123456789abcdef);
	assert_int_equal(next(out, (size_t)(end - out) - 1, &field), -EBADMSG);

	assert_int_equal(next("\x12\x03"
			      "abc",
			      5, &field),
			 0);
	assert_int_equal(field.type, WIRE_BYTES);
	assert_int_equal(field.size, 3);
	assert_int_equal(next("\x12\x03"
			      "ab",
			      4, &field),
			 -EBADMSG);
	assert_int_equal(next("\x12\x00", 2, &field), 0);
	assert_int_equal(field.size, 0);
	assert_int_equal(next("", 0, &field), WIRE_E_END);
}

struct bad {
	const char *what, *data;
	size_t size;
};

static void test_refused(void **state)
{
	static const struct bad bads[] = {
		{ "field number 0", "\x00\x01", 2 },
		{ "field number 2^29", "\x80\x80\x80\x80\x10\x01", 6 },
		{ "start group", "\x0b", 1 },
		{ "end group", "\x0c", 1 },
		{ "wire type 6", "\x0e\x01", 2 },
		{ "wire type 7", "\x0f\x01", 2 },
		{ "varint of eleven bytes", "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
		  12 },
		{ "varint of 65 bits", "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11 },
		{ "tag of six bytes", "\x88\x80\x80\x80\x80\x00\x01", 7 },
		{ "length of six bytes",
		  "\x12\x81\x80\x80\x80\x80\x00"
		  "a",
		  8 },
		{ "length 2^32-1",
		  "\x12\xff\xff\xff\xff\x0f"
		  "a",
		  7 },
		{ "length 2^35-1",
		  "\x12\xff\xff\xff\xff\x7f"
		  "a",
		  7 },
		{ "no value", "\x08", 1 },
		{ "no length", "\x12", 1 },
	};
	struct wire_field field;

	for (size_t n = 0; n < sizeof(bads) / sizeof(bads[0]); n++)
		if (next(bads[n].data, bads[n].size, &field) != -EBADMSG)
			fail_msg("accepted: %s", bads[n].what);
	/* A longer spelling of a small value is protobuf, up to the width of the type. */
	assert_int_equal(next("\x08\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, &field), 0);
	assert_true(field.value == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_varint_round_trip),
		cmocka_unit_test(test_fixed_and_bytes),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
