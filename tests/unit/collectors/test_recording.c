/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "collectors/replay/recording.h"

static char path[64];
static uint8_t file[400000];
static size_t file_size;

static int set_up(void **state)
{
	int fd;

	snprintf(path, sizeof(path), "/tmp/pathbell-recording-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
	return unlink(path);
}

static void write_sizes(const size_t *sizes, size_t n)
{
	static uint8_t event[RECORDING_EVENT_MAX + 1];
	FILE *out = fopen(path, "wb");

	assert_int_equal(recording_write_head(out), 0);
	for (size_t i = 0; i < n; i++) {
		memset(event, (int)i + 1, sizeof(event));
		assert_int_equal(recording_write(out, event, sizes[i]), 0);
	}
	assert_int_equal(recording_write(out, event, 0), -90);
	assert_int_equal(recording_write(out, event, RECORDING_EVENT_MAX + 1), -90);
	fclose(out);
	out = fopen(path, "rb");
	file_size = fread(file, 1, sizeof(file), out);
	fclose(out);
}

static void rewrite(size_t size)
{
	FILE *out = fopen(path, "wb");

	assert_int_equal(fwrite(file, 1, size, out), size);
	fclose(out);
}

static void reads_what_was_written(void **state)
{
	static const size_t sizes[] = { 1, 65536, 65536, 200, 65535, 7 };
	struct recording *recording;
	const uint8_t *data;
	size_t size;

	write_sizes(sizes, 6);
	assert_int_equal(recording_open(&recording, path), 0);
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < 6; i++) {
			assert_int_equal(recording_next(recording, &data, &size), 0);
			assert_int_equal(size, sizes[i]);
			assert_int_equal(data[0], i + 1);
			assert_int_equal(data[size - 1], i + 1);
		}
		assert_int_equal(recording_next(recording, &data, &size), RECORDING_E_END);
		assert_int_equal(recording_next(recording, &data, &size), RECORDING_E_END);
		assert_int_equal(recording_rewind(recording), 0);
	}
	recording_close(recording);
}

static void a_flipped_bit_costs_one_record(void **state)
{
	static const size_t sizes[] = { 100, 100, 100 };
	struct recording *recording;
	const uint8_t *data;
	size_t size;

	write_sizes(sizes, 3);
	file[8 + 108 + 8 + 50] ^= 4;
	rewrite(file_size);
	assert_int_equal(recording_open(&recording, path), 0);
	assert_int_equal(recording_next(recording, &data, &size), 0);
	assert_int_equal(recording_next(recording, &data, &size), RECORDING_E_BAD);
	assert_int_equal(recording_next(recording, &data, &size), 0);
	assert_int_equal(data[0], 3);
	recording_close(recording);
}

static void every_cut_is_told(void **state)
{
	static const size_t sizes[] = { 10, 20 };
	struct recording *recording;
	const uint8_t *data;
	size_t size;

	write_sizes(sizes, 2);
	for (size_t cut = 0; cut < file_size; cut++) {
		int r;

		rewrite(cut);
		r = recording_open(&recording, path);
		assert_int_equal(r, cut < 8 ? -74 : 0);
		if (r < 0)
			continue;
		while ((r = recording_next(recording, &data, &size)) == 0)
			;
		assert_int_equal(r, cut == 8 || cut == 26 ? RECORDING_E_END : -74);
		recording_close(recording);
	}
}

static void absurd_sizes_are_refused(void **state)
{
	static const size_t sizes[] = { 10 };
	struct recording *recording;
	const uint8_t *data;
	size_t size;

	write_sizes(sizes, 1);
	for (int i = 0; i < 2; i++) {
		memset(file + 8, i ? 0xff : 0, 4);
		rewrite(file_size);
		assert_int_equal(recording_open(&recording, path), 0);
		assert_int_equal(recording_next(recording, &data, &size), -74);
		recording_close(recording);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_what_was_written, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_flipped_bit_costs_one_record, set_up, tear_down),
		cmocka_unit_test_setup_teardown(every_cut_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(absurd_sizes_are_refused, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
