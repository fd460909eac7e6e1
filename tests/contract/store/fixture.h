/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregator/store/store.h"
#include "core/buf.h"

/* A store in a folder of its own, one handle for writing and one for reading, and shorthands. */
struct fixture {
	const struct store_ops *ops;
	struct store *writer, *reader;
	char dir[64], path[128];
};

extern const uint8_t fixture_epoch_a[16], fixture_epoch_b[16];

/* Runs the tests once for each implementer. */
int fixture_run(const char *name, const struct CMUnitTest *tests, size_t n_tests);
/* For cmocka_unit_test_setup_teardown. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_reopen(struct fixture *f);
/* The folder without handles, for children. */
void fixture_close(struct fixture *f);
void fixture_open(struct fixture *f);

struct fixture_event {
	uint32_t kind, severity;
	uint64_t time_unix_ns;
	const char *subject_id;
	const uint8_t *command_id; /* 16 bytes; NULL = no command_state */
	uint32_t life;
};
/* Appends the framed event. */
void fixture_frame(struct buf *out, const struct fixture_event *event);
/* What event @seq of host @host is, when made by fixture_batch. */
uint64_t fixture_time(uint64_t seq);

/* @count events from @first; the outcome. @ret may be NULL. */
int fixture_batch(struct fixture *f, const char *host, const uint8_t epoch[16], uint64_t first,
		  uint32_t count, struct store_batch *ret);
int fixture_events(struct fixture *f, const char *host, uint64_t first, const struct buf *events,
		   uint32_t count, struct store_batch *ret);
int fixture_gone(struct fixture *f, const char *host, const uint8_t epoch[16], uint64_t first,
		 uint64_t last);
uint64_t fixture_mark(struct fixture *f, const char *host, const uint8_t epoch[16]);

struct fixture_row {
	uint64_t id, seq, time_unix_ns, stored_unix_ns;
	uint32_t kind, severity;
	char host_id[64];
	uint8_t epoch[16];
};
struct fixture_rows {
	struct fixture_row *rows;
	size_t n;
	struct store_page page;
};
/* For free(rows->rows). */
void fixture_query(struct fixture *f, const struct store_query *query,
		   struct fixture_rows *ret_rows);
/* How many match, over all pages. */
size_t fixture_count(struct fixture *f, const struct store_filter *filter);
