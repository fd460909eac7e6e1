/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/entry.h"
#include "agent/commands/journal.h"

/* A journal file as a crash or a bad disk may leave it: parsed, and each entry encoded again to the
 * same record. */
static int visit(void *data, struct entry *entry)
{
	struct buf out = { 0 };
	struct entry again;
	size_t used;

	if (entry_encode(entry, &out) || entry_decode(out.data, out.size, &again, &used))
		abort();
	if (used != out.size || memcmp(again.id, entry->id, 16) != 0 || again.life != entry->life ||
	    strcmp(again.detail, entry->detail) != 0)
		abort();
	entry_deinit(&again);
	buf_deinit(&out);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t floor_ms;
	size_t good;

	journal_parse(data, size, visit, NULL, &floor_ms, &good);
	if (good > size)
		abort();
	return 0;
}
