/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "agent/faults.h"
#include "core/crc32c.h"

/* The entries of a faults file whose frame is right: what is taken can be written and read again,
 * and has twins. */
static void check(struct faults *faults)
{
	struct faults again = { 0 };
	struct faults_twin twin;
	struct buf image = { 0 };

	if (faults_encode(faults, &image) || faults_decode(&again, image.data, image.size) ||
	    again.n != faults->n)
		abort();
	for (size_t i = 0; i < faults->n; i++)
		faults_make_twin(&faults->items[i], "fuzz", &twin);
	buf_deinit(&image);
	faults_deinit(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct faults faults = { 0 };
	struct buf image = { 0 };
	uint32_t crc;

	(void)faults_decode(&faults, data, size);
	if (buf_printf(&image, "pathbell faults 1\n") || buf_append(&image, data, size))
		abort();
	crc = crc32c(0, image.data, image.size);
	for (int i = 0; i < 4; i++) {
		uint8_t byte = (uint8_t)(crc >> 8 * i);

		if (buf_append(&image, &byte, 1))
			abort();
	}
	if (faults_decode(&faults, image.data, image.size) == 0)
		check(&faults);
	faults_deinit(&faults);
	buf_deinit(&image);
	return 0;
}
