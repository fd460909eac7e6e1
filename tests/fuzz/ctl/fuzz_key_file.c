/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/key_dir.h"

/* A drop-in of the folder of keys, and a revocation: what is read can be printed and read again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct key_dir dir = { 0 };
	struct key_entry entry, again;
	struct errmsg err = { 0 };
	struct buf out = { 0 };

	memcpy(text, data, size);
	text[size] = '\0';
	(void)key_dir_parse_revoked(text, &dir);
	for (size_t i = 0; i < dir.n_revoked; i++)
		if (!key_id_is_valid(dir.revoked[i]))
			__builtin_trap();
	if (key_entry_parse("x.yaml", text, &entry, &err) == 0) {
		if (key_entry_print(&entry, &out) != 0 || buf_append(&out, "", 1) != 0 ||
		    key_entry_parse("x.yaml", (char *)out.data, &again, &err) != 0 ||
		    strcmp(entry.name, again.name) != 0 ||
		    strcmp(entry.key_id, again.key_id) != 0 || entry.n_verbs != again.n_verbs ||
		    entry.not_after_unix_ms != again.not_after_unix_ms)
			__builtin_trap();
	}
	buf_deinit(&out);
	free(text);
	return 0;
}
