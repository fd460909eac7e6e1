/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "fuzz_config_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *dump(const struct fuzz_config *config)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out || config_dump(&fuzz_config_table, config, out) != 0 || fclose(out) != 0)
		abort();
	return text;
}

/* Refused with a reason, or accepted: then its dump is accepted too and dumps as itself. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_config config, again;
	struct errmsg err = { 0 };
	char *first, *second;
	int r = config_parse(&fuzz_config_table, "input", (const char *)data, size, &config, &err);

	if (r != 0 && (err.text[0] == '\0' || strcmp(err.file, "input") != 0 || err.line == 0 ||
		       err.column == 0))
		abort();
	if (r != 0)
		return 0;
	first = dump(&config);
	if (config_parse(&fuzz_config_table, "dump", first, strlen(first), &again, &err) != 0)
		abort();
	second = dump(&again);
	if (strcmp(first, second) != 0)
		abort();
	free(first);
	free(second);
	config_free(&fuzz_config_table, &config);
	config_free(&fuzz_config_table, &again);
	return 0;
}
