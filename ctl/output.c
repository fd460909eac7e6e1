/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/utf8.h"
#include "pathbell/v1/event.pb-c.h"
#include "proto/json.h"
#include "proto/kind.h"

static unsigned output_terminal_width(int fd)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size = { 0 };

	if (columns && atoi(columns) > 0)
		return (unsigned)atoi(columns);
	if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return 80;
}

void output_init(struct output *output, FILE *file)
{
	const char *no_colour = getenv("NO_COLOR");
	const char *term = getenv("TERM");
	bool terminal = isatty(fileno(file));

	*output = (struct output){ .file = file };
	output->width = terminal ? output_terminal_width(fileno(file)) : 0;
	output->colour =
		terminal && !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0;
}

/* C0, DEL, C1, and the marks that reorder or hide text (Unicode UAX 9 section 2, UTR 36). */
static bool output_is_unsafe(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) ||
	       (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069) ||
	       point == 0x200e || point == 0x200f || point == 0x2028 || point == 0x2029 ||
	       point == 0xfeff;
}

static int output_escape_point(struct buf *out, uint32_t point)
{
	switch (point) {
	case '\n':
		return buf_append(out, "\\n", 2);
	case '\t':
		return buf_append(out, "\\t", 2);
	case '\r':
		return buf_append(out, "\\r", 2);
	default:
		return buf_printf(out, point < 0x80 ? "\\x%02x" : "\\u%04x", point);
	}
}

int output_escape(struct buf *out, const char *text, size_t len)
{
	const unsigned char *bytes = (const unsigned char *)text;
	int r = 0;

	for (size_t i = 0; i < len && r == 0;) {
		uint32_t point = 0;
		size_t n = utf8_decode(text + i, len - i, &point);

		if (n == 0)
			r = buf_printf(out, "\\x%02x", bytes[i]);
		else if (output_is_unsafe(point))
			r = output_escape_point(out, point);
		else
			r = buf_append(out, bytes + i, n);
		i += n ? n : 1;
	}
	return r;
}

size_t output_columns(const char *text, size_t len)
{
	size_t columns = 0;

	for (size_t i = 0; i < len; i++)
		columns += ((unsigned char)text[i] & 0xc0) != 0x80;
	return columns;
}

const char *output_colour_on(const struct output *output, enum output_colour colour)
{
	static const char *const codes[] = { "",	 "\033[31m", "\033[33m",
					     "\033[32m", "\033[1m",  "\033[2m" };

	return output->colour ? codes[colour] : "";
}

const char *output_colour_off(const struct output *output, enum output_colour colour)
{
	return output->colour && colour != OUTPUT_PLAIN ? "\033[0m" : "";
}

enum output_colour output_severity_colour(unsigned severity)
{
	if (severity >= PATHBELL__V1__SEVERITY__SEVERITY_ERROR)
		return OUTPUT_RED;
	if (severity >= PATHBELL__V1__SEVERITY__SEVERITY_WARNING)
		return OUTPUT_YELLOW;
	return severity == PATHBELL__V1__SEVERITY__SEVERITY_DEBUG ? OUTPUT_DIM : OUTPUT_PLAIN;
}

enum output_colour output_life_colour(unsigned life)
{
	if (life == PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED)
		return OUTPUT_GREEN;
	if (life == PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_INDETERMINATE)
		return OUTPUT_YELLOW;
	return command_life_is_final(life) ? OUTPUT_RED : OUTPUT_PLAIN;
}

void output_raw_line(struct output *output, const struct buf *line)
{
	if (line->size)
		fwrite(line->data, 1, line->size, output->file);
	fputc('\n', output->file);
	fflush(output->file);
}

void output_line(struct output *output, const char *format, ...)
{
	struct buf line = { .max = 1 << 20 };
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len >= 0 && output_escape(&line, text, (size_t)len) == 0)
		output_raw_line(output, &line);
	buf_deinit(&line);
	if (len >= 0)
		free(text);
}

/* json-c escapes C0 only; the rest of what output_is_unsafe names becomes \uXXXX, which is the same
 * JSON. */
static int output_json_text(struct buf *out, const char *text)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t len = strlen(text);
	int r = 0;

	for (size_t i = 0; i < len && r == 0;) {
		uint32_t point = 0;
		size_t n = utf8_decode(text + i, len - i, &point);

		if (n == 0)
			r = buf_append(out, "\\ufffd", 6);
		else if (output_is_unsafe(point))
			r = buf_printf(out, "\\u%04x", point);
		else
			r = buf_append(out, bytes + i, n);
		i += n ? n : 1;
	}
	return r;
}

int output_json(struct output *output, struct json_object *object)
{
	struct buf line = { 0 };
	const char *text;
	int r = -ENOMEM;

	if (!object)
		return r;
	text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							      JSON_C_TO_STRING_NOSLASHESCAPE);
	if (text)
		r = output_json_text(&line, text);
	if (r == 0)
		output_raw_line(output, &line);
	buf_deinit(&line);
	json_object_put(object);
	return r;
}

int output_message(struct output *output, const ProtobufCMessage *message)
{
	return output_json(output, json_from_message(message));
}
