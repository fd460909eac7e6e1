/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte chooses the reader; whatever comes out can be written as a connect line without a
 * word too many. */
#include <stdlib.h>
#include <string.h>

#include "fabrics/conf.h"
#include "fabrics/exclusions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct conf *conf)
{
	char line[CONNECT_LINE];
	struct errmsg err;

	for (size_t i = 0; i < conf->n; i++) {
		const struct conf_entry *entry = &conf->items[i];

		if (connect_line(&entry->tid, &entry->options, "", line, sizeof(line), &err) == 0 &&
		    strpbrk(line, " \t\n"))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf conf = { 0 };
	struct exclusions exclusions = { 0 };
	const char *text = (const char *)data + 1;

	if (size-- == 0)
		return 0;
	if (data[0] % 4 == 0)
		(void)conf_parse_discovery(&conf, "f", text, size);
	else if (data[0] % 4 == 1)
		(void)conf_parse_json(&conf, "f", text, size);
	else if (data[0] % 4 == 2)
		(void)conf_parse_fabrics(&conf, "f", text, size);
	else
		(void)exclusions_parse(&exclusions, "f", text, size, NULL, NULL);
	check(&conf);
	for (size_t i = 0; i < exclusions.n; i++)
		(void)exclusions_find(&exclusions, &exclusions.items[i].tid);
	conf_deinit(&conf);
	exclusions_deinit(&exclusions);
	return 0;
}
