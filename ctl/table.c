/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_GAP	2
#define TABLE_MIN_WIDTH 6
#define TABLE_ELLIPSIS	"\xe2\x80\xa6"

void table_init(struct table *table, const char *const *titles, size_t n_columns)
{
	*table = (struct table){ .titles = titles,
				 .n_columns = n_columns < TABLE_MAX_COLUMNS ? n_columns
									    : TABLE_MAX_COLUMNS };
}

static bool table_grow(struct table *table)
{
	size_t capacity = table->capacity ? table->capacity * 2 : 64;
	char **cells;

	if (table->n_cells < table->capacity)
		return true;
	if (capacity > TABLE_MAX_CELLS)
		return false;
	cells = (char **)realloc((void *)table->cells, capacity * sizeof(*cells));
	if (!cells)
		return false;
	table->cells = cells;
	table->capacity = capacity;
	return true;
}

void table_cell(struct table *table, const char *format, ...)
{
	struct buf text = { .max = 1 << 20 };
	char *raw = NULL;
	va_list args;
	int len;

	if (!table_grow(table)) {
		table->refused++;
		return;
	}
	va_start(args, format);
	len = vasprintf(&raw, format, args);
	va_end(args);
	if (len < 0 || output_escape(&text, raw, (size_t)len) != 0 || buf_append(&text, "", 1) != 0)
		buf_deinit(&text);
	if (len >= 0)
		free(raw);
	table->cells[table->n_cells++] = (char *)text.data;
}

static const char *table_text(const struct table *table, size_t row, size_t column)
{
	size_t i = row * table->n_columns + column;

	return i < table->n_cells && table->cells[i] ? table->cells[i] : "";
}

static size_t table_widest(const struct table *table, size_t column)
{
	size_t width = strlen(table->titles[column]);

	for (size_t i = column; i < table->n_cells; i += table->n_columns) {
		const char *cell = table->cells[i] ? table->cells[i] : "";
		size_t columns = output_columns(cell, strlen(cell));

		width = columns > width ? columns : width;
	}
	return width;
}

/* Takes from the widest column that may be cut until the line fits, or all are at their least. */
static void table_fit(const struct table *table, size_t *widths, size_t limit)
{
	size_t total = TABLE_GAP * (table->n_columns - 1);

	for (size_t i = 0; i < table->n_columns; i++)
		total += widths[i];
	for (; total > limit; total--) {
		size_t widest = table->n_columns;

		for (size_t i = 0; i < table->n_columns; i++) {
			if (!(table->whole >> i & 1) && widths[i] > TABLE_MIN_WIDTH &&
			    (widest == table->n_columns || widths[i] >= widths[widest]))
				widest = i;
		}
		if (widest == table->n_columns)
			return;
		widths[widest]--;
	}
}

/* Bytes of @text that take @columns columns. */
static size_t table_prefix(const char *text, size_t columns)
{
	size_t i = 0;

	while (text[i] && columns > 0) {
		i++;
		while (((unsigned char)text[i] & 0xc0) == 0x80)
			i++;
		columns--;
	}
	return i;
}

static void table_print_cell(const char *text, size_t width, bool last, struct output *output)
{
	size_t columns = output_columns(text, strlen(text));

	if (columns > width)
		fprintf(output->file, "%.*s%s", (int)table_prefix(text, width - 1), text,
			TABLE_ELLIPSIS);
	else
		fprintf(output->file, "%s", text);
	if (!last)
		fprintf(output->file, "%*s",
			(int)(width - (columns > width ? width : columns) + TABLE_GAP), "");
}

void table_print(const struct table *table, struct output *output)
{
	size_t widths[TABLE_MAX_COLUMNS] = { 0 };
	size_t n = table->n_columns;

	for (size_t i = 0; i < n; i++)
		widths[i] = table_widest(table, i);
	if (output->width)
		table_fit(table, widths, output->width);
	fputs(output_colour_on(output, OUTPUT_BOLD), output->file);
	for (size_t i = 0; i < n; i++)
		table_print_cell(table->titles[i], widths[i], i + 1 == n, output);
	fprintf(output->file, "%s\n", output_colour_off(output, OUTPUT_BOLD));
	for (size_t row = 0; row * n < table->n_cells; row++) {
		for (size_t i = 0; i < n; i++)
			table_print_cell(table_text(table, row, i), widths[i], i + 1 == n, output);
		fputc('\n', output->file);
	}
	if (table->refused)
		fprintf(output->file, "(%zu more cells left out)\n", table->refused);
	fflush(output->file);
}

void table_deinit(struct table *table)
{
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free((void *)table->cells);
	*table = (struct table){ 0 };
}
