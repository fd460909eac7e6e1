/* SPDX-License-Identifier: Apache-2.0 */
#include "core/counter.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/*
 * Prometheus text exposition format 0.0.4: a label value escapes backslash, double quote and line
 * feed; a HELP text only backslash and line feed.
 */
static int counter_append_escaped(struct buf *out, const char *text, bool quotes)
{
	int r = 0;

	for (; *text && r == 0; text++) {
		if (*text == '\\')
			r = buf_append(out, "\\\\", 2);
		else if (*text == '\n')
			r = buf_append(out, "\\n", 2);
		else if (*text == '"' && quotes)
			r = buf_append(out, "\\\"", 2);
		else
			r = buf_append(out, text, 1);
	}
	return r;
}

/* A line is whole or absent: what was written of it is taken back when it did not fit. */
static int counter_finish(struct buf *out, size_t start, int r)
{
	if (r < 0)
		out->size = start;
	return r;
}

int counter_render_header(struct buf *out, const char *name, const char *help,
			  enum counter_type type)
{
	size_t start = out->size;
	int r = buf_printf(out, "# HELP %s ", name);

	if (r == 0)
		r = counter_append_escaped(out, help, false);
	if (r == 0)
		r = buf_printf(out, "\n# TYPE %s %s\n", name,
			       type == COUNTER_TYPE_COUNTER ? "counter" : "gauge");
	return counter_finish(out, start, r);
}

int counter_render_sample(struct buf *out, const char *name, const char *const *label_pairs,
			  uint64_t value)
{
	size_t start = out->size;
	int r = buf_append(out, name, strlen(name));
	const char *before = "{";

	for (; r == 0 && label_pairs && label_pairs[0]; label_pairs += 2) {
		r = buf_printf(out, "%s%s=\"", before, label_pairs[0]);
		if (r == 0)
			r = counter_append_escaped(out, label_pairs[1], true);
		if (r == 0)
			r = buf_append(out, "\"", 1);
		before = ",";
	}
	if (r == 0)
		r = buf_printf(out, "%s %" PRIu64 "\n", *before == ',' ? "}" : "", value);
	return counter_finish(out, start, r);
}

static int counter_render_row(struct buf *out, const struct counter_desc *row, const void *values)
{
	const counter_value *value = (const void *)((const char *)values + row->offset);

	if (row->labels)
		return buf_printf(out, "%s{%s} %" PRIu64 "\n", row->name, row->labels,
				  counter_get(value));
	return buf_printf(out, "%s %" PRIu64 "\n", row->name, counter_get(value));
}

int counter_render(struct buf *out, const struct counter_desc *table, size_t n_rows,
		   const void *values)
{
	int r = 0;

	for (size_t i = 0; i < n_rows && r == 0; i++) {
		if (i == 0 || strcmp(table[i].name, table[i - 1].name) != 0)
			r = counter_render_header(out, table[i].name, table[i].help, table[i].type);
		if (r == 0)
			r = counter_render_row(out, &table[i], values);
	}
	return r;
}
