/* SPDX-License-Identifier: Apache-2.0 */
/* Raw ring buffer pages: every record must lie within the page, and the walk must end. */
#include <stdlib.h>
#include <string.h>

#include "collectors/tracefs/page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct page_layout layout = { .commit_offset = 8,
						   .commit_size = 8,
						   .data_offset = 16,
						   .size = 4096,
						   .type_padding = 29,
						   .type_extend = 30,
						   .type_absolute = 31,
						   .type_max = 28 };
	struct page_reader reader;
	struct page_record record;
	volatile uint8_t sink = 0;
	size_t steps = 0;
	int r;

	if (page_open(&reader, &layout, data, size) != 0)
		return 0;
	while ((r = page_next(&reader, &record)) == 0) {
		if (record.data < data || record.data + record.size > data + size ||
		    ++steps > size / 4)
			abort();
		for (size_t i = 0; i < record.size; i++)
			sink ^= record.data[i];
	}
	(void)sink;
	return 0;
}
