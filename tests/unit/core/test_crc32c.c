/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "core/crc32c.h"

/* RFC 3720 B.4; the RFC prints the bytes in wire order, least significant first. */
static void test_vectors_of_the_rfc(void **state)
{
	static const uint8_t read_pdu[48] = { 0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
					      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
					      0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00,
					      0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
					      0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
					      0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 };
	uint8_t zeros[32] = { 0 }, ones[32], up[32], down[32];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	for (uint8_t i = 0; i < 32; i++) {
		up[i] = i;
		down[i] = (uint8_t)(31 - i);
	}
	assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(crc32c(0, ones, 32), 0x62a8ab43);
	assert_int_equal(crc32c(0, up, 32), 0x46dd794e);
	assert_int_equal(crc32c(0, down, 32), 0x113fdb5c);
	assert_int_equal(crc32c(0, read_pdu, 48), 0xd9963a56);
	assert_int_equal(crc32c_portable(0, zeros, 32), 0x8a9136aa);
	assert_int_equal(crc32c_portable(0, ones, 32), 0x62a8ab43);
	assert_int_equal(crc32c_portable(0, up, 32), 0x46dd794e);
	assert_int_equal(crc32c_portable(0, down, 32), 0x113fdb5c);
	assert_int_equal(crc32c_portable(0, read_pdu, 48), 0xd9963a56);
	assert_int_equal(crc32c(0, "", 0), 0);
}

static void test_every_length_and_alignment_and_cut(void **state)
{
	uint8_t data[80];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37 + 11);
	for (size_t start = 0; start < 8; start++) {
		for (size_t size = 0; size <= 64; size++) {
			uint32_t whole = crc32c(0, data + start, size);

			assert_int_equal(whole, crc32c_portable(0, data + start, size));
			for (size_t cut = 0; cut <= size; cut++)
				assert_int_equal(crc32c(crc32c(0, data + start, cut),
							data + start + cut, size - cut),
						 whole);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors_of_the_rfc),
		cmocka_unit_test(test_every_length_and_alignment_and_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
