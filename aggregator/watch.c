/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A watcher is a cursor (id of an event, id of a transition) and at most one job at the reader.
 * When a commit brings something new, or the stream has sent all that it had, the next piece behind
 * the cursor is read, at most watch.buffer bytes. So a slow watcher costs one buffer, is never
 * skipped and never disconnected for being slow: it reads from the store at its own pace, and
 * misses only what retention deletes.
 */
#include "aggregator/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "aggregator/fleet.h"
#include "aggregator/view.h"
#include "core/clock.h"
#include "core/log.h"

#define WATCH_PIECE	  1024 /* rows of one read */
#define WATCH_MAX_BACKLOG 1000
#define WATCH_ARENA_MAX	  (64u << 20)

struct watch {
	struct reader_job read; /* first */
	struct aggregator *aggregator;
	struct rpc_call *call; /* NULL: closed */
	bool is_commands;
	ProtobufCMessage *request;
	struct store_filter filter;
	uint64_t cursor;
	uint32_t backlog;
	bool is_begun;	/* the cursor is set */
	bool is_busy;	/* a read is under way */
	bool is_behind; /* there may be more than was read */
	bool is_finished, is_found;
	bool more;	/* of the read: not at the end */
	struct buf out; /* of the read: size (4 bytes), message, ... */
	struct arena *arena;
	size_t *starts; /* of messages in `out`, for the backlog */
	size_t n_starts;
	size_t max_bytes;
	LIST_ENTRY(watch) link;
};

struct watches {
	LIST_HEAD(, watch) all;
	size_t n;
};

struct watches *watches_new(void)
{
	return calloc(1, sizeof(struct watches));
}

struct watches *watches_free(struct watches *watches)
{
	free(watches);
	return NULL;
}

bool watch_enter(struct aggregator *aggregator, const char **ret_details)
{
	struct watches *watches = aggregator->watches;

	if (watches->n >= aggregator->live.watch.max_watchers) {
		counter_add(&aggregator->metrics.watch_refused, 1);
		*ret_details = "watch.max_watchers streams are open";
		return false;
	}
	counter_set(&aggregator->metrics.watchers, ++watches->n);
	return true;
}

void watch_leave(struct aggregator *aggregator)
{
	counter_set(&aggregator->metrics.watchers, --aggregator->watches->n);
}

static void watch_free(struct watch *watch)
{
	if (watch->call || watch->is_busy)
		return;
	if (watch->request)
		protobuf_c_message_free_unpacked(watch->request, NULL);
	arena_free(watch->arena);
	buf_deinit(&watch->out);
	free(watch->starts);
	free(watch);
}

static void watch_finish(struct watch *watch, int status, const char *details)
{
	if (!watch->call || watch->is_finished)
		return;
	watch->is_finished = true;
	rpc_call_finish(watch->call, status, details);
}

/* ---- on the reader's thread ---- */

/* A message begins: room for its size, which watch_close fills in. */
static int watch_open(struct watch *watch, size_t *ret_start)
{
	uint32_t size = 0;

	*ret_start = watch->out.size;
	return buf_append(&watch->out, &size, sizeof(size));
}

static void watch_close(struct watch *watch, size_t start)
{
	uint32_t size = (uint32_t)(watch->out.size - start - sizeof(size));

	memcpy(watch->out.data + start, &size, sizeof(size));
	if (watch->starts)
		watch->starts[watch->n_starts++] = start;
}

static bool watch_event_row(void *data, const struct store_event *event)
{
	struct watch *watch = data;
	size_t start;

	watch->read.error = watch_open(watch, &start);
	if (watch->read.error == 0)
		watch->read.error = view_event(&watch->out, event);
	if (watch->read.error == 0)
		watch_close(watch, start);
	return watch->read.error == 0;
}

static bool watch_command_row(void *data, const struct store_command *command)
{
	struct watch *watch = data;
	const Pathbell__V1__WatchCommandsRequest *request =
		(const Pathbell__V1__WatchCommandsRequest *)watch->request;
	Pathbell__V1__CommandRecord *record;
	size_t start, size;

	if (watch->is_begun && command->last_change > watch->cursor)
		watch->cursor = command->last_change;
	if (request->command_id.len == 16 && memcmp(request->command_id.data, command->id, 16) != 0)
		return true;
	watch->is_found = true;
	arena_reset(watch->arena);
	record = view_command(watch->arena, command);
	watch->read.error = record ? watch_open(watch, &start) : -ENOMEM;
	if (watch->read.error < 0)
		return false;
	size = protobuf_c_message_get_packed_size(&record->base);
	watch->read.error = buf_reserve(&watch->out, size);
	if (watch->read.error < 0)
		return false;
	protobuf_c_message_pack(&record->base, watch->out.data + watch->out.size);
	watch->out.size += size;
	watch_close(watch, start);
	return true;
}

/* The newest `backlog` matching events, collected newest first. */
static int watch_begin_events(struct watch *watch, struct store *store)
{
	struct store_query query = {
		.filter = watch->filter,
		.newest_first = true,
		.limit = watch->backlog,
		.max_bytes = watch->max_bytes,
		.deadline_ns = clock_monotonic_ns() + READER_QUERY_NS,
	};
	struct store_page page;
	uint64_t newest, transition;
	int r = store_newest(store, &newest, &transition);

	if (r < 0)
		return r;
	watch->cursor = newest;
	if (watch->backlog == 0)
		return 0;
	watch->starts = calloc(watch->backlog, sizeof(*watch->starts));
	if (!watch->starts)
		return -ENOMEM;
	query.after_id = newest + 1;
	return store_query(store, &query, watch_event_row, watch, &page);
}

static int watch_begin_commands(struct watch *watch, struct store *store)
{
	const Pathbell__V1__WatchCommandsRequest *request =
		(const Pathbell__V1__WatchCommandsRequest *)watch->request;
	struct store_command_query query = { .limit = WATCH_MAX_BACKLOG, .unfinished = true };
	uint64_t newest, transition;
	int r = store_newest(store, &newest, &transition);

	if (r < 0)
		return r;
	if (request->command_id.len == 16)
		query.id = request->command_id.data;
	/* What changes between the two reads comes twice: a record is a state, not a delta. */
	r = store_commands(store, &query, watch_command_row, watch);
	watch->cursor = transition;
	return r;
}

static int watch_run(struct reader_job *job, struct store *store)
{
	struct watch *watch = (struct watch *)job;
	struct store_query query = {
		.filter = watch->filter,
		.after_id = watch->cursor,
		.limit = WATCH_PIECE,
		.max_bytes = watch->max_bytes,
		.deadline_ns = clock_monotonic_ns() + READER_QUERY_NS,
	};
	struct store_command_query commands = {
		.by_change = true,
		.changed_after = watch->cursor,
		.limit = 64,
	};
	struct store_page page = { 0 };
	int r;

	watch->read.error = 0;
	buf_reset(&watch->out);
	if (!watch->is_begun) {
		r = watch->is_commands ? watch_begin_commands(watch, store)
				       : watch_begin_events(watch, store);
		watch->more = true;
	} else if (watch->is_commands) {
		uint64_t before = watch->cursor;

		r = store_commands(store, &commands, watch_command_row, watch);
		watch->more = watch->cursor != before;
	} else {
		r = store_query(store, &query, watch_event_row, watch, &page);
		if (r == 0)
			watch->cursor = page.last_id;
		watch->more = page.more;
	}
	return r < 0 ? r : watch->read.error;
}

/* ---- on the gRPC thread ---- */

static void watch_pump(struct watch *watch);

static void watch_send(struct watch *watch, size_t start)
{
	uint32_t size;

	memcpy(&size, watch->out.data + start, sizeof(size));
	if (watch->call && !watch->is_finished)
		rpc_call_enqueue(watch->call, watch->out.data + start + sizeof(size), size,
				 SIZE_MAX);
	if (!watch->is_commands)
		counter_add(&watch->aggregator->metrics.watch_events, 1);
}

static void watch_send_all(struct watch *watch)
{
	uint32_t size;

	/* The backlog was read newest first. */
	while (watch->n_starts > 0)
		watch_send(watch, watch->starts[--watch->n_starts]);
	if (watch->starts) {
		free(watch->starts);
		watch->starts = NULL;
		return;
	}
	for (size_t pos = 0; pos < watch->out.size; pos += sizeof(size) + size) {
		memcpy(&size, watch->out.data + pos, sizeof(size));
		watch_send(watch, pos);
	}
}

static void watch_done(struct reader_job *job)
{
	struct watch *watch = (struct watch *)job;
	bool first = !watch->is_begun;

	watch->is_busy = false;
	watch->is_behind |= watch->more;
	if (job->error < 0) {
		watch_finish(watch,
			     job->error == -ENOBUFS || job->error == -ENOMEM
				     ? RPC_RESOURCE_EXHAUSTED
				     : RPC_UNAVAILABLE,
			     "the store cannot be read now");
	} else if (first && watch->is_commands && !watch->is_found &&
		   ((const Pathbell__V1__WatchCommandsRequest *)watch->request)->command_id.len) {
		watch_finish(watch, RPC_NOT_FOUND, "command_id: no such command");
	} else {
		watch->is_begun = true;
		watch_send_all(watch);
	}
	if (!watch->call)
		watch_free(watch);
	else
		watch_pump(watch);
}

/* The next piece, if there is one and the stream has sent the last. */
static void watch_pump(struct watch *watch)
{
	if (!watch->call || watch->is_finished || watch->is_busy || !watch->request ||
	    !watch->is_behind || rpc_call_queued(watch->call) > 0)
		return;
	watch->is_behind = false;
	watch->is_busy = true;
	watch->read.home = READER_GRPC;
	watch->read.run = watch_run;
	watch->read.done = watch_done;
	if (reader_put(watch->aggregator->reader, &watch->read))
		return;
	watch->is_busy = false;
	watch_finish(watch, RPC_RESOURCE_EXHAUSTED, "too many queries wait");
}

static const char *watch_begin(struct watch *watch)
{
	if (watch->is_commands) {
		size_t len = ((const Pathbell__V1__WatchCommandsRequest *)watch->request)
				     ->command_id.len;

		return len == 0 || len == 16 ? NULL : "command_id: not 16 bytes";
	}
	const Pathbell__V1__WatchEventsRequest *request =
		(const Pathbell__V1__WatchEventsRequest *)watch->request;

	if (request->backlog > WATCH_MAX_BACKLOG)
		return "backlog: above 1000";
	watch->cursor = request->after_id;
	watch->is_begun = request->after_id != 0;
	watch->backlog = request->backlog;
	return fleet_filter(request->filter, &watch->filter);
}

static void watch_on_message(struct rpc_call *call, void *data, const uint8_t *message, size_t size)
{
	struct watch *watch = data;
	struct errmsg err = { 0 };
	const char *wrong;

	if (watch->is_finished)
		return;
	if (watch->request) {
		watch_finish(watch, RPC_INVALID_ARGUMENT, "a second request");
		return;
	}
	watch->request =
		codec_unpack(watch->is_commands ? &pathbell__v1__watch_commands_request__descriptor
						: &pathbell__v1__watch_events_request__descriptor,
			     &scan_limits_request, NULL, message, size, &err);
	if (!watch->request) {
		watch_finish(watch, RPC_INVALID_ARGUMENT, err.text);
		return;
	}
	wrong = watch_begin(watch);
	watch->is_behind = true;
	if (wrong)
		watch_finish(watch, RPC_INVALID_ARGUMENT, wrong);
	else
		watch_pump(watch);
}

static void watch_on_sent(struct rpc_call *call, void *data)
{
	watch_pump(data);
}

static void watch_on_closed(struct rpc_call *call, void *data, int status, const char *details)
{
	struct watch *watch = data;

	LIST_REMOVE(watch, link);
	watch_leave(watch->aggregator);
	watch->call = NULL;
	watch_free(watch);
}

static const struct rpc_call_ops watch_ops = {
	.on_message = watch_on_message,
	.on_sent = watch_on_sent,
	.on_closed = watch_on_closed,
};

int watch_on_call(struct aggregator *aggregator, struct rpc_call *call, const struct caller *caller,
		  const struct rpc_call_ops **ret_ops, void **ret_data, const char **ret_details)
{
	struct watch *watch;

	if (!watch_enter(aggregator, ret_details))
		return RPC_RESOURCE_EXHAUSTED;
	watch = calloc(1, sizeof(*watch));
	if (!watch || arena_new(&watch->arena, WATCH_ARENA_MAX) < 0) {
		free(watch);
		watch_leave(aggregator);
		*ret_details = "no memory";
		return RPC_RESOURCE_EXHAUSTED;
	}
	watch->aggregator = aggregator;
	watch->call = call;
	watch->is_commands = strstr(rpc_call_method(call), "/WatchCommands") != NULL;
	watch->max_bytes = aggregator->live.watch.buffer_bytes;
	LIST_INSERT_HEAD(&aggregator->watches->all, watch, link);
	*ret_ops = &watch_ops;
	*ret_data = watch;
	return RPC_OK;
}

void watch_on_commit(struct aggregator *aggregator, bool events, bool commands)
{
	struct watch *watch, *next;

	for (watch = LIST_FIRST(&aggregator->watches->all); watch; watch = next) {
		next = LIST_NEXT(watch, link);
		if (!(watch->is_commands ? commands : events))
			continue;
		watch->is_behind = true;
		watch_pump(watch);
	}
}

void watch_stop(struct aggregator *aggregator)
{
	struct watch *watch, *next;

	for (watch = LIST_FIRST(&aggregator->watches->all); watch; watch = next) {
		next = LIST_NEXT(watch, link);
		watch_finish(watch, RPC_UNAVAILABLE, "the aggregator stops");
	}
}
