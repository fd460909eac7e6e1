/* SPDX-License-Identifier: Apache-2.0 */
#include "core/log_text.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/utf8.h"

#define LOG_TEXT_CUT	    "..."
#define LOG_TEXT_FIELDS	    32
#define LOG_TEXT_FIELD_NAME 64 /* systemd.journal-fields(7): longer names are refused */

/* One character, or the escape of one byte, into @ret_piece. Returns how many bytes of @raw it is.
 */
static size_t log_text_piece(const char *raw, size_t size, char ret_piece[8])
{
	uint32_t code = 0;
	size_t len = utf8_decode(raw, size, &code);

	if (len == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0)) {
		if (*raw == '\n' || *raw == '\t')
			snprintf(ret_piece, 8, "\\%c", *raw == '\n' ? 'n' : 't');
		else
			snprintf(ret_piece, 8, "\\x%02x", (unsigned)(uint8_t)*raw);
		return 1;
	}
	memcpy(ret_piece, raw, len);
	ret_piece[len] = '\0';
	return len;
}

void log_text_escape(const char *raw, char *ret_line, size_t size)
{
	size_t left = strlen(raw), used = 0, cut = 0;
	char piece[8];

	while (left > 0) {
		size_t n = log_text_piece(raw, left, piece);
		size_t len = strlen(piece);

		if (used + len >= size) {
			memcpy(ret_line + cut, LOG_TEXT_CUT, sizeof(LOG_TEXT_CUT));
			return;
		}
		memcpy(ret_line + used, piece, len);
		used += len;
		if (used + sizeof(LOG_TEXT_CUT) <= size)
			cut = used;
		raw += n;
		left -= n;
	}
	ret_line[used] = '\0';
}

static bool log_text_is_key(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-';
}

/* End of the value at @value: its closing quote, or the blank behind it. */
static const char *log_text_value_end(const char *value)
{
	const char *end;

	if (*value != '"')
		return value + strcspn(value, " ");
	end = strchr(value + 1, '"');
	return end ? end : value + strlen(value);
}

/* Journal field names are A to Z, 0 to 9 and underscores (systemd.journal-fields(7)). */
static char log_text_name_char(char c)
{
	if (c >= 'a' && c <= 'z')
		return (char)(c - 'a' + 'A');
	return isalnum((unsigned char)c) ? c : '_';
}

/* Bytes written, 0 where the field does not fit. */
static size_t log_text_field(const char *key, size_t key_len, const char *value, char *out,
			     size_t size)
{
	static const char prefix[] = "PATHBELL_";
	const char *end = log_text_value_end(value);
	size_t used = sizeof(prefix) - 1, value_len;

	if (*value == '"')
		value++;
	value_len = (size_t)(end - value);
	if (used + key_len > LOG_TEXT_FIELD_NAME || used + key_len + value_len + 2 > size)
		return 0;
	memcpy(out, prefix, used);
	for (size_t i = 0; i < key_len; i++)
		out[used++] = log_text_name_char(key[i]);
	out[used++] = '=';
	memcpy(out + used, value, value_len);
	used += value_len;
	out[used++] = '\n';
	return used;
}

size_t log_text_fields(const char *line, char *ret_fields, size_t size)
{
	size_t used = 0;

	for (unsigned n = 0; *line && n < LOG_TEXT_FIELDS;) {
		size_t key_len = 0;

		while (log_text_is_key(line[key_len]))
			key_len++;
		if (key_len > 0 && line[key_len] == '=') {
			const char *value = line + key_len + 1;

			used += log_text_field(line, key_len, value, ret_fields + used,
					       size - used);
			line = log_text_value_end(value);
			line += *line == '"';
			n++;
		} else {
			line += strcspn(line, " ");
		}
		line += strspn(line, " ");
	}
	return used;
}
