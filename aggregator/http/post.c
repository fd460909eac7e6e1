/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that change something, off unless http.writers names somebody. The body becomes the
 * request of a Fleet method (change.c), which runs on the gRPC thread as if an operator of the
 * writer's name had called it: same checks, same role, same audit, same answer. What authorises a
 * command on a host is the signature that the client made; a stolen token can submit and cancel,
 * not forge.
 *
 * A browser's page of another origin cannot do this: the token is in a header, not in a cookie, the
 * type must be application/json, and there are no CORS headers.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aggregator/audit.h"
#include "aggregator/fleet.h"
#include "aggregator/http/body.h"
#include "aggregator/http/change.h"
#include "aggregator/http/internal.h"
#include "aggregator/services.h"

struct post_route {
	const char *prefix, *suffix; /* the id is between them; suffix NULL: no id */
	const char *method;
	const ProtobufCMessageDescriptor *answer;
};

static const struct post_route post_routes[] = {
	{ "/api/v1/commands", NULL, "SubmitCommand",
	  &pathbell__v1__submit_command_response__descriptor },
	{ "/api/v1/campaigns", NULL, "SubmitCampaign", &pathbell__v1__campaign__descriptor },
	{ "/api/v1/campaigns/plan", NULL, "PlanCampaign",
	  &pathbell__v1__plan_campaign_response__descriptor },
	{ "/api/v1/commands/", "/cancel", "CancelCommand",
	  &pathbell__v1__cancel_command_response__descriptor },
	{ "/api/v1/campaigns/", "/control", "ControlCampaign",
	  &pathbell__v1__campaign__descriptor },
};

void post_take(struct request *request, const char *data, size_t size)
{
	if (request->upload.size + size > CHANGE_MAX_BODY ||
	    buf_append(&request->upload, data, size) < 0)
		request->is_too_large = true;
}

/* The id goes to request->argument, cut out of the path. */
static const struct post_route *post_find(struct request *request)
{
	for (size_t i = 0; i < sizeof(post_routes) / sizeof(post_routes[0]); i++) {
		const struct post_route *route = &post_routes[i];
		size_t len = strlen(request->uri), prefix = strlen(route->prefix), suffix;

		request->argument = NULL;
		if (!route->suffix && strcmp(request->uri, route->prefix) == 0)
			return route;
		if (!route->suffix || strncmp(request->uri, route->prefix, prefix) != 0)
			continue;
		suffix = strlen(route->suffix);
		if (len <= prefix + suffix ||
		    strcmp(request->uri + len - suffix, route->suffix) != 0)
			continue;
		request->uri[len - suffix] = '\0';
		request->argument = request->uri + prefix;
		return route;
	}
	return NULL;
}

static const struct post_route *post_route_of(const char *method)
{
	for (size_t i = 0; i < sizeof(post_routes) / sizeof(post_routes[0]); i++)
		if (strcmp(post_routes[i].method, method) == 0)
			return &post_routes[i];
	return NULL;
}

/* ---- on the gRPC thread ---- */

static unsigned post_status(int status)
{
	switch (status) {
	case RPC_INVALID_ARGUMENT:
		return MHD_HTTP_BAD_REQUEST;
	case RPC_UNAUTHENTICATED:
		return MHD_HTTP_UNAUTHORIZED;
	case RPC_PERMISSION_DENIED:
		return MHD_HTTP_FORBIDDEN;
	case RPC_NOT_FOUND:
		return MHD_HTTP_NOT_FOUND;
	case RPC_ALREADY_EXISTS:
	case RPC_FAILED_PRECONDITION:
		return MHD_HTTP_CONFLICT;
	case RPC_RESOURCE_EXHAUSTED:
		return MHD_HTTP_TOO_MANY_REQUESTS;
	case RPC_UNAVAILABLE:
		return MHD_HTTP_SERVICE_UNAVAILABLE;
	default:
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
}

static int post_answer(struct request *request, const uint8_t *bytes, size_t size)
{
	const struct post_route *route = post_route_of(request->method);
	ProtobufCMessage *answer =
		codec_unpack(route->answer, &scan_limits_response, NULL, bytes, size, NULL);
	int r;

	if (!answer)
		return -ENOMEM;
	r = body_message(&request->body, answer);
	protobuf_c_message_free_unpacked(answer, NULL);
	return r == 0 ? buf_append(&request->body, "\n", 1) : r;
}

static void post_reply(void *data, int status, const char *details, const uint8_t *bytes,
		       size_t size)
{
	struct request *request = data;

	if (status != RPC_OK)
		request_set_error(request, post_status(status), details);
	else
		request->job.error = post_answer(request, bytes, size);
	mailbox_post(request->http->aggregator->mailbox, request_ready, request_discard, request);
}

static void post_run(void *data)
{
	struct request *request = data;
	struct aggregator *aggregator = request->http->aggregator;
	ProtobufCMessage *message = request->message;
	char method[64];
	const char *details = NULL;
	int status;

	snprintf(method, sizeof(method), "/pathbell.v1.Fleet/%s", request->method);
	request->message = NULL;
	status = services_check(aggregator, method, &request->caller, &details);
	if (status == RPC_OK && !message) {
		status = RPC_INVALID_ARGUMENT;
		details = request->wrong.text;
	}
	if (status == RPC_OK && aggregator->is_stopping) {
		status = RPC_UNAVAILABLE;
		details = "the aggregator stops";
	}
	if (status == RPC_OK) {
		fleet_local(aggregator, request->method, &request->caller, message, post_reply,
			    request);
		return;
	}
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
	if (audit_is_worth(status))
		audit_refused(aggregator, &request->caller, request->method, status, details);
	post_reply(request, status, details, NULL, 0);
}

/* ---- on the loop ---- */

struct post_refused {
	struct aggregator *aggregator;
	struct caller caller;
	char method[64];
};

static void post_refused(void *data)
{
	struct post_refused *refused = data;

	audit_refused(refused->aggregator, &refused->caller, refused->method, RPC_UNAUTHENTICATED,
		      "HTTP: no bearer token of http.writers");
	free(refused);
}

static enum MHD_Result post_refuse(struct request *request)
{
	struct post_refused *refused = calloc(1, sizeof(*refused));

	if (refused) {
		refused->aggregator = request->http->aggregator;
		snprintf(refused->caller.uri, sizeof(refused->caller.uri), "http:");
		snprintf(refused->method, sizeof(refused->method), "%s", request->method);
		rpc_post(request->http->aggregator->rpc, post_refused, refused);
	}
	return request_error(request, MHD_HTTP_UNAUTHORIZED,
			     "a bearer token of http.writers is needed");
}

bool post_authorise(struct request *request, enum MHD_Result *ret_result)
{
	const char *name;

	if (!writers_any(request->http->writers)) {
		*ret_result = request_error(request, MHD_HTTP_FORBIDDEN,
					    "off here: http.writers names nobody");
		return false;
	}
	name = writers_find(request->http->writers,
			    MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
							MHD_HTTP_HEADER_AUTHORIZATION));
	if (!name) {
		*ret_result = post_refuse(request);
		return false;
	}
	request->caller.kind = CALLER_OPERATOR;
	snprintf(request->caller.name, sizeof(request->caller.name), "%s", name);
	snprintf(request->caller.uri, sizeof(request->caller.uri), "http:%s", name);
	return true;
}

static bool post_is_json(struct request *request)
{
	const char *type = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
						       MHD_HTTP_HEADER_CONTENT_TYPE);
	size_t len = strlen("application/json");

	return type && strncasecmp(type, "application/json", len) == 0 &&
	       (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}

enum MHD_Result post_start(struct request *request)
{
	const struct post_route *route;
	enum MHD_Result result;

	counter_add(&request->http->aggregator->metrics.http_requests, 1);
	request->uri[strcspn(request->uri, "?")] = '\0';
	route = post_find(request);
	if (!route)
		return request_error(request, MHD_HTTP_METHOD_NOT_ALLOWED,
				     "nothing to POST to; / lists what there is");
	request->method = route->method;
	request->type = "application/json";
	if (!post_authorise(request, &result))
		return result;
	if (!post_is_json(request))
		return request_error(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
				     "Content-Type must be application/json");
	if (request->is_too_large)
		return request_error(request, MHD_HTTP_CONTENT_TOO_LARGE,
				     "the body is above 2 MiB");
	request->message =
		change_parse(route->method, request->argument,
			     request->upload.size ? (const char *)request->upload.data : "",
			     request->upload.size, &request->wrong);
	request->state = REQUEST_WAITING;
	MHD_suspend_connection(request->connection);
	rpc_post(request->http->aggregator->rpc, post_run, request);
	return MHD_YES;
}
