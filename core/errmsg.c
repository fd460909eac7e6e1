/* SPDX-License-Identifier: Apache-2.0 */
#include "core/errmsg.h"

#include <stdarg.h>
#include <stdio.h>

/* What a person typed is quoted in the text: it must not move the cursor of a terminal or split a
 * line. */
static void errmsg_sanitise(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

__attribute__((format(printf, 2, 0))) static void errmsg_vset(struct errmsg *err,
							      const char *format, va_list args)
{
	vsnprintf(err->text, sizeof(err->text), format, args);
	errmsg_sanitise(err->text);
}

void errmsg_set(struct errmsg *err, const char *format, ...)
{
	va_list args;

	if (!err)
		return;
	va_start(args, format);
	errmsg_vset(err, format, args);
	va_end(args);
}

void errmsg_at(struct errmsg *err, const char *file, unsigned line, unsigned column,
	       const char *format, ...)
{
	va_list args;

	if (!err)
		return;
	va_start(args, format);
	errmsg_vset(err, format, args);
	va_end(args);
	snprintf(err->file, sizeof(err->file), "%s", file ? file : "");
	errmsg_sanitise(err->file);
	err->line = line;
	err->column = column;
}

void errmsg_format(const struct errmsg *err, char *ret_text, unsigned size)
{
	char position[32] = "";

	if (err->line && err->column)
		snprintf(position, sizeof(position), "%u:%u: ", err->line, err->column);
	else if (err->line)
		snprintf(position, sizeof(position), "%u: ", err->line);

	if (err->file[0])
		snprintf(ret_text, size, "%s:%s%s%s", err->file, position[0] ? "" : " ", position,
			 err->text);
	else
		snprintf(ret_text, size, "%s%s", position, err->text);
}
