/* SPDX-License-Identifier: Apache-2.0 */
/* What a controller says of its namespaces: a list that is taken ascends. */
#include <stdlib.h>
#include <string.h>

#include "fabrics/identify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t page[IDENTIFY_SIZE] = { 0 };
	uint32_t nsids[IDENTIFY_MAX];
	uint64_t sectors;
	size_t n;

	memcpy(page, data, size < sizeof(page) ? size : sizeof(page));
	(void)identify_parse_sectors(page, &sectors);
	if (identify_parse_list(page, 0, nsids, &n) != 0)
		return 0;
	for (size_t i = 1; i < n; i++)
		if (nsids[i] <= nsids[i - 1])
			abort();
	return 0;
}
