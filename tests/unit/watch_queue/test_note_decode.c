/* SPDX-License-Identifier: Apache-2.0 */
/* Records as real kernels wrote them (tests/data/watch_queue), and every dialect's own layout. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collectors/watch_queue/decode.h"
#include "core/file.h"

/* Lines "hex bytes", one buffer each; # begins a comment. */
static size_t load(const char *name, size_t line, uint8_t *ret_data)
{
	_cleanup_free_ char *text = NULL;
	char path[512], *save = NULL, *row;
	size_t len, n = 0;

	snprintf(path, sizeof(path), "%s/watch_queue/%s", PATHBELL_TEST_DATA, name);
	assert_int_equal(file_read(path, 65536, &text, &len), 0);
	for (row = strtok_r(text, "\n", &save); row != NULL; row = strtok_r(NULL, "\n", &save)) {
		if (row[0] != '#' && line-- == 0)
			break;
	}
	assert_non_null(row);
	for (char *end = row;; row = end) {
		long byte = strtol(row, &end, 16);

		if (end == row)
			return n;
		ret_data[n++] = (uint8_t)byte;
	}
}

static void keys_of_mainline(void **state)
{
	static const uint32_t subtypes[] = { 2, 1, 7, 5, 3, 4 };
	uint8_t data[512];
	struct note note;

	for (size_t i = 0; i < sizeof(subtypes) / sizeof(subtypes[0]); i++) {
		size_t size = load("keys.hex", i, data);

		assert_int_equal(note_decode(NOTE_MAINLINE, data, size, &note), 0);
		assert_int_equal(note.kind, NOTE_KEY);
		assert_int_equal(note.subtype, subtypes[i]);
		assert_int_equal(note.size, 16);
		assert_true(note.watch_id == 0x42 || note.watch_id == 0x44);
		assert_int_equal(note.key.aux,
				 subtypes[i] == 2 || subtypes[i] == 3 ? 528242239 : 0);
	}
	assert_int_equal(note.key.id, 0x0cb0deef);
}

static void meta_of_mainline(void **state)
{
	uint8_t data[512];
	struct note note;
	size_t size = load("meta.hex", 0, data);

	assert_int_equal(note_decode(NOTE_MAINLINE, data, size, &note), 0);
	assert_int_equal(note.kind, NOTE_REMOVAL);
	assert_int_equal(note.object_id, 528242239);
	assert_int_equal(note.watch_id, 0x44);
	size = load("meta.hex", 1, data);
	assert_int_equal(note_decode(NOTE_MAINLINE, data, size, &note), 0);
	assert_int_equal(note.kind, NOTE_LOSS);
	assert_int_equal(note.size, 8);
	assert_int_equal(note.watch_id, 0);
}

static void blocks_of_the_patched_kernel(void **state)
{
	static const uint32_t subtypes[] = { 6, 7, 10, 3, 5, 4 };
	uint8_t data[512];
	struct note note;

	for (size_t i = 0; i < sizeof(subtypes) / sizeof(subtypes[0]); i++) {
		size_t size = load("devices.hex", i, data);

		assert_int_equal(note_decode(NOTE_BLOCK, data, size, &note), 0);
		assert_int_equal(note.kind, NOTE_DEVICE);
		assert_int_equal(note.subtype, subtypes[i]);
		assert_int_equal(note.size, 24);
		assert_int_equal(note.watch_id, 12);
		assert_int_equal(note.device.major, 8);
		assert_int_equal(note.device.minor, 0);
		assert_int_equal(note.device.sector, 8 * (i + 1));
		/* Nothing in the bytes tells it from a mount record: the dialect does. */
		assert_int_equal(note_decode(NOTE_MOUNT_2020_08, data, size, &note), 0);
		assert_int_equal(note.kind, subtypes[i] <= 6 ? NOTE_MOUNT : NOTE_UNKNOWN);
		assert_int_equal(note_decode(NOTE_MAINLINE, data, size, &note), 0);
		assert_int_equal(note.kind, NOTE_UNKNOWN);
		assert_int_equal(note.size, 24);
	}
}

static size_t put(uint8_t *data, uint32_t type, uint32_t subtype, uint32_t info, const void *body,
		  size_t body_size)
{
	uint32_t word = type | subtype << 24;

	memcpy(data, &word, 4);
	memcpy(data + 4, &info, 4);
	memcpy(data + 8, body, body_size);
	return 8 + body_size;
}

/* The same 24 bytes in the three encodings of length and id. */
static void one_record_in_three_encodings(void **state)
{
	static const struct {
		enum note_dialect dialect;
		uint32_t type, info;
	} rows[] = { { NOTE_BLOCK, 2, 0x0018 | 0x4200 },
		     { NOTE_RING_V8, 2, 0x0003 | 0x4200 },
		     { NOTE_RING_V5, 2, 0x0003 | 0x4200 },
		     { NOTE_RING_V3, 4, 0x0018 | 0x42000000 },
		     { NOTE_RING_V1, 4, 0x0018 | 0x42000000 } };
	/* The author's own sample: 0x00800050 is 8:80. */
	static const uint64_t body[] = { 0x00800050, 0x123456789abc };
	uint8_t data[64];
	struct note note;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (uint32_t subtype = 0; subtype <= 12; subtype++) {
			size_t size = put(data, rows[i].type, subtype, rows[i].info, body, 16);

			assert_int_equal(note_decode(rows[i].dialect, data, size, &note), 0);
			assert_int_equal(note.kind, subtype >= 1 && subtype <= 10 ? NOTE_DEVICE
										  : NOTE_UNKNOWN);
			assert_int_equal(note.size, 24);
			assert_int_equal(note.watch_id, 0x42);
			if (note.kind != NOTE_DEVICE)
				continue;
			assert_int_equal(note.device.major, 8);
			assert_int_equal(note.device.minor, 80);
			assert_int_equal(note.device.sector, 0x123456789abc);
		}
	}
}

static void old_rings_flag_their_losses(void **state)
{
	static const uint64_t body[] = { 1, 2 };
	uint8_t data[64];
	struct note note;
	size_t size = put(data, 4, 6, 0x18 | 1, body, 16);

	assert_int_equal(note_decode(NOTE_RING_V3, data, size, &note), 0);
	assert_true(note.lost_before);
	assert_int_equal(note.size, 24);
	put(data, 4, 6, 0x18 | 2, body, 16);
	assert_int_equal(note_decode(NOTE_RING_V1, data, size, &note), 0);
	assert_true(note.lost_before);
	put(data, 4, 6, 0x18 | 4, body, 16);
	assert_int_equal(note_decode(NOTE_RING_V1, data, size, &note), 0);
	assert_false(note.lost_before);
}

static void metas_of_the_rings(void **state)
{
	static const uint64_t body[8] = { 77 };
	uint8_t data[128];
	struct note note;

	assert_int_equal(note_decode(NOTE_RING_V8, data, put(data, 0, 0, 1, body, 0), &note), 0);
	assert_int_equal(note.kind, NOTE_SKIP);
	assert_int_equal(note_decode(NOTE_RING_V8, data, put(data, 0, 1, 2, body, 8), &note), 0);
	assert_int_equal(note.kind, NOTE_REMOVAL);
	assert_int_equal(note.object_id, 77);
	/* v5 writes bytes where slots belong: 8 slots, of which 7 are garbage. */
	assert_int_equal(note_decode(NOTE_RING_V5, data, put(data, 0, 1, 8, body, 56), &note), 0);
	assert_int_equal(note.kind, NOTE_REMOVAL);
	assert_int_equal(note.size, 64);
	assert_int_equal(note.object_id, 0);
	assert_int_equal(note_decode(NOTE_RING_V3, data, put(data, 0, 1, 8, body, 0), &note), 0);
	assert_int_equal(note.kind, NOTE_REMOVAL);
	assert_int_equal(note.object_id, 0);
}

static void usb(void **state)
{
	uint8_t body[24] = { [0] = 5, [8] = 7, 'u', 's', 'b', '1', '-', '\n', '2' };
	uint8_t data[64];
	struct note note;

	assert_int_equal(note_decode(NOTE_BLOCK, data, put(data, 3, 3, 32, body, 24), &note), 0);
	assert_int_equal(note.kind, NOTE_USB);
	assert_string_equal(note.usb.name, "usb1-?2");
	assert_int_equal(note.usb.error, 5);
	assert_string_equal(note_usb_action(NOTE_BLOCK, 3), "error");
	assert_string_equal(note_usb_action(NOTE_RING_V5, 3), "bus_remove");
	assert_string_equal(note_usb_action(NOTE_RING_V8, 3), "error");
	assert_null(note_usb_action(NOTE_RING_V8, 4));
	/* A name longer than the record, and one longer than any. */
	body[8] = 16;
	assert_int_equal(note_decode(NOTE_BLOCK, data, put(data, 3, 3, 32, body, 24), &note), 0);
	assert_int_equal(note.kind, NOTE_UNKNOWN);
	body[8] = 255;
	assert_int_equal(note_decode(NOTE_BLOCK, data, put(data, 3, 3, 32, body, 24), &note), 0);
	assert_int_equal(note.kind, NOTE_UNKNOWN);
	assert_int_equal(note_decode(NOTE_RING_V1, data, put(data, 5, 3, 32, body, 24), &note), 0);
	assert_int_equal(note.kind, NOTE_UNKNOWN);
}

static void superblocks_and_mounts(void **state)
{
	static const uint64_t wide[] = { 0x1111111122222222, 0x3333333344444444 };
	uint8_t data[64];
	struct note note;

	assert_int_equal(note_decode(NOTE_MOUNT_2020_08, data,
				     put(data, 2, 1, 24 | 1 << 16 | 2 << 16, wide, 16), &note),
			 0);
	assert_int_equal(note.kind, NOTE_MOUNT);
	assert_int_equal(note.mount.triggered_on, wide[0]);
	assert_int_equal(note.mount.changed, wide[1]);
	assert_true(note_mount_is_in_subtree(NOTE_MOUNT_2020_08, &note));
	assert_true(note_mount_is_read_only(NOTE_MOUNT_2020_08, &note));
	assert_false(note_mount_is_submount(NOTE_MOUNT_2020_08, &note));
	assert_int_equal(note_decode(NOTE_MOUNT_2020_02, data,
				     put(data, 2, 0, 16 | 8 << 16, wide, 8), &note),
			 0);
	assert_int_equal(note.mount.triggered_on, 0x22222222);
	assert_int_equal(note.mount.changed, 0x11111111);
	assert_true(note_mount_is_submount(NOTE_MOUNT_2020_02, &note));
	assert_false(note_mount_is_read_only(NOTE_MOUNT_2020_02, &note));
	/* watch_sb of February 2020: the id in the top byte. */
	assert_int_equal(note_decode(NOTE_MOUNT_2020_02, data,
				     put(data, 3, 1, 24 | 9u << 24, wide, 16), &note),
			 0);
	assert_int_equal(note.kind, NOTE_SUPERBLOCK);
	assert_int_equal(note.watch_id, 9);
	assert_int_equal(note.superblock.id, wide[0]);
	assert_int_equal(note.superblock.error, 0x44444444);
	assert_int_equal(note.superblock.cookie, 0x33333333);
	assert_int_equal(note_decode(NOTE_RING_V1, data, put(data, 2, 0, 16, wide, 8), &note), 0);
	assert_int_equal(note.kind, NOTE_SUPERBLOCK);
	assert_false(note.superblock.has_error);
}

/* The record in a buffer of exactly @size bytes, so that ASan sees what lies beyond. */
static void decode_exactly(enum note_dialect dialect, const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size + (size == 0));
	struct note note;
	int r;

	assert_non_null(exact);
	memcpy(exact, data, size);
	r = note_decode(dialect, exact, size, &note);
	if (r == 0)
		assert_in_range(note.size, 8, size);
	else
		assert_int_equal(r, -EBADMSG);
	free(exact);
}

/* Any length of any record, cut anywhere. */
static void lengths_are_checked(void **state)
{
	uint8_t data[64] = { 0 };

	for (unsigned i = 0; i < NOTE_N_DIALECTS * 8 * 0x400; i++) {
		put(data, i / 0x400 % 8, 1, i % 0x400, data + 8, 0);
		for (size_t size = 0; size <= 40; size += 4)
			decode_exactly((enum note_dialect)(i / 0x2000), data, size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_mainline),
		cmocka_unit_test(meta_of_mainline),
		cmocka_unit_test(blocks_of_the_patched_kernel),
		cmocka_unit_test(one_record_in_three_encodings),
		cmocka_unit_test(old_rings_flag_their_losses),
		cmocka_unit_test(metas_of_the_rings),
		cmocka_unit_test(usb),
		cmocka_unit_test(superblocks_and_mounts),
		cmocka_unit_test(lengths_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
