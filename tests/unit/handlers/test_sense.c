/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "handlers/sense.h"

/* As scsi_debug builds it for medium_error_start=2048: mk_sense_buffer and
 * sdebug's INFORMATION field, Linux 6.12. */
static const uint8_t fixed[18] = { 0xf0, 0, 0x03, 0, 0, 0x08, 0, 0x0a, 0, 0, 0, 0, 0x11, 0, 0x5a };
static const uint8_t descriptors[24] = {
	0x72, 0x03, 0x11, 0x01, 0, 0, 0, 16,   0, 0x0a, 0x80, 0,
	0,    0,    0,	  0x01, 0, 0, 8, 0x10, 3, 2,	0,    0x77
};

static void reads_the_fixed_format(void **state)
{
	struct sense sense;

	assert_int_equal(sense_parse(fixed, sizeof(fixed), &sense), 0);
	assert_int_equal(sense.response_code, 0x70);
	assert_int_equal(sense.key, SENSE_MEDIUM_ERROR);
	assert_int_equal(sense.asc, 0x11);
	assert_int_equal(sense.ascq, 0);
	assert_int_equal(sense.fru, 0x5a);
	assert_true(sense.has_information);
	assert_int_equal(sense.information, 2048);
	assert_false(sense.deferred);
	assert_string_equal(sense_key_name(sense.key), "medium error");
}

static void reads_the_descriptor_format(void **state)
{
	struct sense sense;

	assert_int_equal(sense_parse(descriptors, sizeof(descriptors), &sense), 0);
	assert_int_equal(sense.key, SENSE_MEDIUM_ERROR);
	assert_int_equal(sense.asc, 0x11);
	assert_int_equal(sense.ascq, 0x01);
	assert_true(sense.has_information);
	assert_int_equal(sense.information, 0x100000810);
	assert_int_equal(sense.fru, 0x77);
}

static void tells_deferred_and_flags(void **state)
{
	uint8_t data[18];
	struct sense sense;

	memcpy(data, fixed, sizeof(data));
	data[0] = 0x71;
	data[2] = 0xe3;
	assert_int_equal(sense_parse(data, sizeof(data), &sense), 0);
	assert_true(sense.deferred);
	assert_true(sense.filemark && sense.end_of_medium && sense.incorrect_length);
	assert_int_equal(sense.key, 3);
	assert_false(sense.has_information); /* VALID is not set */
	data[0] = 0x73;
	assert_int_equal(sense_parse(data, sizeof(data), &sense), 0);
	assert_true(sense.deferred);
}

/* What the additional length does not count is not there. */
static void believes_the_additional_length(void **state)
{
	uint8_t data[18];
	struct sense sense;

	memcpy(data, fixed, sizeof(data));
	data[7] = 4;
	assert_int_equal(sense_parse(data, sizeof(data), &sense), 0);
	assert_int_equal(sense.asc, 0);
	data[7] = 5; /* byte 12 and no more */
	data[13] = 0xff;
	assert_int_equal(sense_parse(data, sizeof(data), &sense), 0);
	assert_int_equal(sense.asc, 0x11);
	assert_int_equal(sense.ascq, 0);
	data[7] = 255;
	assert_int_equal(sense_parse(data, sizeof(data), &sense), 0);
	assert_int_equal(sense.ascq, 0xff);
}

static void survives_every_cut(void **state)
{
	struct sense sense;

	for (size_t size = 0; size <= sizeof(fixed); size++)
		assert_int_equal(sense_parse(fixed, size, &sense), size < 3 ? -EBADMSG : 0);
	for (size_t size = 0; size <= sizeof(descriptors); size++) {
		assert_int_equal(sense_parse(descriptors, size, &sense), size < 2 ? -EBADMSG : 0);
		if (size >= 2)
			assert_int_equal(sense.has_information, size >= 20);
	}
}

static void refuses_other_response_codes(void **state)
{
	uint8_t data[18];
	struct sense sense;

	memcpy(data, fixed, sizeof(data));
	for (unsigned code = 0; code < 0x80; code++) {
		data[0] = (uint8_t)code;
		assert_int_equal(sense_parse(data, sizeof(data), &sense),
				 code < 0x70 ? -EBADMSG : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_fixed_format),
		cmocka_unit_test(reads_the_descriptor_format),
		cmocka_unit_test(tells_deferred_and_flags),
		cmocka_unit_test(believes_the_additional_length),
		cmocka_unit_test(survives_every_cut),
		cmocka_unit_test(refuses_other_response_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
