/* SPDX-License-Identifier: Apache-2.0 */
#include "fleet.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/file.h"
#include "ctl/certificate.h"
#include "pathbell/v1/fleet.pb-c.h"
#include "rpc/rpc.h"

#define FLEET_PAGE 7 /* small, so that paging is exercised */

struct fleet {
	struct rpc *rpc;
	struct rpc_server *server;
	char folder[64], config[128];
	pthread_mutex_t lock;
	size_t n_events; /* ids 1 to n_events */
	char host[32];
	size_t break_after, store_more, total;
	size_t n_watches;
	int refuse_status;
	const char *refuse_details;
	struct script script;
	void (*done)(void *data);
	void *done_data;
};

struct fleet_call {
	struct fleet *fleet;
	bool watch;
	uint64_t next_id;
	size_t sent, queued;
};

/* ---- answers ---- */

static void fleet_event(const struct fleet *fleet, uint64_t id, Pathbell__V1__StoredEvent *stored,
			Pathbell__V1__Event *event)
{
	pathbell__v1__stored_event__init(stored);
	pathbell__v1__event__init(event);
	event->kind = PATHBELL__V1__EVENT_KIND__EVENT_KIND_AGENT_STARTED;
	event->time_unix_ns = CLOCK_NS_PER_S * id;
	stored->id = id;
	stored->host_id = (char *)fleet->host;
	stored->event = event;
}

static void fleet_reply(struct rpc_call *call, const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	uint8_t *data = malloc(size + 1);

	protobuf_c_message_pack(message, data);
	rpc_call_enqueue(call, data, size, 8 << 20);
	free(data);
}

static void fleet_query(const struct fleet *fleet, struct rpc_call *call, const uint8_t *data,
			size_t size)
{
	Pathbell__V1__QueryEventsRequest *request =
		pathbell__v1__query_events_request__unpack(NULL, size, data);
	Pathbell__V1__QueryEventsResponse response = PATHBELL__V1__QUERY_EVENTS_RESPONSE__INIT;
	Pathbell__V1__StoredEvent stored[FLEET_PAGE];
	Pathbell__V1__Event events[FLEET_PAGE];
	Pathbell__V1__StoredEvent *list[FLEET_PAGE];
	size_t wanted = request->page_size < FLEET_PAGE ? request->page_size : FLEET_PAGE;
	bool newest = request->newest_first;
	uint64_t id = newest ? (request->after_id ? request->after_id - 1 : fleet->n_events)
			     : request->after_id + 1;

	response.events = list;
	while (response.n_events < wanted && id >= 1 && id <= fleet->n_events) {
		size_t i = response.n_events++;

		fleet_event(fleet, id, &stored[i], &events[i]);
		list[i] = &stored[i];
		response.next_after_id = id;
		id += newest ? -1ULL : 1ULL;
	}
	if (id < 1 || id > fleet->n_events)
		response.next_after_id = 0;
	fleet_reply(call, &response.base);
	rpc_call_finish(call, RPC_OK, NULL);
	pathbell__v1__query_events_request__free_unpacked(request, NULL);
}

static void fleet_hosts(struct rpc_call *call)
{
	Pathbell__V1__ListHostsResponse response = PATHBELL__V1__LIST_HOSTS_RESPONSE__INIT;
	Pathbell__V1__Host host = PATHBELL__V1__HOST__INIT;
	Pathbell__V1__Host *hosts[] = { &host };

	host.host_id = (char *)"alpha";
	host.connected = true;
	response.hosts = hosts;
	response.n_hosts = 1;
	fleet_reply(call, &response.base);
	rpc_call_finish(call, RPC_OK, NULL);
}

/* Sends what the stream has not seen. With the lock held. */
static void fleet_pump(struct fleet_call *state, struct rpc_call *call)
{
	struct fleet *fleet = state->fleet;

	for (;;) {
		Pathbell__V1__StoredEvent stored;
		Pathbell__V1__Event event;

		if (state->next_id > fleet->n_events && fleet->n_events < fleet->total)
			fleet->n_events += fleet->store_more;
		if (state->next_id > fleet->n_events)
			break;
		if (fleet->break_after && state->sent == fleet->break_after) {
			rpc_call_finish(call, RPC_UNAVAILABLE, "the test ends this stream");
			return;
		}
		fleet_event(fleet, state->next_id++, &stored, &event);
		fleet_reply(call, &stored.base);
		state->sent++;
	}
	if (fleet->done && fleet->n_events >= fleet->total) {
		fleet->done(fleet->done_data);
		fleet->done = NULL;
	}
}

static void fleet_watch(struct fleet_call *state, struct rpc_call *call, const uint8_t *data,
			size_t size)
{
	Pathbell__V1__WatchEventsRequest *request =
		pathbell__v1__watch_events_request__unpack(NULL, size, data);

	state->fleet->n_watches++;
	state->next_id = request->after_id + 1;
	if (!request->after_id)
		state->next_id =
			request->backlog >= state->fleet->n_events ? 1 : state->fleet->n_events + 1;
	pathbell__v1__watch_events_request__free_unpacked(request, NULL);
	fleet_pump(state, call);
}

static void fleet_on_message(struct rpc_call *call, void *data, const uint8_t *message, size_t size)
{
	struct fleet_call *state = data;
	const char *method = rpc_call_method(call);

	pthread_mutex_lock(&state->fleet->lock);
	if (script_play(&state->fleet->script, call, message, size))
		;
	else if (strstr(method, "QueryEvents"))
		fleet_query(state->fleet, call, message, size);
	else if (strstr(method, "ListHosts"))
		fleet_hosts(call);
	else
		fleet_watch(state, call, message, size);
	pthread_mutex_unlock(&state->fleet->lock);
}

static void fleet_on_closed(struct rpc_call *call, void *data, int status, const char *details)
{
	free(data);
}

static const struct rpc_call_ops fleet_ops = { .on_message = fleet_on_message,
					       .on_closed = fleet_on_closed };

static int fleet_on_call(struct rpc_call *call, void *data, const struct rpc_call_ops **ret_ops,
			 void **ret_data, const char **ret_details)
{
	struct fleet *fleet = data;
	struct fleet_call *state;

	if (fleet->refuse_status) {
		*ret_details = fleet->refuse_details;
		return fleet->refuse_status;
	}
	state = calloc(1, sizeof(*state));
	state->fleet = fleet;
	*ret_ops = &fleet_ops;
	*ret_data = state;
	return RPC_OK;
}

/* ---- the site ---- */

static void fleet_certificate(const struct fleet *fleet, enum certificate_role role,
			      const char *name)
{
	static const char *const sans[] = { "127.0.0.1" };
	struct certificate_request request = {
		.role = role, .dir = fleet->folder, .name = name, .now_ns = clock_realtime_ns()
	};
	struct certificate_files files;
	struct errmsg err = { 0 };

	request.not_after_ns =
		request.now_ns + (role == CERTIFICATE_CA ? 10U : 1U) * 86400 * CLOCK_NS_PER_S;
	request.sans = sans;
	request.n_sans = role == CERTIFICATE_AGGREGATOR;
	if (certificate_make(&request, &files, &err) != 0)
		fail_msg("%s", err.text);
}

struct fleet *fleet_new(void)
{
	struct fleet *fleet = calloc(1, sizeof(*fleet));
	char ca[128];
	char certificate[128];
	char key[128];
	char text[1024];
	struct errmsg err = { 0 };

	strcpy(fleet->folder, "/tmp/pathbell-fleet.XXXXXX");
	assert_non_null(mkdtemp(fleet->folder));
	strcpy(fleet->host, "alpha");
	pthread_mutex_init(&fleet->lock, NULL);
	fleet_certificate(fleet, CERTIFICATE_CA, "test.example");
	fleet_certificate(fleet, CERTIFICATE_AGGREGATOR, "agg");
	fleet_certificate(fleet, CERTIFICATE_OPERATOR, "alice");
	snprintf(ca, sizeof(ca), "%s/ca.pem", fleet->folder);
	snprintf(certificate, sizeof(certificate), "%s/aggregator-agg.pem", fleet->folder);
	snprintf(key, sizeof(key), "%s/aggregator-agg.key", fleet->folder);
	struct rpc_server_options options = { .listen = "127.0.0.1:0",
					      .credentials = { ca, certificate, key },
					      .data = fleet,
					      .on_call = fleet_on_call };

	if (rpc_start(&fleet->rpc, &err) != 0 ||
	    rpc_server_new(fleet->rpc, &options, &fleet->server, &err) != 0)
		fail_msg("%s", err.text);
	snprintf(text, sizeof(text),
		 "server: 127.0.0.1:%u\nca_file: %s\ncertificate_file: "
		 "%s/operator-alice.pem\nkey_file: %s/operator-alice.key\n",
		 rpc_server_port(fleet->server), ca, fleet->folder, fleet->folder);
	snprintf(fleet->config, sizeof(fleet->config), "%s/pathbell.yaml", fleet->folder);
	assert_int_equal(file_replace(fleet->config, text, strlen(text), 0600), 0);
	return fleet;
}

struct fleet *fleet_free(struct fleet *fleet)
{
	char command[128];

	fleet->server = rpc_server_free(fleet->server);
	fleet->rpc = rpc_stop(fleet->rpc);
	script_reset(&fleet->script);
	pthread_mutex_destroy(&fleet->lock);
	snprintf(command, sizeof(command), "rm -rf %s", fleet->folder);
	assert_int_equal(system(command), 0);
	free(fleet);
	return NULL;
}

const char *fleet_config(const struct fleet *fleet)
{
	return fleet->config;
}

const char *fleet_folder(const struct fleet *fleet)
{
	return fleet->folder;
}

void fleet_store(struct fleet *fleet, const char *host, size_t n)
{
	pthread_mutex_lock(&fleet->lock);
	snprintf(fleet->host, sizeof(fleet->host), "%s", host);
	fleet->n_events += n;
	pthread_mutex_unlock(&fleet->lock);
}

void fleet_break_watch_after(struct fleet *fleet, size_t n)
{
	fleet->break_after = n;
}

void fleet_store_while_watching(struct fleet *fleet, size_t n)
{
	fleet->store_more = n;
}

void fleet_when_watched(struct fleet *fleet, size_t total, void (*done)(void *data), void *data)
{
	fleet->total = total;
	fleet->done = done;
	fleet->done_data = data;
}

void fleet_refuse(struct fleet *fleet, int status, const char *details)
{
	fleet->refuse_details = details;
	fleet->refuse_status = status;
}

size_t fleet_watches(const struct fleet *fleet)
{
	return fleet->n_watches;
}

struct script *fleet_script(struct fleet *fleet)
{
	return &fleet->script;
}
