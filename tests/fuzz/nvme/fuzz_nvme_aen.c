/* SPDX-License-Identifier: Apache-2.0 */
/* Four bytes of a word, then a uevent (NULs as they are): every word has a meaning, every uevent a
 * kind. */
#include <stdlib.h>
#include <string.h>

#include "collectors/nvme/aen.h"
#include "collectors/nvme/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct uevent uevent;
	struct decode_notice notice;
	char *message;
	uint32_t word;
	struct aen aen;

	if (size <= sizeof(word) || size > UEVENT_MESSAGE_MAX)
		return 0;
	memcpy(&word, data, sizeof(word));
	aen_decode(aen_from_trace(word), &aen);
	if (aen.meaning == NULL || aen.type > 7 || aen.severity == 0)
		abort();
	message = malloc(size);
	if (message == NULL)
		return 0;
	memcpy(message, data + sizeof(word), size - sizeof(word));
	message[size - sizeof(word)] = '\0';
	if (uevent_parse(message, size - sizeof(word) + 1, &uevent) == 0 &&
	    decode_uevent(&uevent, &notice) == 0 && notice.kind != DECODE_OTHER &&
	    notice.kind != DECODE_FC_DISCOVERY && notice.name[0] == '\0')
		abort();
	free(message);
	return 0;
}
