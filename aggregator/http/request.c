/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request. MHD calls request_on_access twice: for the head, then for the (empty) body; routes
 * that need the store suspend the connection there and are called a third time, after it was
 * resumed, with the answer ready. A suspended connection is not looked at by MHD, so a request
 * lives at least as long as its job.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/hosts.h"
#include "aggregator/http/body.h"
#include "aggregator/http/internal.h"
#include "aggregator/services.h"
#include "aggregator/view.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"

#define REQUEST_BODY_MAX  (64u << 20)
#define REQUEST_ARENA_MAX (64u << 20)

struct request_route {
	const char *path;
	bool is_prefix;
	bool for_writers; /* needs a token of http.writers */
	const char *type;
	/* At once, on the loop; fills body and status. Or NULL: */
	void (*answer)(struct request *request);
	/* On the reader's thread; 0 or -errno. */
	int (*read)(struct request *request, struct store *store);
	/* Then on the gRPC thread. May be NULL. */
	void (*finish)(struct request *request);
};

void request_headers(struct MHD_Response *response, const char *type)
{
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "X-Frame-Options", "DENY");
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(response, "Content-Security-Policy",
				"default-src 'none'; frame-ancestors 'none'");
}

static enum MHD_Result request_send(struct request *request, const char *type)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	if (request->status >= 400)
		counter_add(&request->http->aggregator->metrics.http_refused, 1);
	response = MHD_create_response_from_buffer(request->body.size, request->body.data,
						   MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	request_headers(response, type);
	if (request->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD, POST");
	if (request->status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
					"Bearer realm=\"pathbell\"");
	result = MHD_queue_response(request->connection, request->status, response);
	MHD_destroy_response(response);
	return result;
}

void request_set_error(struct request *request, unsigned status, const char *text)
{
	struct json_object *json = json_object_new_object();

	buf_reset(&request->body);
	request->status = status;
	if (!json)
		return;
	json_object_object_add(json, "error", json_object_new_string(text));
	buf_printf(&request->body, "%s\n",
		   json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN |
								JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(json);
}

enum MHD_Result request_error(struct request *request, unsigned status, const char *text)
{
	request_set_error(request, status, text);
	return request_send(request, "application/json");
}

/* ---- routes answered at once ---- */

static void answer_index(struct request *request)
{
	buf_printf(&request->body,
		   "pathbell-aggregator " PATHBELL_VERSION "\n\n"
		   "/metrics\n/healthz\n/readyz\n/api/v1/hosts\n/api/v1/hosts/ID\n"
		   "/api/v1/events?host=&kind=&severity=&subject=&since=&until=&limit=&"
		   "after=&order=\n"
		   "/api/v1/events/stream (server-sent events)\n"
		   "/api/v1/commands?host=&limit=&after=\n/api/v1/commands/ID\n"
		   "/api/v1/campaigns?limit=&after=\n/api/v1/campaigns/ID\n"
		   "/api/v1/audit?host=&limit=&after= (bearer token)\n\n"
		   "POST, with a bearer token and JSON:\n"
		   "/api/v1/commands {envelope}\n/api/v1/commands/ID/cancel {reason}\n"
		   "/api/v1/campaigns {envelopes}\n/api/v1/campaigns/ID/control {action, reason}\n"
		   "/api/v1/campaigns/plan {host_globs, target, array, degraded_only, verb}\n");
}

static void answer_metrics(struct request *request)
{
	if (metrics_render(&request->body, &request->http->aggregator->metrics) < 0)
		request_set_error(request, MHD_HTTP_INTERNAL_SERVER_ERROR, "no memory");
}

static void answer_healthz(struct request *request)
{
	buf_printf(&request->body, "ok\n");
}

static void answer_readyz(struct request *request)
{
	const struct aggregator *aggregator = request->http->aggregator;

	if (counter_get(&aggregator->metrics.ready) && !aggregator->draining) {
		buf_printf(&request->body, "ready\n");
		return;
	}
	request->status = MHD_HTTP_SERVICE_UNAVAILABLE;
	buf_printf(&request->body,
		   aggregator->draining ? "stopping\n" : "the store cannot commit\n");
}

/* ---- routes that read the store ---- */

static int read_events(struct request *request, struct store *store)
{
	return body_events(&request->body, store, &request->query);
}

static int read_commands(struct request *request, struct store *store)
{
	return body_commands(&request->body, store, &request->query);
}

static int read_campaigns(struct request *request, struct store *store)
{
	return body_campaigns(&request->body, store, &request->query);
}

static int read_audit(struct request *request, struct store *store)
{
	return body_audit(&request->body, store, &request->query);
}

/* On the gRPC thread, where the roles are. */
static void finish_audit(struct request *request)
{
	const char *details = NULL;

	if (services_check(request->http->aggregator, "/pathbell.v1.Fleet/QueryAudit",
			   &request->caller, &details) != RPC_OK)
		request_set_error(request, MHD_HTTP_FORBIDDEN, details);
}

/* One by its id; nothing in the body: there is none. */
static int read_one(struct request *request, int r)
{
	if (r == 0 && request->body.size == 0)
		request_set_error(request, MHD_HTTP_NOT_FOUND, "no such id");
	return r;
}

static int read_command(struct request *request, struct store *store)
{
	uint8_t id[ID_SIZE];

	if (!id_parse(request->argument, id))
		return read_one(request, 0);
	return read_one(request, body_command(&request->body, store, id));
}

static int read_campaign(struct request *request, struct store *store)
{
	uint8_t id[ID_SIZE];

	if (!id_parse(request->argument, id))
		return read_one(request, 0);
	return read_one(request, body_campaign(&request->body, store, id));
}

static bool read_host_row(void *data, const struct store_host *host)
{
	struct request *request = data;
	Pathbell__V1__Host **hosts = request->hosts;

	if (request->n_hosts == request->query.limit) {
		request->more = true;
		return false;
	}
	hosts[request->n_hosts] = view_host(request->arena, host, *request->argument != '\0');
	if (!hosts[request->n_hosts]) {
		request->job.error = -ENOMEM;
		return false;
	}
	request->n_hosts++;
	return true;
}

static int read_hosts(struct request *request, struct store *store)
{
	int r = arena_new(&request->arena, REQUEST_ARENA_MAX);

	if (r < 0)
		return r;
	request->hosts =
		arena_alloc(request->arena, request->query.limit * sizeof(Pathbell__V1__Host *));
	if (!request->hosts)
		return -ENOMEM;
	request->job.error = 0;
	if (*request->argument)
		r = store_host(store, request->argument, read_host_row, request);
	else
		r = store_hosts(store, request->query.after, read_host_row, request);
	return r < 0 ? r : request->job.error;
}

static int finish_host(struct request *request, Pathbell__V1__Host *host)
{
	const struct aggregator *aggregator = request->http->aggregator;

	hosts_decorate(aggregator->hosts, host, 3 * aggregator->live.ingest.heartbeat_interval_ns,
		       aggregator->started_unix_ns);
	return body_message(&request->body, &host->base);
}

static int finish_hosts_list(struct request *request)
{
	Pathbell__V1__Host **hosts = request->hosts;
	int r = buf_printf(&request->body, "{\"hosts\":[");

	for (size_t i = 0; r == 0 && i < request->n_hosts; i++) {
		r = i == 0 ? 0 : buf_append(&request->body, ",", 1);
		if (r == 0)
			r = finish_host(request, hosts[i]);
	}
	if (r == 0 && request->more)
		return buf_printf(&request->body, "],\"next_after\":\"%s\"}\n",
				  hosts[request->n_hosts - 1]->host_id);
	return r == 0 ? buf_printf(&request->body, "]}\n") : r;
}

static void finish_hosts(struct request *request)
{
	Pathbell__V1__Host **hosts = request->hosts;

	if (!*request->argument)
		request->job.error = finish_hosts_list(request);
	else if (request->n_hosts == 0)
		request_set_error(request, MHD_HTTP_NOT_FOUND, "no such host");
	else
		request->job.error = finish_host(request, hosts[0]);
}

static const struct request_route request_routes[] = {
	{ "/", false, false, "text/plain; charset=utf-8", answer_index, NULL, NULL },
	{ "/metrics", false, false, "text/plain; version=0.0.4; charset=utf-8", answer_metrics,
	  NULL, NULL },
	{ "/healthz", false, false, "text/plain; charset=utf-8", answer_healthz, NULL, NULL },
	{ "/readyz", false, false, "text/plain; charset=utf-8", answer_readyz, NULL, NULL },
	{ "/api/v1/hosts", false, false, "application/json", NULL, read_hosts, finish_hosts },
	{ "/api/v1/hosts/", true, false, "application/json", NULL, read_hosts, finish_hosts },
	{ "/api/v1/events", false, false, "application/json", NULL, read_events, NULL },
	{ "/api/v1/events/stream", false, false, "text/event-stream", NULL, read_events, NULL },
	{ "/api/v1/commands", false, false, "application/json", NULL, read_commands, NULL },
	{ "/api/v1/commands/", true, false, "application/json", NULL, read_command, NULL },
	{ "/api/v1/campaigns", false, false, "application/json", NULL, read_campaigns, NULL },
	{ "/api/v1/campaigns/", true, false, "application/json", NULL, read_campaign, NULL },
	{ "/api/v1/audit", false, true, "application/json", NULL, read_audit, finish_audit },
};

/* ---- waiting for the store ---- */

void request_ready(void *data)
{
	struct request *request = data;

	if (request->job.error == -ENOBUFS || request->job.error == -ENOMEM)
		request_set_error(request, MHD_HTTP_CONTENT_TOO_LARGE, "ask for less: see limit");
	else if (request->job.error < 0)
		request_set_error(request, MHD_HTTP_SERVICE_UNAVAILABLE,
				  "the store cannot be read now");
	request->state = REQUEST_READY;
	MHD_resume_connection(request->connection);
	http_run(request->http);
}

/* The loop is gone: what is left is closed by the daemon's end. */
void request_discard(void *data)
{
	struct request *request = data;

	request->state = REQUEST_READY;
	request_set_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "stopping");
	MHD_resume_connection(request->connection);
}

static int request_run(struct reader_job *job, struct store *store)
{
	struct request *request = (struct request *)job;

	return request->route->read(request, store);
}

static void request_done(struct reader_job *job)
{
	struct request *request = (struct request *)job;

	if (job->home == READER_LOOP) {
		request_ready(request);
		return;
	}
	if (job->error == 0)
		request->route->finish(request);
	mailbox_post(request->http->aggregator->mailbox, request_ready, request_discard, request);
}

static enum MHD_Result request_wait(struct request *request)
{
	request->job.home = request->route->finish ? READER_GRPC : READER_LOOP;
	request->job.run = request_run;
	request->job.done = request_done;
	request->state = REQUEST_WAITING;
	MHD_suspend_connection(request->connection);
	if (reader_put(request->http->aggregator->reader, &request->job))
		return MHD_YES;
	request_set_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too many queries wait");
	request->state = REQUEST_READY;
	MHD_resume_connection(request->connection);
	return MHD_YES;
}

/* ---- from libmicrohttpd ---- */

void *request_begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
	struct request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->http = cls;
	request->connection = connection;
	request->status = MHD_HTTP_OK;
	request->body.max = REQUEST_BODY_MAX;
	request->uri = strdup(uri);
	if (!request->uri) {
		free(request);
		return NULL;
	}
	return request;
}

void request_on_completed(void *cls, struct MHD_Connection *connection, void **con_cls,
			  enum MHD_RequestTerminationCode code)
{
	struct request *request = *con_cls;

	if (!request)
		return;
	*con_cls = NULL;
	arena_free(request->arena);
	buf_deinit(&request->body);
	buf_deinit(&request->upload);
	if (request->message)
		protobuf_c_message_free_unpacked(request->message, NULL);
	free(request->uri);
	free(request);
}

static const struct request_route *request_find(struct request *request)
{
	for (size_t i = 0; i < sizeof(request_routes) / sizeof(request_routes[0]); i++) {
		const struct request_route *route = &request_routes[i];
		size_t len = strlen(route->path);

		if (strncmp(request->uri, route->path, len) != 0)
			continue;
		request->argument = request->uri + len;
		if (route->is_prefix ? *request->argument != '\0' : *request->argument == '\0')
			return route;
	}
	return NULL;
}

static bool request_is_stream(struct request *request)
{
	const char *accept = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_ACCEPT);

	if (request->route->read != read_events)
		return false;
	return strcmp(request->route->path, "/api/v1/events/stream") == 0 ||
	       (accept && strstr(accept, "text/event-stream"));
}

/* The audit says what operators do: as over gRPC, only operators may read it. */
static bool request_may(struct request *request, enum MHD_Result *ret_result)
{
	request->method = "QueryAudit";
	return post_authorise(request, ret_result);
}

static enum MHD_Result request_start(struct request *request)
{
	struct errmsg err = { 0 };
	char *text = strchr(request->uri, '?');
	enum MHD_Result result;

	counter_add(&request->http->aggregator->metrics.http_requests, 1);
	if (text)
		*text++ = '\0';
	request->route = request_find(request);
	if (!request->route)
		return request_error(request, MHD_HTTP_NOT_FOUND, "no such page; / lists them");
	if (request->route->answer) {
		request->route->answer(request);
		return request_send(request, request->route->type);
	}
	if (request->route->for_writers && !request_may(request, &result))
		return result;
	if (query_parse(text, clock_realtime_ns(), &request->query, &err) < 0)
		return request_error(request, MHD_HTTP_BAD_REQUEST, err.text);
	if (request->query.after && !request->query.after_is_number &&
	    request->route->read != read_hosts)
		return request_error(request, MHD_HTTP_BAD_REQUEST, "after: must be a number");
	if (request_is_stream(request))
		return sse_start(request,
				 MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
							     "Last-Event-ID"));
	return request_wait(request);
}

/* libmicrohttpd's signature. NOLINTNEXTLINE(readability-function-size) */
enum MHD_Result request_on_access(void *cls, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *upload_data,
				  size_t *upload_data_size, void **con_cls)
{
	struct request *request = *con_cls;

	if (!request)
		return MHD_NO; /* no memory */
	if (!request->has_head) {
		/* An answer to the head alone would end the connection after it. */
		request->has_head = true;
		return MHD_YES;
	}
	if (*upload_data_size != 0) {
		if (strcmp(method, MHD_HTTP_METHOD_POST) == 0) /* nothing else takes a body */
			post_take(request, upload_data, *upload_data_size);
		*upload_data_size = 0;
		return MHD_YES;
	}
	if (request->state == REQUEST_READY)
		return request_send(request, request->status >= 400 ? "application/json"
					     : request->type	    ? request->type
								    : request->route->type);
	if (strcmp(method, MHD_HTTP_METHOD_POST) == 0)
		return post_start(request);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return request_error(request, MHD_HTTP_METHOD_NOT_ALLOWED,
				     "only GET, HEAD and POST");
	return request_start(request);
}
