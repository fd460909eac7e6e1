/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/audit_line.h"

/* A line as a disk may give it; and any text becomes a line that fits. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf body = { .max = 8192 }, out = { .max = 8192 };
	struct audit_link link = { 0 }, again = { 0 };
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	audit_check_line(text, size, &link);
	memset(&link, 0, sizeof(link));
	if (buf_printf(&body, "refused") == 0 && audit_put_text(&body, "text", text, 1000) == 0 &&
	    buf_append(&body, "", 1) == 0 &&
	    audit_put_line(&out, &link, 1, (const char *)body.data) == 0 &&
	    (memchr(out.data, '\n', out.size) != out.data + out.size - 1 ||
	     audit_check_line((const char *)out.data, out.size - 1, &again)))
		abort();
	buf_deinit(&body);
	buf_deinit(&out);
	free(text);
	return 0;
}
