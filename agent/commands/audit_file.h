/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/commands/audit_line.h"

/* The files of the audit. All wait for the disk: in a child, or at start. */

/*
 * Where the chain stands by what PATH holds, or, where it is not there (a crash between two
 * renames), PATH.1. *ret_size: bytes of PATH up to its last whole line; 0 where a new file must be
 * begun. @line gets the last lines, at most 64 KiB of them. No file at all: seq 0, the zero hash.
 * 0; AUDIT_E_HASH: the last lines do not fit each other (the chain goes on from what the last one
 * claims); -errno: nothing can be read.
 */
int audit_file_load(const char *path, struct audit_link *ret_link, uint64_t *ret_size,
		    void (*line)(void *data, const char *line, size_t len), void *data);
/* At @size; what is behind it (a write that failed half-way) is cut off. A file that is shorter by
 * now is appended to as it is. Synced. 0 or -errno. */
int audit_file_append(const char *path, uint64_t size, const void *bytes, size_t n);
/* PATH becomes PATH.1, and so on up to PATH.@n_files; @bytes become PATH. Synced. 0 or -errno:
 * then PATH is the old one, or none. */
int audit_file_rotate(const char *path, unsigned n_files, const void *bytes, size_t n);
