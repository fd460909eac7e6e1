/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as INFO and as TABLE line. */
#include <stdlib.h>
#include <string.h>

#include "mapper/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct status *status)
{
	size_t n_paths = 0;

	for (size_t i = 0; i < status->n_groups; i++) {
		if (status->groups[i].first_path != n_paths)
			abort();
		n_paths += status->groups[i].n_paths;
	}
	if (n_paths != status->n_paths || n_paths > STATUS_MAX_PATHS ||
	    status->n_groups > STATUS_MAX_GROUPS || status->group > status->n_groups)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct status status;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (status_parse_info(text, &status) == 0)
		check(&status);
	if (status_parse_table(text, &status) == 0)
		check(&status);
	free(text);
	return 0;
}
