/* SPDX-License-Identifier: Apache-2.0 */
#include "fabrics/lines.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"

char *lines_trim(char *text)
{
	size_t len;

	text += strspn(text, " \t\r");
	len = strlen(text);
	while (len > 0 && strchr(" \t\r", text[len - 1]))
		text[--len] = '\0';
	return text;
}

static void lines_tell(const struct lines_reader *reader, const char *name, unsigned number,
		       const char *what)
{
	struct errmsg err;

	errmsg_at(&err, name, number, 0, "%s", what);
	reader->tell(reader->data, &err);
}

static bool lines_is_text(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (iscntrl((unsigned char)text[i]) && text[i] != '\t' && text[i] != '\r')
			return false;
	return true;
}

static int lines_take(const struct lines_reader *reader, const char *name, unsigned number,
		      const char *text, size_t len)
{
	char line[LINES_MAX_LINE];
	char *start;

	if (len >= sizeof(line) || !lines_is_text(text, len)) {
		lines_tell(reader, name, number,
			   len >= sizeof(line) ? "the line is longer than 4095 bytes"
					       : "the line has a control character");
		return 0;
	}
	memcpy(line, text, len);
	line[len] = '\0';
	start = lines_trim(line);
	if (!*start || *start == '#' || *start == ';')
		return 0;
	return reader->line(reader->data, name, number, start);
}

int lines_parse(const struct lines_reader *reader, const char *name, const char *text, size_t size)
{
	unsigned number = 0;
	int r = 0;

	while (r >= 0 && size > 0) {
		const char *end = memchr(text, '\n', size);
		size_t len = end ? (size_t)(end - text) : size;

		r = lines_take(reader, name, ++number, text, len);
		len += end != NULL;
		text += len;
		size -= len;
	}
	return r < 0 ? r : 0;
}

int lines_read(const struct lines_reader *reader, const char *path)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = file_read(path, LINES_MAX_FILE, &text, &size);

	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0) {
		lines_tell(reader, path, 0, strerror(-r));
		return 0;
	}
	return lines_parse(reader, path, text, size);
}

static int lines_is_conf(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

int lines_read_all(const struct lines_reader *reader, const char *path)
{
	char name[4096];
	struct dirent **entries = NULL;
	int n, r = lines_read(reader, path);

	snprintf(name, sizeof(name), "%s.d", path);
	n = scandir(name, &entries, lines_is_conf, alphasort);
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s.d/%s", path, entries[i]->d_name);
		if (r == 0 && i < LINES_MAX_FILES)
			r = lines_read(reader, name);
		else if (r == 0 && i == LINES_MAX_FILES)
			lines_tell(reader, name, 0,
				   "more than 256 files: this and later ones are "
				   "not read");
		free(entries[i]);
	}
	free(entries);
	return r;
}
