/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/spool/slot.h"

static void test_layout_record(void **state)
{
	static uint8_t payload[SPOOL_RECORD_MAX], out[LAYOUT_RECORD_TOTAL];
	const size_t sizes[] = { 1, 7, 8, 9, 300, SPOOL_RECORD_MAX };

	memset(payload, 0xa5, sizeof(payload));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct layout_record in = { .size = (uint32_t)sizes[i],
					    .source = 3,
					    .lane = 1,
					    .type = LAYOUT_TYPE_RECORD,
					    .seq = 42,
					    .cursor = 7,
					    .time_ns = 9,
					    .durable = 41,
					    .payload = payload };
		struct layout_record back;
		size_t total = layout_put_record(out, &in, 5);

		assert_int_equal(total % 8, 0);
		assert_int_equal(layout_get_record(out, total, 5, &back), LAYOUT_OK);
		assert_int_equal(back.size, sizes[i]);
		assert_int_equal(back.seq, 42);
		assert_int_equal(back.cursor, 7);
		assert_int_equal(back.durable, 41);
		assert_int_equal(back.source, 3);
		assert_int_equal(back.total, total);
		assert_memory_equal(back.payload, payload, sizes[i]);
		assert_int_equal(layout_get_record(out, total - 1, 5, &back), LAYOUT_SHORT);
		assert_int_equal(layout_get_record(out, total, 6, &back), LAYOUT_BAD);
	}
}

/* The byte offsets of docs/formats/spool.md, so that a change of either is noticed. */
static void test_layout_bytes(void **state)
{
	static const uint8_t expected[] = {
		'P', 'B', 'R', '1', 0, 0, 0, 0, 2, 0, 0,   0,	1, 0,  1, 1, 0x08, 7, 6,
		5,   4,	  3,   2,   1, 9, 0, 0, 0, 0, 0,   0,	0, 10, 0, 0, 0,	   0, 0,
		0,   0,	  11,  0,   0, 0, 0, 0, 0, 0, 'h', 'i', 0, 0,  0, 0, 0,	   0,
	};
	struct layout_record in = { .size = 2,
				    .source = 1,
				    .lane = 1,
				    .type = LAYOUT_TYPE_RECORD,
				    .seq = UINT64_C(0x0102030405060708),
				    .cursor = 9,
				    .time_ns = 10,
				    .durable = 11,
				    .payload = (const uint8_t *)"hi" };
	uint8_t out[64];

	assert_int_equal(layout_put_record(out, &in, 0), sizeof(expected));
	memset(out + 4, 0, 4);
	assert_memory_equal(out, expected, sizeof(expected));
}

static void test_layout_every_bit_counts(void **state)
{
	struct layout_record in = { .size = 61, .lane = 1, .type = LAYOUT_TYPE_RECORD, .seq = 42 };
	uint8_t payload[61], out[128], head[LAYOUT_HEADER_SIZE], trailer[LAYOUT_TRAILER_SIZE];
	struct layout_header header = { .number = 9, .first_seq = 1, .lane = 1 }, header_back;
	struct layout_record back;
	uint64_t offset;
	size_t total;

	memset(payload, 1, sizeof(payload));
	in.payload = payload;
	total = layout_put_record(out, &in, 77);
	for (size_t bit = 0; bit < total * 8; bit++) {
		out[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_int_not_equal(layout_get_record(out, total, 77, &back), LAYOUT_OK);
		out[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	layout_put_header(head, &header);
	assert_true(layout_get_header(head, &header_back));
	assert_int_equal(header_back.number, 9);
	for (size_t bit = 0; bit < sizeof(head) * 8; bit++) {
		head[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_false(layout_get_header(head, &header_back));
		head[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	layout_put_trailer(trailer, 12345);
	assert_true(layout_get_trailer(trailer, &offset));
	assert_int_equal(offset, 12345);
	for (size_t bit = 0; bit < sizeof(trailer) * 8; bit++) {
		trailer[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_false(layout_get_trailer(trailer, &offset));
		trailer[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
}

static void test_layout_names(void **state)
{
	char name[LAYOUT_NAME_SIZE];
	uint64_t number;
	unsigned lane;

	layout_name(name, 0xabc, SPOOL_LANE_BULK);
	assert_string_equal(name, "0000000000000abc-bulk.seg");
	assert_true(layout_parse_name(name, &number, &lane));
	assert_int_equal(number, 0xabc);
	assert_int_equal(lane, SPOOL_LANE_BULK);
	assert_false(layout_parse_name("", &number, &lane));
	assert_false(layout_parse_name("0000000000000ABC-bulk.seg", &number, &lane));
	assert_false(layout_parse_name("0000000000000abc-bulk.seg.bad", &number, &lane));
	assert_false(layout_parse_name("0000000000000abc-other.seg", &number, &lane));
	assert_false(layout_parse_name("abc-bulk.seg", &number, &lane));
}

static struct slot *test_slot_full(void)
{
	struct slot *slot = calloc(1, sizeof(*slot));

	assert_non_null(slot);
	slot->generation = 5;
	slot->next_number = 6;
	slot->clean = true;
	slot->n_cursors = SPOOL_MAX_CURSORS;
	slot->n_epochs = SPOOL_MAX_EPOCHS;
	slot->n_covers = SLOT_MAX_COVERS;
	for (unsigned i = 0; i < SPOOL_MAX_CURSORS; i++)
		memset(slot->names[i], 'a' + (int)i, SLOT_NAME_SIZE - 1);
	for (unsigned i = 0; i < SPOOL_MAX_EPOCHS; i++) {
		memset(slot->epochs[i].id, (int)i, 16);
		slot->epochs[i].tail = 100 + i;
		slot->epochs[i].settled = 50;
		slot->epochs[i].settled_gone = 3;
		slot->epochs[i].acked[7] = 60;
	}
	for (unsigned i = 0; i < SLOT_MAX_COVERS; i++)
		slot->covers[i] = (struct slot_cover){ i % SPOOL_MAX_EPOCHS, i % 16, i, i + 5 };
	slot->gone_by_reason[2] = 77;
	slot->cursors[16] = 78;
	return slot;
}

static void test_slot_round_trip(void **state)
{
	struct slot *slot = test_slot_full(), *back = calloc(1, sizeof(*back));
	uint8_t *bytes = malloc(SLOT_SIZE);

	assert_int_equal(slot_encode(slot, bytes) % 512, 0);
	assert_true(slot_decode(bytes, SLOT_SIZE, back));
	assert_memory_equal(slot, back, sizeof(*slot));
	free(bytes);
	free(back);
	free(slot);
}

static void test_slot_every_bit_counts(void **state)
{
	struct slot *slot = test_slot_full(), *back = calloc(1, sizeof(*back));
	uint8_t *bytes = malloc(SLOT_SIZE);
	size_t size;

	slot->n_epochs = 2;
	slot->n_covers = 0;
	size = slot_encode(slot, bytes);
	for (size_t bit = 0; bit < size * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_false(slot_decode(bytes, SLOT_SIZE, back));
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	for (size_t n = 0; n < size; n += 16)
		assert_false(slot_decode(bytes, n, back));
	free(bytes);
	free(back);
	free(slot);
}

static void test_slot_choose(void **state)
{
	struct slot *slot = test_slot_full(), *back = calloc(1, sizeof(*back));
	uint8_t *file = calloc(2, SLOT_SIZE);

	assert_false(slot_choose(file, (size_t)2 * SLOT_SIZE, back));
	slot_encode(slot, file);
	assert_true(slot_choose(file, (size_t)2 * SLOT_SIZE, back));
	assert_int_equal(back->generation, 5);
	slot->generation = 6;
	slot_encode(slot, file + SLOT_SIZE);
	assert_true(slot_choose(file, (size_t)2 * SLOT_SIZE, back));
	assert_int_equal(back->generation, 6);
	file[SLOT_SIZE + 100] ^= 1;
	assert_true(slot_choose(file, (size_t)2 * SLOT_SIZE, back));
	assert_int_equal(back->generation, 5);
	file[100] ^= 1;
	assert_false(slot_choose(file, (size_t)2 * SLOT_SIZE, back));
	free(file);
	free(back);
	free(slot);
}

static void test_slot_live(void **state)
{
	struct slot_live live = { .offered = 77 }, back;
	uint8_t bytes[SLOT_LIVE_SIZE];

	memset(live.boot, 1, 16);
	memset(live.epoch, 2, 16);
	slot_encode_live(&live, bytes);
	assert_true(slot_decode_live(bytes, &back));
	assert_memory_equal(&live, &back, sizeof(live));
	for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		assert_false(slot_decode_live(bytes, &back));
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout_record),
		cmocka_unit_test(test_layout_bytes),
		cmocka_unit_test(test_layout_every_bit_counts),
		cmocka_unit_test(test_layout_names),
		cmocka_unit_test(test_slot_round_trip),
		cmocka_unit_test(test_slot_every_bit_counts),
		cmocka_unit_test(test_slot_choose),
		cmocka_unit_test(test_slot_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
