/* SPDX-License-Identifier: Apache-2.0 */
/* Any text as the attribute `address`: every part is terminated and none has a separator in it. */
#include <stdlib.h>
#include <string.h>

#include "collectors/nvme/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *text)
{
	if (memchr(text, '\0', DECODE_TEXT) == NULL || strpbrk(text, ", \t\n") != NULL)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct decode_address address;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	(void)decode_address(text, &address);
	check(address.traddr);
	check(address.trsvcid);
	check(address.host_traddr);
	check(address.host_iface);
	check(address.src_addr);
	free(text);
	return 0;
}
