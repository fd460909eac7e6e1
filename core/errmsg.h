/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An error for a person: what he typed was wrong, where, and how. Functions that read YAML, command
 * lines or certificates take one; it is valid only after they returned an error. NULL is accepted.
 */
struct errmsg {
	char file[256];	       /* empty: not from a file */
	unsigned line, column; /* 1-based; 0: unknown */
	char text[512];	       /* one sentence, no final full stop, no newline */
};

/* Sets text only; file and position are kept when already set. */
void errmsg_set(struct errmsg *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sets everything. @file may be NULL. */
void errmsg_at(struct errmsg *err, const char *file, unsigned line, unsigned column,
	       const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Writes "FILE:LINE:COLUMN: TEXT" (parts that are unknown are left out) into @ret_text, always
 * terminated. */
void errmsg_format(const struct errmsg *err, char *ret_text, unsigned size);
