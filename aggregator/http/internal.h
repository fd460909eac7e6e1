/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "aggregator/aggregator.h"
#include "aggregator/http/query.h"
#include "aggregator/http/writers.h"
#include "aggregator/roles.h"
#include "core/buf.h"
#include "core/errmsg.h"
#include "proto/arena.h"

/* Inside of the HTTP side: http.c the daemon in the loop, request.c the routes, sse.c live streams.
 */
struct http {
	struct aggregator *aggregator;
	struct MHD_Daemon *daemon;
	ev_io io;
	ev_timer timeout;   /* what the daemon asks for; stopped when it asks for nothing */
	ev_timer heartbeat; /* only while there are live streams */
	LIST_HEAD(, sse) streams;
	size_t n_streams;
	atomic_bool is_told; /* a wake-up of the streams is on its way to the loop */
	bool is_running;     /* inside MHD_run */
	struct writers *writers;
};

/* Lets the daemon work; after a connection was resumed. Not from within its callbacks. */
void http_run(struct http *http);

enum request_state { REQUEST_NEW, REQUEST_WAITING, REQUEST_READY };

struct request {
	struct reader_job job; /* first */
	struct http *http;
	struct MHD_Connection *connection;
	enum request_state state;
	const struct request_route *route;
	char *uri;	/* as it came, with the query string */
	char *argument; /* behind the route's prefix; in uri */
	struct query query;
	struct buf body;
	unsigned status;
	struct arena *arena;
	void *hosts; /* Pathbell__V1__Host *, from the arena */
	size_t n_hosts;
	bool more, has_head;
	/* of a writing one */
	struct buf upload;
	const char *method; /* of the Fleet service */
	const char *type;   /* of the answer; NULL: the route's */
	struct caller caller;
	ProtobufCMessage *message;
	struct errmsg wrong;
	bool is_too_large;
};

/* libmicrohttpd's callbacks. */
void *request_begin(void *cls, const char *uri, struct MHD_Connection *connection);
enum MHD_Result request_on_access(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload_data,
				  size_t *upload_data_size, void **con_cls);
void request_on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
			  enum MHD_RequestTerminationCode code);
/* {"error": text} with @status. */
enum MHD_Result request_error(struct request *request, unsigned status, const char *text);
void request_headers(struct MHD_Response *response, const char *type);

/* http/post.c: requests that change something, and those that only writers may make. */
void post_take(struct request *request, const char *data, size_t size);
enum MHD_Result post_start(struct request *request);
/* By the bearer token. False: the answer is sent, *ret_result is MHD's. */
bool post_authorise(struct request *request, enum MHD_Result *ret_result);
/* Waiting for the store or the gRPC thread is over. */
void request_ready(void *data);
void request_discard(void *data);
void request_set_error(struct request *request, unsigned status, const char *text);

struct sse {
	struct reader_job job; /* first */
	struct http *http;
	struct MHD_Connection *connection;
	struct query query;
	uint64_t cursor;
	struct buf out;	  /* to be sent */
	struct buf piece; /* of the read under way */
	struct arena *arena;
	bool is_begun, is_busy, is_behind, more, is_suspended, is_closed;
	LIST_ENTRY(sse) link;
};

/* Answers with a live stream behind @last_id (NULL: what is new from now on). */
enum MHD_Result sse_start(struct request *request, const char *last_id);
void sse_wake(struct http *http);      /* something new is durable */
void sse_heartbeat(struct http *http); /* a comment to each */
void sse_stop(struct http *http);      /* resumes all, so that the daemon can close them */
