/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/token.h"

#include <stdint.h>
#include <string.h>

#include "core/crc32c.h"
#include "core/id.h"

void token_make(enum token_kind kind, const char *position, char ret_text[TOKEN_TEXT_SIZE])
{
	uint8_t bytes[1 + TOKEN_POSITION_MAX + 4];
	size_t len = strnlen(position, TOKEN_POSITION_MAX);
	uint32_t crc;

	bytes[0] = (uint8_t)kind;
	memcpy(bytes + 1, position, len);
	crc = crc32c(0, bytes, 1 + len);
	memcpy(bytes + 1 + len, &crc, 4);
	id_hex(bytes, 1 + len + 4, ret_text);
}

bool token_parse(enum token_kind kind, const char *text, char ret_position[TOKEN_POSITION_MAX + 1])
{
	uint8_t bytes[1 + TOKEN_POSITION_MAX + 4];
	size_t len = text ? strlen(text) : 0, size = len / 2;
	uint32_t crc;

	ret_position[0] = '\0';
	if (len == 0)
		return true;
	if (len % 2 != 0 || size < 6 || size > sizeof(bytes) || !id_unhex(text, bytes, size))
		return false;
	crc = crc32c(0, bytes, size - 4);
	if (memcmp(&crc, bytes + size - 4, 4) != 0 || bytes[0] != (uint8_t)kind)
		return false;
	memcpy(ret_position, bytes + 1, size - 5);
	ret_position[size - 5] = '\0';
	return strlen(ret_position) == size - 5;
}
