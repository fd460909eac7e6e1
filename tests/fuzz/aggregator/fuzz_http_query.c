/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "aggregator/http/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct errmsg err = { 0 };
	struct query query;
	char *text = malloc(size + 1);
	int r;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	r = query_parse(text, UINT64_C(1800000000000000000), &query, &err);
	/* What is refused says why; what is taken is within its limits. */
	if (r == 0 ? query.limit < 1 || query.limit > QUERY_MAX_LIMIT ||
			     query.filter.n_hosts > QUERY_MAX_HOSTS
		   : !err.text[0])
		abort();
	free(text);
	return 0;
}
