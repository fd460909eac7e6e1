/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/halt.h"
#include "agent/commands/keys.h"
#include "agent/commands/peek.h"

/* Key files, revocation files, the halt's line, and the look into an envelope nobody vouches for.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct keys keys;
	struct errmsg err = { 0 };
	struct halt halt;
	struct key key;
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = 0;
	peek_is_halt(data, size);
	if (keys_parse("fuzz", text, &key, &err) == 0 && (!key.name[0] || !key.key_id[0]))
		abort();
	memset(&keys, 0, sizeof(keys));
	keys_parse_revoked("fuzz", text, &keys, &err);
	for (size_t i = 0; i < keys.n_revoked; i++)
		if (!settings_key_id_is_valid(keys.revoked[i]))
			abort();
	halt_parse(text, &halt);
	if (!halt.active)
		abort();
	free(text);
	return 0;
}
