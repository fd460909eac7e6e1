/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Live events over HTTP (server-sent events, WHATWG HTML 9.2). Like a watcher of gRPC: a cursor and
 * at most one read under way. MHD asks for bytes by sse_read; with none at hand the connection is
 * suspended until the reader brings some or the heartbeat is due. A client that comes back with
 * Last-Event-ID goes on behind it, from the store.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/http/body.h"
#include "aggregator/http/internal.h"
#include "core/clock.h"
#include "core/log.h"

#define SSE_PIECE_ROWS	256
#define SSE_PIECE_BYTES (256u << 10)
#define SSE_BUFFER	(4u << 20)
#define SSE_ARENA_MAX	(8u << 20)
#define SSE_BLOCK	16384

static void sse_pump(struct sse *sse);

static void sse_free(struct sse *sse)
{
	if (!sse->is_closed || sse->is_busy)
		return;
	arena_free(sse->arena);
	buf_deinit(&sse->out);
	buf_deinit(&sse->piece);
	free(sse);
}

/* ---- on the reader's thread ---- */

static bool sse_row(void *data, const struct store_event *event)
{
	struct sse *sse = data;

	sse->job.error = body_sse(&sse->piece, sse->arena, event);
	return sse->job.error == 0;
}

static int sse_run(struct reader_job *job, struct store *store)
{
	struct sse *sse = (struct sse *)job;
	struct store_query query = {
		.filter = sse->query.filter,
		.limit = SSE_PIECE_ROWS,
		.max_bytes = SSE_PIECE_BYTES,
		.deadline_ns = clock_monotonic_ns() + READER_QUERY_NS,
	};
	struct store_page page = { 0 };
	uint64_t transition;
	int r = 0;

	sse->job.error = 0;
	if (!sse->is_begun)
		r = store_newest(store, &sse->cursor, &transition);
	query.after_id = sse->cursor;
	if (r == 0)
		r = store_query(store, &query, sse_row, sse, &page);
	if (r == 0 && sse->job.error == 0)
		sse->cursor = page.last_id;
	sse->more = page.more;
	return r < 0 ? r : sse->job.error;
}

/* ---- on the loop ---- */

static void sse_resume(struct sse *sse)
{
	if (!sse->is_suspended)
		return;
	sse->is_suspended = false;
	MHD_resume_connection(sse->connection);
}

static void sse_done(struct reader_job *job)
{
	static struct log_limit limit;
	struct sse *sse = (struct sse *)job;

	sse->is_busy = false;
	if (sse->is_closed) {
		sse_free(sse);
		return;
	}
	sse->is_begun |= job->error == 0;
	sse->is_behind |= sse->more || job->error < 0;
	if (job->error < 0)
		log_limited(&limit, LOG_LEVEL_ERROR, "live stream cannot read error=\"%s\"",
			    log_errno(job->error));
	else if (buf_append(&sse->out, sse->piece.data, sse->piece.size) < 0)
		log_limited(&limit, LOG_LEVEL_ERROR, "live stream has no memory");
	buf_reset(&sse->piece);
	if (sse->out.size > 0) {
		sse_resume(sse);
		http_run(sse->http);
	} else if (job->error == 0) {
		sse_pump(sse);
	}
}

/* Reads on when all was taken. After a failure the next commit or heartbeat tries again. */
static void sse_pump(struct sse *sse)
{
	if (sse->is_busy || !sse->is_behind || sse->out.size > 0)
		return;
	sse->job.home = READER_LOOP;
	sse->job.run = sse_run;
	sse->job.done = sse_done;
	sse->is_behind = false;
	sse->is_busy = reader_put(sse->http->aggregator->reader, &sse->job);
	if (!sse->is_busy)
		sse->is_behind = true;
}

static ssize_t sse_read(void *cls, uint64_t pos, char *buffer, size_t max)
{
	struct sse *sse = cls;
	size_t n = sse->out.size < max ? sse->out.size : max;

	if (n == 0) {
		sse_pump(sse);
		sse->is_suspended = true;
		MHD_suspend_connection(sse->connection);
		return 0;
	}
	memcpy(buffer, sse->out.data, n);
	buf_consume(&sse->out, n);
	return (ssize_t)n;
}

static void sse_closed(void *cls)
{
	struct sse *sse = cls;
	struct http *http = sse->http;

	LIST_REMOVE(sse, link);
	http->n_streams--;
	counter_set(&http->aggregator->metrics.sse_clients, http->n_streams);
	if (http->n_streams == 0)
		ev_timer_stop(http->aggregator->loop, &http->heartbeat);
	sse->is_closed = true;
	sse_free(sse);
}

static struct sse *sse_new(struct request *request)
{
	struct sse *sse = calloc(1, sizeof(*sse));

	if (!sse || arena_new(&sse->arena, SSE_ARENA_MAX) < 0) {
		free(sse);
		return NULL;
	}
	sse->http = request->http;
	sse->connection = request->connection;
	sse->out.max = SSE_BUFFER;
	sse->piece.max = SSE_BUFFER;
	sse->is_behind = true;
	return sse;
}

/* The stream parses the query for itself: its strings live as long as it does. */
static bool sse_cursor(struct sse *sse, const struct request *request, const char *last_id)
{
	struct query last;
	char text[64];

	sse->query = request->query;
	sse->query.filter.host_ids = sse->query.hosts;
	for (size_t i = 0; i < sse->query.filter.n_hosts; i++)
		sse->query.hosts[i] =
			sse->query.text + (request->query.hosts[i] - request->query.text);
	if (request->query.filter.kind_glob)
		sse->query.filter.kind_glob =
			sse->query.text + (request->query.filter.kind_glob - request->query.text);
	if (request->query.filter.subject_id)
		sse->query.filter.subject_id =
			sse->query.text + (request->query.filter.subject_id - request->query.text);
	sse->cursor = request->query.after_id;
	sse->is_begun = request->query.after_is_number;
	if (!last_id)
		return true;
	if (snprintf(text, sizeof(text), "after=%s", last_id) >= (int)sizeof(text) ||
	    query_parse(text, 0, &last, NULL) < 0 || !last.after_is_number)
		return false;
	sse->cursor = last.after_id;
	sse->is_begun = true;
	return true;
}

static void sse_link(struct sse *sse)
{
	struct http *http = sse->http;

	LIST_INSERT_HEAD(&http->streams, sse, link);
	if (http->n_streams++ == 0)
		ev_timer_again(http->aggregator->loop, &http->heartbeat);
	counter_set(&http->aggregator->metrics.sse_clients, http->n_streams);
}

enum MHD_Result sse_start(struct request *request, const char *last_id)
{
	struct http *http = request->http;
	struct MHD_Response *response;
	enum MHD_Result result;
	struct sse *sse;

	if (request->query.newest_first)
		return request_error(request, MHD_HTTP_BAD_REQUEST, "order: a live stream is asc");
	if (http->n_streams >= http->aggregator->settings.http.max_streams)
		return request_error(request, MHD_HTTP_SERVICE_UNAVAILABLE,
				     "http.max_streams live streams are open");
	sse = sse_new(request);
	if (!sse)
		return MHD_NO;
	if (!sse_cursor(sse, request, last_id)) {
		sse->is_closed = true;
		sse_free(sse);
		return request_error(request, MHD_HTTP_BAD_REQUEST, "Last-Event-ID: not an id");
	}
	/* Bytes at once, so that the client sees the stream open. */
	buf_printf(&sse->out, "retry: 2000\n\n");
	sse_link(sse);
	response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, SSE_BLOCK, sse_read, sse,
						     sse_closed);
	if (!response) {
		sse_closed(sse);
		return MHD_NO;
	}
	request_headers(response, "text/event-stream");
	result = MHD_queue_response(request->connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return result;
}

void sse_wake(struct http *http)
{
	struct sse *sse;

	LIST_FOREACH (sse, &http->streams, link) {
		sse->is_behind = true;
		sse_pump(sse);
	}
}

void sse_heartbeat(struct http *http)
{
	struct sse *sse;

	LIST_FOREACH (sse, &http->streams, link) {
		if (sse->out.size == 0)
			buf_append(&sse->out, ": \n\n", 4);
		sse_resume(sse);
	}
	http_run(http);
}

void sse_stop(struct http *http)
{
	struct sse *sse;

	LIST_FOREACH (sse, &http->streams, link)
		sse_resume(sse);
}
