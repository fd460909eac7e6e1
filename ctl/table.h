/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "ctl/output.h"

/*
 * Text in columns. Every column is as wide as its widest cell; on a terminal the widest columns
 * give way until the line fits, and cells that are cut end in an ellipsis.
 */
#define TABLE_MAX_COLUMNS 16
#define TABLE_MAX_CELLS	  (1 << 20)

struct table {
	const char *const *titles;
	size_t n_columns;
	uint32_t whole; /* bit i: column i is never cut (ids, which people copy) */
	char **cells;	/* escaped; row after row; NULL = out of memory there */
	size_t n_cells, capacity;
	size_t refused; /* above TABLE_MAX_CELLS, or no memory */
};

void table_init(struct table *table, const char *const *titles, size_t n_columns);
/* The next cell, row after row. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(const struct table *table, struct output *output);
void table_deinit(struct table *table);
