/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/store/store_ops.h"
#include "proto/codec.h"

const uint8_t fixture_epoch_a[16] = "epoch-a........";
const uint8_t fixture_epoch_b[16] = "epoch-b........";

static const struct store_ops *const fixture_implementers[] = { &store_sqlite };
static const struct store_ops *fixture_ops;

int fixture_run(const char *name, const struct CMUnitTest *tests, size_t n_tests)
{
	int failed = 0;

	for (size_t i = 0; i < sizeof(fixture_implementers) / sizeof(fixture_implementers[0]);
	     i++) {
		fixture_ops = fixture_implementers[i];
		print_message("implementer: %s\n", fixture_ops->name);
		failed += _cmocka_run_group_tests(name, tests, n_tests, NULL, NULL);
	}
	return failed;
}

void fixture_open(struct fixture *f)
{
	const struct store_options options = { .path = f->path,
					       .cache_bytes = 4u << 20,
					       .busy_ms = 2000 };
	struct errmsg err = { 0 };

	if (store_open(f->ops, &options, STORE_WRITE, &f->writer, &err) != 0 ||
	    store_open(f->ops, &options, STORE_READ, &f->reader, &err) != 0)
		fail_msg("%s", err.text);
}

void fixture_close(struct fixture *f)
{
	f->reader = store_close(f->reader);
	f->writer = store_close(f->writer);
}

void fixture_reopen(struct fixture *f)
{
	fixture_close(f);
	fixture_open(f);
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->ops = fixture_ops;
	strcpy(f->dir, "/tmp/pathbell-store.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/store.db", f->dir);
	fixture_open(f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };
	struct fixture *f = *state;
	char path[160];

	fixture_close(f);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
		unlink(path);
	}
	rmdir(f->dir);
	free(f);
	return 0;
}

void fixture_frame(struct buf *out, const struct fixture_event *from)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Subject subject = PATHBELL__V1__SUBJECT__INIT;
	Pathbell__V1__CommandState state = PATHBELL__V1__COMMAND_STATE__INIT;
	uint8_t bytes[512], head[16];
	size_t size;

	event.kind = from->kind;
	event.severity = from->severity;
	event.time_unix_ns = from->time_unix_ns;
	subject.id = (char *)(from->subject_id ? from->subject_id : "");
	event.subject = &subject;
	if (from->command_id) {
		state.command_id.data = (uint8_t *)from->command_id;
		state.command_id.len = 16;
		state.life = from->life;
		event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_COMMAND_STATE;
		event.command_state = &state;
	}
	assert_true(pathbell__v1__event__get_packed_size(&event) <= sizeof(bytes));
	size = pathbell__v1__event__pack(&event, bytes);
	assert_int_equal(buf_append(out, head, (size_t)(codec_put_frame(head, size) - head)), 0);
	assert_int_equal(buf_append(out, bytes, size), 0);
}

uint64_t fixture_time(uint64_t seq)
{
	return UINT64_C(1000000000) * 1000 + seq * 1000;
}

int fixture_events(struct fixture *f, const char *host, uint64_t first, const struct buf *events,
		   uint32_t count, struct store_batch *ret)
{
	struct store_write write = { .type = STORE_BATCH,
				     .host_id = host,
				     .now_unix_ns = fixture_time(first) };
	struct store_write *writes = &write;

	memcpy(write.batch.epoch, fixture_epoch_a, 16);
	write.batch.first_seq = first;
	write.batch.count = count;
	write.batch.events = events->data;
	write.batch.events_size = events->size;
	assert_int_equal(store_write(f->writer, &writes, 1), 0);
	store_write_release(&write);
	if (ret)
		*ret = write.batch;
	return write.ret_outcome;
}

static void fixture_fill(struct buf *events, uint64_t first, uint32_t count)
{
	for (uint64_t seq = first; seq < first + count; seq++) {
		const struct fixture_event event = {
			.kind = seq % 2 ? 100 : 200,
			.severity = seq % 3 ? 9 : 17,
			.time_unix_ns = fixture_time(seq),
			.subject_id = seq % 5 ? "wwid:one" : "wwid:five",
		};

		fixture_frame(events, &event);
	}
}

int fixture_batch(struct fixture *f, const char *host, const uint8_t epoch[16], uint64_t first,
		  uint32_t count, struct store_batch *ret)
{
	struct store_write write = { .type = STORE_BATCH, .host_id = host };
	struct store_write *writes = &write;
	struct buf events = { 0 };

	fixture_fill(&events, first, count);
	write.now_unix_ns = fixture_time(first + count);
	memcpy(write.batch.epoch, epoch, 16);
	write.batch.first_seq = first;
	write.batch.count = count;
	write.batch.events = events.data;
	write.batch.events_size = events.size;
	assert_int_equal(store_write(f->writer, &writes, 1), 0);
	store_write_release(&write);
	buf_deinit(&events);
	if (ret)
		*ret = write.batch;
	return write.ret_outcome;
}

int fixture_gone(struct fixture *f, const char *host, const uint8_t epoch[16], uint64_t first,
		 uint64_t last)
{
	struct store_write write = { .type = STORE_GONE, .host_id = host, .now_unix_ns = 1 };
	struct store_write *writes = &write;

	memcpy(write.gone.epoch, epoch, 16);
	write.gone.first_seq = first;
	write.gone.last_seq = last;
	write.gone.reason = 2;
	assert_int_equal(store_write(f->writer, &writes, 1), 0);
	return write.ret_outcome;
}

uint64_t fixture_mark(struct fixture *f, const char *host, const uint8_t epoch[16])
{
	uint64_t mark = 0;

	assert_int_equal(store_watermark(f->reader, host, epoch, &mark), 0);
	return mark;
}

static bool fixture_row(void *data, const struct store_event *event)
{
	struct fixture_rows *rows = data;
	struct fixture_row *row;

	rows->rows = realloc(rows->rows, (rows->n + 1) * sizeof(*rows->rows));
	assert_non_null(rows->rows);
	row = &rows->rows[rows->n++];
	row->id = event->id;
	row->seq = event->seq;
	row->time_unix_ns = event->time_unix_ns;
	row->stored_unix_ns = event->stored_unix_ns;
	row->kind = event->kind;
	row->severity = event->severity;
	snprintf(row->host_id, sizeof(row->host_id), "%s", event->host_id);
	memcpy(row->epoch, event->epoch, 16);
	return true;
}

void fixture_query(struct fixture *f, const struct store_query *query,
		   struct fixture_rows *ret_rows)
{
	memset(ret_rows, 0, sizeof(*ret_rows));
	assert_int_equal(store_query(f->reader, query, fixture_row, ret_rows, &ret_rows->page), 0);
}

size_t fixture_count(struct fixture *f, const struct store_filter *filter)
{
	struct store_query query = { .filter = *filter, .limit = 100 };
	struct fixture_rows rows;
	size_t n = 0;

	do {
		fixture_query(f, &query, &rows);
		n += rows.n;
		free(rows.rows);
		query.after_id = rows.page.last_id;
	} while (rows.page.more);
	return n;
}
