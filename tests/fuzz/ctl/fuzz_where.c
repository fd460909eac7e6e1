/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/where.h"

/* --where, given twice. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct errmsg err = { 0 };
	struct where where;

	memcpy(text, data, size);
	text[size] = '\0';
	where_init(&where);
	if (where_add(&where, text, &err) == 0 && where_add(&where, text, &err) == 0 &&
	    where_is_empty(&where) && !where.selector.degraded_only)
		__builtin_trap();
	for (size_t i = 0; i < where.selector.n_host_globs; i++)
		if (!*where.selector.host_globs[i])
			__builtin_trap();
	where_deinit(&where);
	free(text);
	return 0;
}
