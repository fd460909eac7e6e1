/* SPDX-License-Identifier: Apache-2.0 */
/* The pipe of a survey with any bytes: what is read is written again the same. */
#include <stdlib.h>
#include <string.h>

#include "collectors/multipath/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct report_record record;
	size_t offset = 0, start = 0;
	uint8_t *copy = malloc(size + 1);

	while (copy != NULL && report_next(data, size, &offset, &record) == 0) {
		if (report_encode(&record, copy, size) != offset - start ||
		    memcmp(copy, data + start, offset - start) != 0)
			abort();
		start = offset;
	}
	free(copy);
	return 0;
}
