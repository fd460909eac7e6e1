/* SPDX-License-Identifier: Apache-2.0 */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "agent/commands/journal.h"
#include "agent/commands/journal_file.h"
#include "core/crc32c.h"

int journal_put_header(uint64_t floor_ms, struct buf *out)
{
	uint8_t header[JOURNAL_HEADER_SIZE] = { 0 };
	uint64_t floor = htole64(floor_ms);
	uint32_t crc;

	memcpy(header, JOURNAL_MAGIC, 8); // NOLINT(bugprone-not-null-terminated-result)
	memcpy(header + 8, &floor, 8);
	crc = htole32(crc32c(0, header, 20));
	memcpy(header + 20, &crc, 4);
	return buf_append(out, header, sizeof(header));
}

static int journal_parse_header(const uint8_t *data, size_t size, uint64_t *ret_floor_ms)
{
	uint64_t floor;
	uint32_t crc;

	if (size < JOURNAL_HEADER_SIZE || memcmp(data, JOURNAL_MAGIC, 8) != 0)
		return -EBADMSG;
	memcpy(&floor, data + 8, 8);
	memcpy(&crc, data + 20, 4);
	if (crc32c(0, data, 20) != le32toh(crc))
		return -EBADMSG;
	*ret_floor_ms = le64toh(floor);
	return 0;
}

int journal_parse(const uint8_t *data, size_t size, int (*visit)(void *data, struct entry *entry),
		  void *visit_data, uint64_t *ret_floor_ms, size_t *ret_good)
{
	size_t good = JOURNAL_HEADER_SIZE, used;
	int r;

	*ret_good = 0;
	if (journal_parse_header(data, size, ret_floor_ms))
		return -EBADMSG;
	while (good < size) {
		struct entry entry;

		r = entry_decode(data + good, size - good, &entry, &used);
		if (r) {
			*ret_good = good;
			return r == ENTRY_E_TORN ? JOURNAL_E_TORN : r;
		}
		good += used;
		r = visit(visit_data, &entry);
		entry_deinit(&entry);
		if (r) {
			*ret_good = good;
			return r;
		}
	}
	*ret_good = good;
	return 0;
}
