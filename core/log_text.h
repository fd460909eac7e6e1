/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* The pure half of the log: lines to safe lines, lines to journal fields. */
#define LOG_LINE_MAX   2048 /* bytes of a line with its NUL; PIPE_BUF is 4096 */
#define LOG_FIELDS_MAX (3 * LOG_LINE_MAX)

/*
 * Copies @raw with control characters (C0, DEL, C1) and bytes that are not UTF-8 written as \xNN,
 * line feed and tab as \n and \t. What does not fit is cut, and the cut ends in "...".
 */
void log_text_escape(const char *raw, char *ret_line, size_t size);

/*
 * Every key=value or key="value" of an escaped @line as "PATHBELL_KEY=value\n", at most 32 and as
 * many as fit whole. Returns the bytes written (no NUL).
 */
size_t log_text_fields(const char *line, char *ret_fields, size_t size);
