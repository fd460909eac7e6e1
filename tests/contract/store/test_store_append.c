/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

static void test_batches_in_order(void **state)
{
	struct fixture *f = *state;
	struct store_batch batch;

	assert_int_equal(fixture_mark(f, "h1", fixture_epoch_a), 0);
	assert_int_equal(fixture_batch(f, "h1", fixture_epoch_a, 1, 10, &batch), 0);
	assert_int_equal(batch.ret_mark, 10);
	assert_int_equal(batch.ret_stored, 10);
	assert_int_equal(fixture_batch(f, "h1", fixture_epoch_a, 11, 5, &batch), 0);
	assert_int_equal(batch.ret_mark, 15);
	assert_int_equal(fixture_mark(f, "h1", fixture_epoch_a), 15);
	assert_int_equal(fixture_count(f, &(struct store_filter){ 0 }), 15);
}

static void test_duplicates_are_stored_once(void **state)
{
	struct fixture *f = *state;
	struct store_batch batch;

	fixture_batch(f, "h1", fixture_epoch_a, 1, 10, NULL);
	assert_int_equal(fixture_batch(f, "h1", fixture_epoch_a, 1, 10, &batch), 0);
	assert_int_equal(batch.ret_stored, 0);
	assert_int_equal(batch.ret_duplicates, 10);
	assert_int_equal(batch.ret_conflicts, 0);
	assert_int_equal(batch.ret_mark, 10);
	assert_int_equal(fixture_batch(f, "h1", fixture_epoch_a, 6, 10, &batch), 0);
	assert_int_equal(batch.ret_duplicates, 5);
	assert_int_equal(batch.ret_stored, 5);
	assert_int_equal(batch.ret_mark, 15);
	fixture_reopen(f);
	assert_int_equal(fixture_batch(f, "h1", fixture_epoch_a, 14, 4, &batch), 0);
	assert_int_equal(batch.ret_duplicates, 2);
	assert_int_equal(fixture_count(f, &(struct store_filter){ 0 }), 17);
}

static void test_a_gap_stores_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_batch batch;

	fixture_batch(f, "h1", fixture_epoch_a, 1, 3, NULL);
	assert_int_equal(fixture_batch(f, "h1", fixture_epoch_a, 5, 3, &batch), STORE_E_GAP);
	assert_int_equal(batch.ret_mark, 3);
	assert_int_equal(fixture_count(f, &(struct store_filter){ 0 }), 3);
	assert_int_equal(fixture_gone(f, "h1", fixture_epoch_a, 5, 9), STORE_E_GAP);
	assert_int_equal(fixture_mark(f, "h1", fixture_epoch_a), 3);
}

static void test_tombstones_take_the_place(void **state)
{
	struct fixture *f = *state;

	fixture_batch(f, "h1", fixture_epoch_a, 1, 3, NULL);
	assert_int_equal(fixture_gone(f, "h1", fixture_epoch_a, 4, 8), 0);
	assert_int_equal(fixture_mark(f, "h1", fixture_epoch_a), 8);
	assert_int_equal(fixture_gone(f, "h1", fixture_epoch_a, 4, 8), 0);
	assert_int_equal(fixture_gone(f, "h1", fixture_epoch_a, 7, 10), 0);
	assert_int_equal(fixture_mark(f, "h1", fixture_epoch_a), 10);
	assert_int_equal(fixture_batch(f, "h1", fixture_epoch_a, 11, 2, NULL), 0);
	assert_int_equal(fixture_count(f, &(struct store_filter){ 0 }), 5);
}

static void test_epochs_and_hosts_are_apart(void **state)
{
	struct fixture *f = *state;

	fixture_batch(f, "h1", fixture_epoch_a, 1, 3, NULL);
	fixture_batch(f, "h1", fixture_epoch_b, 1, 4, NULL);
	fixture_batch(f, "h2", fixture_epoch_a, 1, 5, NULL);
	assert_int_equal(fixture_mark(f, "h1", fixture_epoch_a), 3);
	assert_int_equal(fixture_mark(f, "h1", fixture_epoch_b), 4);
	assert_int_equal(fixture_mark(f, "h2", fixture_epoch_a), 5);
	assert_int_equal(fixture_mark(f, "h2", fixture_epoch_b), 0);
}

static void test_other_content_is_an_alarm(void **state)
{
	struct fixture *f = *state;
	const struct fixture_event other = { .kind = 300, .severity = 9, .time_unix_ns = 7 };
	struct store_batch batch;
	struct buf events = { 0 };

	fixture_batch(f, "h1", fixture_epoch_a, 1, 3, NULL);
	fixture_frame(&events, &other);
	assert_int_equal(fixture_events(f, "h1", 2, &events, 1, &batch), 0);
	assert_int_equal(batch.ret_conflicts, 1);
	assert_int_equal(batch.ret_stored, 0);
	assert_int_equal(fixture_count(f, &(struct store_filter){ .kind_glob = "nvme.*" }), 0);
	buf_deinit(&events);
}

static void test_a_bad_event_is_rejected_alone(void **state)
{
	struct fixture *f = *state;
	const struct fixture_event good = { .kind = 100, .severity = 9, .time_unix_ns = 7 };
	struct store_batch batch;
	struct buf events = { 0 };

	fixture_frame(&events, &good);
	assert_int_equal(buf_append(&events, "\x42\x02\xff\xff", 4), 0);
	fixture_frame(&events, &good);
	assert_int_equal(fixture_events(f, "h1", 1, &events, 3, &batch), 0);
	assert_int_equal(batch.ret_rejected, 1);
	assert_int_equal(batch.ret_rejections[0].seq, 2);
	assert_int_equal(batch.ret_stored, 2);
	assert_int_equal(batch.ret_mark, 3);
	buf_deinit(&events);
}

static void test_a_group_is_all_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_write good = { .type = STORE_GONE, .host_id = "h1", .now_unix_ns = 1 };
	struct store_write bad = good;
	struct store_write *writes[] = { &good, &bad };

	memcpy(good.gone.epoch, fixture_epoch_a, 16);
	good.gone.first_seq = 1;
	good.gone.last_seq = 5;
	bad.gone = good.gone;
	bad.gone.first_seq = 9;
	bad.gone.last_seq = 2; /* not a range: refused for good */
	assert_int_equal(store_write(f->writer, writes, 2), -EINVAL);
	assert_int_equal(fixture_mark(f, "h1", fixture_epoch_a), 0);
	assert_int_equal(store_write(f->writer, writes, 1), 0);
	assert_int_equal(fixture_mark(f, "h1", fixture_epoch_a), 5);
	assert_int_equal(fixture_batch(f, "h1", fixture_epoch_a, 6, 2, NULL), 0);
}

static void test_hello_gives_the_marks(void **state)
{
	struct fixture *f = *state;
	uint8_t epochs[32];
	struct store_write write = {
		.type = STORE_HELLO,
		.host_id = "h1",
		.now_unix_ns = 50,
		.hello = { .hostname = "one",
			   .agent_version = "1",
			   .kernel_release = "6",
			   .peer = "p",
			   .epochs = epochs,
			   .n_epochs = 2 },
	};
	struct store_write *writes = &write;

	memcpy(epochs, fixture_epoch_a, 16);
	memcpy(epochs + 16, fixture_epoch_b, 16);
	fixture_batch(f, "h1", fixture_epoch_b, 1, 4, NULL);
	assert_int_equal(store_write(f->writer, &writes, 1), 0);
	assert_int_equal(write.hello.ret_marks[0], 0);
	assert_int_equal(write.hello.ret_marks[1], 4);
}

static void test_a_second_writer_is_refused(void **state)
{
	struct fixture *f = *state;
	const struct store_options options = { .path = f->path,
					       .cache_bytes = 1 << 20,
					       .busy_ms = 10 };
	struct errmsg err = { 0 };
	struct store *second;

	assert_int_equal(store_open(f->ops, &options, STORE_WRITE, &second, &err), -EBUSY);
	assert_non_null(strstr(err.text, "in use"));
}

static bool count_host(void *data, const struct store_host *host)
{
	size_t *n = data;

	assert_string_equal(host->host_id, *n == 0 ? "h1" : "h2");
	assert_int_equal(host->events, *n == 0 ? 7 : 5);
	assert_int_equal(host->n_epochs, *n == 0 ? 2 : 1);
	(*n)++;
	return true;
}

static void test_hosts(void **state)
{
	struct fixture *f = *state;
	size_t n = 0;

	fixture_batch(f, "h2", fixture_epoch_a, 1, 5, NULL);
	fixture_batch(f, "h1", fixture_epoch_a, 1, 3, NULL);
	fixture_batch(f, "h1", fixture_epoch_b, 1, 4, NULL);
	assert_int_equal(store_hosts(f->reader, NULL, count_host, &n), 0);
	assert_int_equal(n, 2);
	n = 1;
	assert_int_equal(store_hosts(f->reader, "h1", count_host, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(store_host(f->reader, "none", count_host, &n), 0);
	assert_int_equal(n, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_batches_in_order),
		TEST(test_duplicates_are_stored_once),
		TEST(test_a_gap_stores_nothing),
		TEST(test_tombstones_take_the_place),
		TEST(test_epochs_and_hosts_are_apart),
		TEST(test_other_content_is_an_alarm),
		TEST(test_a_bad_event_is_rejected_alone),
		TEST(test_a_group_is_all_or_nothing),
		TEST(test_hello_gives_the_marks),
		TEST(test_a_second_writer_is_refused),
		TEST(test_hosts),
	};

	return fixture_run("append", tests, sizeof(tests) / sizeof(tests[0]));
}
