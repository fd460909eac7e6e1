/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Text that a verb returns, in memory that the agent shares with the child that writes it: no pipe
 * has to be fed, and what a child wrote before it was killed is still there. What does not fit is
 * cut and counted.
 */
struct sheet;

/* NULL: no memory. */
struct sheet *sheet_new(size_t max);
struct sheet *sheet_free(struct sheet *sheet);
void sheet_print(struct sheet *sheet, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* For the reader, once the writer is gone: says at the end how much was cut. *ret_size is never
 * above what was asked for, whatever the child did to the sheet. */
const char *sheet_end(struct sheet *sheet, size_t *ret_size);
size_t sheet_size(const struct sheet *sheet);
bool sheet_is_cut(const struct sheet *sheet);
