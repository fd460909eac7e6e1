/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/cxl/capi_event.h"

#define KIND(x) PATHBELL__V1__EVENT_KIND__EVENT_KIND_CAPI_AFU_##x

/* What read gave in a recorded session with process element 3. */
static const uint8_t irq_5[] = { 1, 0, 16, 0, 3, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0 };
static const uint8_t data_storage[] = { 2,    0,    40, 0, 3, 0, 0,    0,    0,	   0,
					0,    0,    0,	0, 0, 0, 0x78, 0x56, 0x34, 0x12,
					0xff, 0x7f, 0,	0, 0, 0, 0,    0x42, 0,	   0,
					0,    0,    0,	0, 0, 0, 0,    0,    0,	   0 };
static const uint8_t afu_error[] = { 3, 0, 24, 0, 3,	0,    0, 0, 0, 0, 0, 0,
				     0, 0, 0,  0, 0xad, 0xde, 0, 0, 0, 0, 0, 0 };
static const uint8_t driver[] = { 4, 0, 13, 0, 3, 0, 0, 0, 'h', 'e', 1, 'l', 'o' };
static const uint8_t driver_big[] = { 0, 4, 0, 13, 0, 3, 0, 0, 1, 2, 3, 4, 5 };
static const uint8_t error_big[] = { 0, 3, 0, 24, 0, 9, 0, 0, 0, 1, 0,	  0,
				     0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0xde, 0xad };

static void recorded_events(void **state)
{
	struct capi_event event;
	Pathbell__V1__CapiAfuEvent afu;

	assert_int_equal(capi_event_decode(irq_5, sizeof(irq_5), false, &event), 0);
	capi_event_describe(&event, &afu);
	assert_int_equal(capi_event_kind(&event), KIND(IRQ));
	assert_int_equal(afu.type, 1);
	assert_int_equal(afu.process_element, 3);
	assert_int_equal(afu.irq, 5);

	assert_int_equal(capi_event_decode(data_storage, sizeof(data_storage), false, &event), 0);
	capi_event_describe(&event, &afu);
	assert_int_equal(capi_event_kind(&event), KIND(DATA_STORAGE));
	assert_int_equal(afu.address, 0x7fff12345678);
	assert_int_equal(afu.dsisr, 0x42000000);

	assert_int_equal(capi_event_decode(afu_error, sizeof(afu_error), false, &event), 0);
	capi_event_describe(&event, &afu);
	assert_int_equal(capi_event_kind(&event), KIND(ERROR));
	assert_int_equal(afu.error, 0xdead);
}

/* No data_size in the stream: the payload begins right behind the header. */
static void driver_data_is_opaque(void **state)
{
	struct capi_event event;
	Pathbell__V1__CapiAfuEvent afu;
	struct capi_text text;

	assert_int_equal(capi_event_decode(driver, sizeof(driver), false, &event), 0);
	capi_event_describe(&event, &afu);
	assert_int_equal(capi_event_kind(&event), KIND(DRIVER));
	assert_int_equal(afu.driver_data.len, 5);
	assert_memory_equal(afu.driver_data.data, "he\1lo", 5);
	assert_true(capi_event_is_driver(driver, sizeof(driver), false));
	assert_false(capi_event_tell(&event, CAPI_DECODER_NONE, false, &text));
	assert_true(capi_event_tell(&event, CAPI_DECODER_TEXT, false, &text));
	assert_string_equal(text.key, "text");
	assert_string_equal(text.value, "he?lo");
	assert_true(capi_event_tell(&event, CAPI_DECODER_HEX_WORDS, false, &text));
	assert_string_equal(text.value, "6c016568 6f");
}

static void big_endian(void **state)
{
	struct capi_event event;
	struct capi_text text;

	assert_int_equal(capi_event_decode(driver_big, sizeof(driver_big), true, &event), 0);
	assert_int_equal(event.process_element, 3);
	assert_true(capi_event_tell(&event, CAPI_DECODER_HEX_WORDS, true, &text));
	assert_string_equal(text.value, "01020304 05");
	assert_int_equal(capi_event_decode(error_big, sizeof(error_big), true, &event), 0);
	assert_int_equal(event.error, 0xdead);
	assert_int_equal(event.flags, 1);
	/* The other byte order shows in the size. */
	assert_int_equal(capi_event_decode(error_big, sizeof(error_big), false, &event), -EBADMSG);
}

static void largest_driver_event(void **state)
{
	static uint8_t record[CAPI_READ_SIZE] = { 4, 0, 0x00, 0x10 };
	struct capi_event event;
	struct capi_text text;

	memset(record + 8, 'x', sizeof(record) - 8);
	assert_int_equal(capi_event_decode(record, sizeof(record), false, &event), 0);
	assert_int_equal(event.data_size, CAPI_DATA_MAX);
	assert_int_equal(event.data_size, 4088);
	assert_true(capi_event_tell(&event, CAPI_DECODER_TEXT, false, &text));
	assert_int_equal(strlen(text.value), CAPI_TEXT_SIZE - 1);
	assert_true(capi_event_tell(&event, CAPI_DECODER_HEX_WORDS, false, &text));
	assert_true(strlen(text.value) < CAPI_TEXT_SIZE);
}

/* Every length but the right one is refused, with copies of that exact size for the sanitizer. */
static void cut_records_are_refused(void **state)
{
	static const struct {
		const uint8_t *data;
		size_t size;
	} records[] = { { irq_5, sizeof(irq_5) },
			{ data_storage, sizeof(data_storage) },
			{ afu_error, sizeof(afu_error) } };
	struct capi_event event;

	for (size_t i = 0; i < 3; i++) {
		for (size_t size = 0; size < records[i].size; size++) {
			uint8_t *copy = malloc(size + 1);

			memcpy(copy, records[i].data, size);
			assert_int_equal(capi_event_decode(copy, size, false, &event), -EBADMSG);
			/* Also when the header agrees. */
			if (size >= 8) {
				copy[2] = (uint8_t)size;
				assert_int_equal(capi_event_decode(copy, size, false, &event),
						 -EBADMSG);
			}
			free(copy);
		}
	}
}

static void unknown_types_are_opaque(void **state)
{
	static const uint8_t record[] = { 9, 0, 10, 0, 1, 0, 0, 0, 7, 8 };
	struct capi_event event;

	assert_int_equal(capi_event_decode(record, sizeof(record), false, &event), 0);
	assert_int_equal(event.type, 9);
	assert_int_equal(event.data_size, 2);
	assert_int_equal(capi_event_kind(&event), KIND(DRIVER));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_events),
		cmocka_unit_test(driver_data_is_opaque),
		cmocka_unit_test(big_endian),
		cmocka_unit_test(largest_driver_event),
		cmocka_unit_test(cut_records_are_refused),
		cmocka_unit_test(unknown_types_are_opaque),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
