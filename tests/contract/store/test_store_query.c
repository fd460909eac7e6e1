/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

static const char *const h1[] = { "h1" };
static const char *const both[] = { "h1", "h2" };

/* Two hosts, taking turns: ids 1-10 h1, 11-20 h2, 21-30 h1, ... up to 200. */
static void fill(struct fixture *f)
{
	for (uint64_t i = 0; i < 10; i++) {
		fixture_batch(f, "h1", fixture_epoch_a, i * 10 + 1, 10, NULL);
		fixture_batch(f, "h2", fixture_epoch_a, i * 10 + 1, 10, NULL);
	}
}

static void test_filters(void **state)
{
	struct fixture *f = *state;

	fill(f);
	assert_int_equal(fixture_count(f, &(struct store_filter){ 0 }), 200);
	assert_int_equal(fixture_count(f, &(struct store_filter){ .host_ids = h1, .n_hosts = 1 }),
			 100);
	assert_int_equal(fixture_count(f, &(struct store_filter){ .host_ids = both, .n_hosts = 2 }),
			 200);
	assert_int_equal(fixture_count(f, &(struct store_filter){ .kind_glob = "storage.block.*" }),
			 100);
	assert_int_equal(fixture_count(f, &(struct store_filter){ .kind_glob = "storage.*" }), 200);
	assert_int_equal(fixture_count(f, &(struct store_filter){ .kind_glob = "nvme.*" }), 0);
	assert_int_equal(fixture_count(f, &(struct store_filter){ .min_severity = 17 }), 66);
	assert_int_equal(fixture_count(f, &(struct store_filter){ .subject_id = "wwid:five" }), 40);
	assert_int_equal(fixture_count(f, &(struct store_filter){ .subject_id = "wwid:fiv" }), 0);
	assert_int_equal(
		fixture_count(f, &(struct store_filter){ .host_ids = &(const char *){ "none" },
							 .n_hosts = 1 }),
		0);
}

static void test_time(void **state)
{
	struct fixture *f = *state;
	struct store_filter filter = { .since_unix_ns = fixture_time(31),
				       .until_unix_ns = fixture_time(71) };

	fill(f);
	assert_int_equal(fixture_count(f, &filter), 80);
	filter.until_unix_ns = 0;
	assert_int_equal(fixture_count(f, &filter), 140);
	filter.host_ids = h1;
	filter.n_hosts = 1;
	assert_int_equal(fixture_count(f, &filter), 70);
	filter.since_unix_ns = fixture_time(1000);
	assert_int_equal(fixture_count(f, &filter), 0);
}

/* A host whose clock runs ahead stores events from the future: they are found all the same. */
static void test_clocks_that_run_ahead(void **state)
{
	struct fixture *f = *state;
	struct fixture_event early = { .kind = 100,
				       .severity = 9,
				       .time_unix_ns = fixture_time(5000) };
	struct store_filter filter = { .since_unix_ns = fixture_time(4000) };
	struct buf events = { 0 };

	fixture_frame(&events, &early);
	fixture_batch(f, "h1", fixture_epoch_a, 1, 10, NULL);
	assert_int_equal(fixture_events(f, "h1", 11, &events, 1, NULL), 0);
	fixture_batch(f, "h1", fixture_epoch_a, 12, 50, NULL);
	assert_int_equal(fixture_count(f, &filter), 1);
	buf_deinit(&events);
}

static void test_stored_never_falls(void **state)
{
	struct fixture *f = *state;
	struct store_query query = { .limit = 1000 };
	struct fixture_rows rows;

	fixture_batch(f, "h1", fixture_epoch_a, 1, 900, NULL);
	fixture_batch(f, "h2", fixture_epoch_a, 1, 5, NULL); /* the clock went back */
	fixture_query(f, &query, &rows);
	assert_int_equal(rows.n, 905);
	for (size_t i = 1; i < rows.n; i++) {
		assert_true(rows.rows[i].id == rows.rows[i - 1].id + 1);
		assert_true(rows.rows[i].stored_unix_ns >= rows.rows[i - 1].stored_unix_ns);
	}
	free(rows.rows);
}

static void test_paging(void **state)
{
	struct fixture *f = *state;
	struct store_query query = { .filter = { .host_ids = h1, .n_hosts = 1 }, .limit = 7 };
	struct fixture_rows rows;
	uint64_t seq = 0;

	fill(f);
	do {
		fixture_query(f, &query, &rows);
		for (size_t i = 0; i < rows.n; i++)
			assert_int_equal(rows.rows[i].seq, ++seq);
		query.after_id = rows.page.last_id;
		free(rows.rows);
	} while (rows.page.more);
	assert_int_equal(seq, 100);
	query.newest_first = true;
	query.after_id = 0;
	do {
		fixture_query(f, &query, &rows);
		for (size_t i = 0; i < rows.n; i++)
			assert_int_equal(rows.rows[i].seq, seq--);
		query.after_id = rows.page.last_id;
		free(rows.rows);
	} while (rows.page.more);
	assert_int_equal(seq, 0);
}

static void test_limit_of_bytes(void **state)
{
	struct fixture *f = *state;
	struct store_query query = { .limit = 1000, .max_bytes = 1 };
	struct fixture_rows rows;

	fill(f);
	fixture_query(f, &query, &rows);
	assert_int_equal(rows.n, 1);
	assert_true(rows.page.more);
	assert_int_equal(rows.page.last_id, 1);
	free(rows.rows);
}

/* A tail is a cursor: nothing is missed and nothing comes twice, whatever is written between. */
static void test_tail(void **state)
{
	struct fixture *f = *state;
	struct store_query query = { .limit = 3 };
	struct fixture_rows rows;
	uint64_t seen = 0, newest, transition;

	assert_int_equal(store_newest(f->reader, &newest, &transition), 0);
	assert_int_equal(newest, 0);
	for (uint64_t i = 0; i < 5; i++) {
		fixture_batch(f, "h1", fixture_epoch_a, i * 4 + 1, 4, NULL);
		fixture_query(f, &query, &rows);
		for (size_t j = 0; j < rows.n; j++)
			assert_int_equal(rows.rows[j].id, ++seen);
		query.after_id = rows.page.last_id;
		free(rows.rows);
	}
	assert_int_equal(seen, 15);
	assert_int_equal(store_newest(f->reader, &newest, &transition), 0);
	assert_int_equal(newest, 20);
}

static void retain_all(struct fixture *f, const struct store_retention *retention,
		       uint64_t *ret_deleted)
{
	struct store_retained done = { .more = true };

	*ret_deleted = 0;
	while (done.more) {
		assert_int_equal(store_retain(f->writer, retention, &done), 0);
		*ret_deleted += done.deleted;
	}
}

static void test_retention_by_age(void **state)
{
	struct fixture *f = *state;
	struct store_retention retention = { .now_unix_ns = fixture_time(3000) + 1000,
					     .age_ns = 1000 };
	uint64_t deleted, newest, transition;

	for (uint64_t i = 0; i < 3; i++)
		fixture_batch(f, "h1", fixture_epoch_a, i * 1000 + 1, 1000, NULL);
	retain_all(f, &retention, &deleted);
	assert_int_equal(deleted,
			 2000); /* stored at fixture_time(1001), (2001); the third is at (3001) */
	assert_int_equal(fixture_count(f, &(struct store_filter){ 0 }), 1000);
	retention.now_unix_ns = UINT64_MAX / 4;
	retain_all(f, &retention, &deleted);
	assert_int_equal(deleted, 999); /* ids are never used again, so the newest stays */
	fixture_reopen(f);
	assert_int_equal(fixture_batch(f, "h1", fixture_epoch_a, 3001, 1, NULL), 0);
	assert_int_equal(store_newest(f->reader, &newest, &transition), 0);
	assert_int_equal(newest, 3001);
	assert_int_equal(fixture_batch(f, "h1", fixture_epoch_a, 1, 10, NULL), 0);
	assert_int_equal(fixture_count(f, &(struct store_filter){ 0 }), 2);
}

static void test_retention_by_size(void **state)
{
	struct fixture *f = *state;
	struct store_retention retention = { .now_unix_ns = 1, .bytes = 512 * 1024 };
	uint64_t deleted, bytes;

	for (uint64_t i = 0; i < 20; i++)
		fixture_batch(f, "h1", fixture_epoch_a, i * 1000 + 1, 1000, NULL);
	assert_int_equal(store_size(f->writer, &bytes), 0);
	assert_true(bytes > retention.bytes);
	retain_all(f, &retention, &deleted);
	assert_true(deleted >= 2000);
	assert_int_equal(store_size(f->writer, &bytes), 0);
	assert_true(bytes <= retention.bytes + 200000);
	assert_int_equal(store_settle(f->writer), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_filters),
		TEST(test_time),
		TEST(test_clocks_that_run_ahead),
		TEST(test_stored_never_falls),
		TEST(test_paging),
		TEST(test_limit_of_bytes),
		TEST(test_tail),
		TEST(test_retention_by_age),
		TEST(test_retention_by_size),
	};

	return fixture_run("query", tests, sizeof(tests) / sizeof(tests[0]));
}
