/* SPDX-License-Identifier: Apache-2.0 */
/* A segment file as it may lie there: the scan of recovery and the seal. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/spool/recover_scan.h"
#include "core/crc32c.h"

static bool fuzz_on_record(void *data, const struct layout_record *record, uint64_t offset)
{
	for (size_t i = 0; i < record->size; i++)
		*(uint8_t *)data ^= record->payload[i];
	return true;
}

/* Right checksums where something looks like a record, or nothing would pass the first of them. */
static void fuzz_repair(uint8_t *p, size_t size, uint32_t seed)
{
	for (size_t i = LAYOUT_HEADER_SIZE; i + LAYOUT_RECORD_HEADER < size; i += 8) {
		size_t total = layout_record_total(layout_get32(p + i + 8));

		if (memcmp(p + i, "PBR1", 4) == 0 && total > 8 && total <= size - i)
			layout_put32(p + i + 4, crc32c(seed, p + i + 8, total - 8));
	}
	if (size >= LAYOUT_HEADER_SIZE + LAYOUT_TRAILER_SIZE)
		layout_put32(p + size - 4, crc32c(0, p + size - LAYOUT_TRAILER_SIZE, 20));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t sum = 0, *buffer = NULL, *copy = malloc(size + 1);
	struct scan_callbacks callbacks = { .data = &sum, .record = fuzz_on_record };
	int fd = memfd_create("segment", MFD_CLOEXEC);
	struct scan_result result;
	struct layout_seal seal;

	memcpy(copy, data, size);
	fuzz_repair(copy, size, 0);
	if (fd < 0 || write(fd, copy, size) != (ssize_t)size)
		abort();
	scan_file(fd, LAYOUT_HEADER_SIZE, size, 0, &callbacks, &result);
	if (scan_seal(fd, size, 0, &seal, &buffer) == 0 && seal.last_seq < seal.first_seq)
		abort();
	free(buffer);
	free(copy);
	close(fd);
	return 0;
}
