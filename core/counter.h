/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

/*
 * Metrics. A table of descriptions beside a struct of values; rendering walks the table. Counters
 * only grow and survive reconnects. Values are read relaxed, so any thread may write its own.
 */
enum counter_type { COUNTER_TYPE_COUNTER, COUNTER_TYPE_GAUGE };

struct counter_desc {
	const char *name;   /* full Prometheus name: pathbell_events_captured_total */
	const char *help;   /* one sentence */
	const char *labels; /* fixed labels without braces: reason="age", or NULL */
	enum counter_type type;
	size_t offset; /* of a counter_value in the struct of values */
};

typedef _Atomic uint64_t counter_value;

static inline void counter_add(counter_value *value, uint64_t n)
{
	atomic_fetch_add_explicit(value, n, memory_order_relaxed);
}

static inline void counter_set(counter_value *value, uint64_t n)
{
	atomic_store_explicit(value, n, memory_order_relaxed);
}

static inline uint64_t counter_get(const counter_value *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

/*
 * Appends Prometheus text exposition (version 0.0.4). Rows of one name must be adjacent in the
 * table: HELP and TYPE are written once. 0 or the error of buf_append.
 */
int counter_render(struct buf *out, const struct counter_desc *table, size_t n_rows,
		   const void *values);
/* One sample with labels made at run time; header lines by counter_render_header. */
int counter_render_header(struct buf *out, const char *name, const char *help,
			  enum counter_type type);
int counter_render_sample(struct buf *out, const char *name, const char *const *label_pairs,
			  uint64_t value);
