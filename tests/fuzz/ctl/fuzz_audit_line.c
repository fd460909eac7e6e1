/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ctl/audit_chain.h"

/* Lines of a host's audit: whatever stands there, the head moves only when a line fits. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct audit_head last = { 0 };
	bool unchecked = false;

	while (size) {
		const char *end = memchr(text, '\n', size);
		size_t len = end ? (size_t)(end - text) : size;
		uint64_t before = last.seq;
		enum audit_break what = audit_line_check(text, len, &last, &unchecked);

		if (what != AUDIT_FITS && last.seq != before)
			__builtin_trap();
		if (what == AUDIT_FITS && before && last.seq != before + 1)
			__builtin_trap();
		len += end != NULL;
		text += len;
		size -= len;
	}
	return 0;
}
