/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/errmsg.h"

/*
 * Small text files of /etc/nvme, line by line: blanks at both ends cut, comments (# or ;) and empty
 * lines left out, a file.d beside a file read in order of names. Files above LINES_MAX_FILE bytes,
 * lines above LINES_MAX_LINE and bytes that are no text are told and left out.
 */
#define LINES_MAX_FILE	(1 << 20)
#define LINES_MAX_LINE	4096
#define LINES_MAX_FILES 256

struct lines_reader {
	void *data;
	/* @text may be changed. Negative: ends with that. */
	int (*line)(void *data, const char *file, unsigned number, char *text);
	void (*tell)(void *data, const struct errmsg *err);
};

int lines_parse(const struct lines_reader *reader, const char *name, const char *text, size_t size);
/* A file that is not there is no error; one that can't be read is told. 0 or what `line` returned.
 */
int lines_read(const struct lines_reader *reader, const char *path);
/* @path, then the files of the folder @path.d that end with .conf. */
int lines_read_all(const struct lines_reader *reader, const char *path);
/* Cuts blanks at both ends; returns the new start. */
char *lines_trim(char *text);
