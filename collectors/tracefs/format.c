/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/tracefs/format.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* Text between two pointers; every step checks the end, so the file need not be terminated. */
struct format_text {
	const char *pos, *end;
};

static size_t format_left(const struct format_text *text)
{
	return (size_t)(text->end - text->pos);
}

static void format_skip_blanks(struct format_text *text)
{
	while (text->pos < text->end && (*text->pos == ' ' || *text->pos == '\t'))
		text->pos++;
}

static bool format_take(struct format_text *text, const char *word)
{
	size_t len = strlen(word);

	format_skip_blanks(text);
	if (format_left(text) < len || memcmp(text->pos, word, len) != 0)
		return false;
	text->pos += len;
	return true;
}

static bool format_take_number(struct format_text *text, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;
	const char *start;

	format_skip_blanks(text);
	start = text->pos;
	while (text->pos < text->end && isdigit((unsigned char)*text->pos)) {
		value = value * 10 + (uint64_t)(*text->pos++ - '0');
		if (value > max)
			return false;
	}
	if (text->pos == start)
		return false;
	*ret_value = value;
	return true;
}

/* "offset:8;" */
static bool format_take_item(struct format_text *text, const char *key, uint64_t max,
			     uint64_t *ret_value)
{
	return format_take(text, key) && format_take_number(text, max, ret_value) &&
	       format_take(text, ";");
}

static bool format_is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* "unsigned int error", "char rwbs[10]", "u8 id[SOME_MACRO]", "__data_loc char[] cmd". */
static bool format_declaration(struct format_text decl, struct format_field *field)
{
	const char *end = decl.end, *start;

	if (format_take(&decl, "__data_loc "))
		field->kind = FORMAT_DATA_LOC;
	else if (format_take(&decl, "__rel_loc "))
		field->kind = FORMAT_REL_LOC;
	while (end > decl.pos && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (end > decl.pos && end[-1] == ']') {
		field->is_array = true;
		while (end > decl.pos && *end != '[')
			end--;
	}
	for (start = end; start > decl.pos && format_is_name(start[-1]);)
		start--;
	if (start == end || start == decl.pos || (size_t)(end - start) >= sizeof(field->name))
		return false;
	memcpy(field->name, start, (size_t)(end - start));
	return true;
}

static bool format_field_line(struct format_text line, struct format_field *field)
{
	struct format_text decl = { .pos = line.pos };
	uint64_t offset, size, is_signed = 0;

	while (line.pos < line.end && *line.pos != ';')
		line.pos++;
	decl.end = line.pos;
	*field = (struct format_field){ 0 };
	if (!format_take(&line, ";") || !format_declaration(decl, field) ||
	    !format_take_item(&line, "offset:", FORMAT_MAX_RECORD, &offset) ||
	    !format_take_item(&line, "size:", FORMAT_MAX_RECORD, &size))
		return false;
	if (format_take(&line, "signed:") &&
	    (!format_take_number(&line, 1, &is_signed) || !format_take(&line, ";")))
		return false;
	if (offset + size > FORMAT_MAX_RECORD || (field->kind != FORMAT_PLAIN && size != 4))
		return false;
	field->offset = (uint32_t)offset;
	field->size = (uint32_t)size;
	field->is_signed = is_signed != 0;
	return true;
}

static bool format_name_line(struct format_text line, struct format *format)
{
	size_t len;

	format_skip_blanks(&line);
	while (line.end > line.pos && isspace((unsigned char)line.end[-1]))
		line.end--;
	len = format_left(&line);
	if (len == 0 || len >= sizeof(format->event))
		return false;
	memcpy(format->event, line.pos, len);
	format->event[len] = '\0';
	return true;
}

/* False: the line is one that must be understood, and is not. */
static bool format_line(struct format_text line, struct format *format, const char **ret_what)
{
	uint64_t id;

	*ret_what = "name";
	if (format_take(&line, "name:"))
		return format_name_line(line, format);
	*ret_what = "ID";
	if (format_take(&line, "ID:")) {
		if (!format_take_number(&line, UINT32_MAX, &id))
			return false;
		format->id = (uint32_t)id;
		return true;
	}
	*ret_what = "field";
	if (!format_take(&line, "field:"))
		return true;
	if (format->n_fields == FORMAT_MAX_FIELDS) {
		*ret_what = "number of fields (limit 128)";
		return false;
	}
	if (!format_field_line(line, &format->fields[format->n_fields]))
		return false;
	format->n_fields++;
	return true;
}

int format_parse_fields(const char *text, size_t text_len, struct format *ret_format,
			struct errmsg *err)
{
	const char *pos = text, *end = text + text_len, *what;
	unsigned number = 0;

	*ret_format = (struct format){ 0 };
	while (pos < end) {
		const char *newline = memchr(pos, '\n', (size_t)(end - pos));
		struct format_text line = { pos, newline ? newline : end };

		number++;
		if (format_take(&line, "print fmt:"))
			break;
		if (!format_line(line, ret_format, &what)) {
			errmsg_at(err, NULL, number, 0, "cannot understand the %s in a format file",
				  what);
			return -EBADMSG;
		}
		if (newline == NULL)
			break;
		pos = newline + 1;
	}
	if (ret_format->n_fields == 0) {
		errmsg_set(err, "a format file without fields");
		return -EBADMSG;
	}
	return 0;
}

int format_parse(const char *text, size_t text_len, struct format *ret_format, struct errmsg *err)
{
	const struct format_field *type;
	int r = format_parse_fields(text, text_len, ret_format, err);

	if (r < 0)
		return r;
	type = format_find(ret_format, FORMAT_COMMON_TYPE);
	if (ret_format->event[0] == '\0' || ret_format->id == 0 || type == NULL ||
	    type->size != 2 || type->kind != FORMAT_PLAIN) {
		errmsg_set(err, "a format file without name, ID or a 2 byte common_type");
		return -EBADMSG;
	}
	return 0;
}

const struct format_field *format_find(const struct format *format, const char *name)
{
	for (size_t i = 0; i < format->n_fields; i++) {
		if (strcmp(format->fields[i].name, name) == 0)
			return &format->fields[i];
	}
	return NULL;
}

static bool format_within(const struct format_field *field, size_t size)
{
	return field->offset <= size && field->size <= size - field->offset;
}

bool format_uint(const struct format_field *field, const void *record, size_t size,
		 uint64_t *ret_value)
{
	const uint8_t *data = (const uint8_t *)record + field->offset;
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;

	if (!format_within(field, size))
		return false;
	switch (field->size) {
	case 1:
		*ret_value = *data;
		return true;
	case 2:
		memcpy(&u16, data, sizeof(u16));
		*ret_value = u16;
		return true;
	case 4:
		memcpy(&u32, data, sizeof(u32));
		*ret_value = u32;
		return true;
	case 8:
		memcpy(&u64, data, sizeof(u64));
		*ret_value = u64;
		return true;
	default:
		return false;
	}
}

bool format_int(const struct format_field *field, const void *record, size_t size,
		int64_t *ret_value)
{
	uint64_t value;

	if (!format_uint(field, record, size, &value))
		return false;
	switch (field->size) {
	case 1:
		*ret_value = (int64_t)(int8_t)(uint8_t)value;
		return true;
	case 2:
		*ret_value = (int16_t)value;
		return true;
	case 4:
		*ret_value = (int32_t)value;
		return true;
	default:
		*ret_value = (int64_t)value;
		return true;
	}
}

bool format_bytes(const struct format_field *field, const void *record, size_t size,
		  const uint8_t **ret_data, size_t *ret_size)
{
	size_t start = field->offset, len = field->size;
	uint32_t loc;

	if (!format_within(field, size))
		return false;
	if (field->kind != FORMAT_PLAIN) {
		memcpy(&loc, (const uint8_t *)record + field->offset, sizeof(loc));
		start = loc & 0xffff;
		len = loc >> 16;
		if (field->kind == FORMAT_REL_LOC)
			start += field->offset + sizeof(loc);
	}
	if (start > size || len > size - start)
		return false;
	*ret_data = (const uint8_t *)record + start;
	*ret_size = len;
	return true;
}

bool format_string(const struct format_field *field, const void *record, size_t size,
		   char *ret_text, size_t ret_size)
{
	const uint8_t *data;
	size_t len;

	if (!format_bytes(field, record, size, &data, &len))
		return false;
	len = strnlen((const char *)data, len);
	if (len >= ret_size)
		len = ret_size - 1;
	memcpy(ret_text, data, len);
	ret_text[len] = '\0';
	return true;
}
