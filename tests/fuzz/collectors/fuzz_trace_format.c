/* SPDX-License-Identifier: Apache-2.0 */
/* Format files, header_page included: what parses must be within its limits and usable. */
#include <stdlib.h>
#include <string.h>

#include "collectors/tracefs/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t record[64];
	static struct format format;
	struct errmsg err = { 0 };

	if (format_parse((const char *)data, size, &format, &err) != 0 &&
	    format_parse_fields((const char *)data, size, &format, &err) != 0)
		return err.text[0] == '\0' ? abort(), 0 : 0;
	for (size_t i = 0; i < format.n_fields; i++) {
		const struct format_field *field = &format.fields[i];
		const uint8_t *bytes;
		char text[16];
		uint64_t u;
		int64_t s;
		size_t n;

		if (field->offset + field->size > FORMAT_MAX_RECORD || field->name[0] == '\0' ||
		    strcmp(format_find(&format, field->name)->name, field->name) != 0)
			abort();
		(void)format_uint(field, record, sizeof(record), &u);
		(void)format_int(field, record, sizeof(record), &s);
		if (format_bytes(field, record, sizeof(record), &bytes, &n) &&
		    (bytes < record || bytes + n > record + sizeof(record)))
			abort();
		(void)format_string(field, record, sizeof(record), text, sizeof(text));
	}
	return 0;
}
