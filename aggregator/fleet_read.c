/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/fleet.h"
#include "aggregator/hosts.h"
#include "aggregator/token.h"
#include "aggregator/view.h"
#include "core/clock.h"
#include "proto/wire.h"

bool fleet_page(uint32_t asked, uint32_t standard, uint32_t max, size_t *ret_size)
{
	*ret_size = asked ? asked : standard;
	return asked <= max;
}

static void fleet_decorate(struct fleet_call *call, Pathbell__V1__Host *host)
{
	hosts_decorate(call->aggregator->hosts, host,
		       3 * call->aggregator->live.ingest.heartbeat_interval_ns,
		       call->aggregator->started_unix_ns);
}

/* ---- ListHosts ---- */

static int list_hosts_begin(struct fleet_call *call, const char **ret_details)
{
	const Pathbell__V1__ListHostsRequest *request =
		(const Pathbell__V1__ListHostsRequest *)call->request;

	if (!fleet_page(request->page_size, 100, 1000, &call->max_results)) {
		*ret_details = "page_size: above 1000";
		return RPC_INVALID_ARGUMENT;
	}
	if (!token_parse(TOKEN_HOSTS, request->page_token, call->position)) {
		*ret_details = "page_token: not one of ListHosts";
		return RPC_INVALID_ARGUMENT;
	}
	if (strlen(request->host_glob) > 256) {
		*ret_details = "host_glob: longer than 256 bytes";
		return RPC_INVALID_ARGUMENT;
	}
	pathbell__v1__list_hosts_response__init(&call->hosts);
	call->hosts.hosts = arena_alloc(call->arena, call->max_results * sizeof(void *));
	if (!call->hosts.hosts) {
		*ret_details = "no memory";
		return RPC_RESOURCE_EXHAUSTED;
	}
	fleet_read(call);
	return RPC_OK;
}

static bool list_hosts_row(void *data, const struct store_host *host)
{
	struct fleet_call *call = data;
	const char *glob = ((const Pathbell__V1__ListHostsRequest *)call->request)->host_glob;
	char token[TOKEN_TEXT_SIZE];
	Pathbell__V1__Host *message;

	if (glob[0] && fnmatch(glob, host->host_id, 0) != 0 &&
	    fnmatch(glob, host->hostname, 0) != 0)
		return true;
	if (call->hosts.n_hosts == call->max_results) {
		token_make(TOKEN_HOSTS, call->hosts.hosts[call->hosts.n_hosts - 1]->host_id, token);
		call->hosts.next_page_token = arena_strdup(call->arena, token);
		call->read.error = call->hosts.next_page_token ? 0 : -ENOMEM;
		return false;
	}
	message = view_host(call->arena, host, false);
	if (!message) {
		call->read.error = -ENOMEM;
		return false;
	}
	call->hosts.hosts[call->hosts.n_hosts++] = message;
	return true;
}

static int list_hosts_read(struct fleet_call *call, struct store *store)
{
	int r;

	call->read.error = 0;
	r = store_hosts(store, call->position, list_hosts_row, call);
	return r < 0 ? r : call->read.error;
}

static void list_hosts_answer(struct fleet_call *call)
{
	for (size_t i = 0; i < call->hosts.n_hosts; i++)
		fleet_decorate(call, call->hosts.hosts[i]);
	fleet_answer(call, &call->hosts.base);
}

const struct fleet_method fleet_list_hosts = {
	.name = "ListHosts",
	.request = &pathbell__v1__list_hosts_request__descriptor,
	.begin = list_hosts_begin,
	.read = list_hosts_read,
	.answer = list_hosts_answer,
};

/* ---- GetHost ---- */

static int get_host_begin(struct fleet_call *call, const char **ret_details)
{
	const Pathbell__V1__GetHostRequest *request =
		(const Pathbell__V1__GetHostRequest *)call->request;

	if (!request->host_id[0] || strlen(request->host_id) > 128) {
		*ret_details = "host_id: empty or longer than 128 bytes";
		return RPC_INVALID_ARGUMENT;
	}
	fleet_read(call);
	return RPC_OK;
}

static bool get_host_row(void *data, const struct store_host *host)
{
	struct fleet_call *call = data;

	call->host = view_host(call->arena, host, true);
	call->read.error = call->host ? 0 : -ENOMEM;
	return false;
}

static int get_host_read(struct fleet_call *call, struct store *store)
{
	int r;

	call->read.error = 0;
	call->host = NULL;
	r = store_host(store, ((const Pathbell__V1__GetHostRequest *)call->request)->host_id,
		       get_host_row, call);
	return r < 0 ? r : call->read.error;
}

static void get_host_answer(struct fleet_call *call)
{
	if (!call->host) {
		fleet_fail(call, RPC_NOT_FOUND, "host_id: no such host");
		return;
	}
	fleet_decorate(call, call->host);
	fleet_answer(call, &call->host->base);
}

const struct fleet_method fleet_get_host = {
	.name = "GetHost",
	.request = &pathbell__v1__get_host_request__descriptor,
	.begin = get_host_begin,
	.read = get_host_read,
	.answer = get_host_answer,
};

/* ---- QueryEvents ---- */

#define QUERY_EVENTS_FIELD	  1 /* QueryEventsResponse.events */
#define QUERY_NEXT_AFTER_ID_FIELD 2

static int query_events_begin(struct fleet_call *call, const char **ret_details)
{
	const Pathbell__V1__QueryEventsRequest *request =
		(const Pathbell__V1__QueryEventsRequest *)call->request;
	struct store_filter filter;

	if (!fleet_page(request->page_size, 100, 1000, &call->max_results)) {
		*ret_details = "page_size: above 1000";
		return RPC_INVALID_ARGUMENT;
	}
	*ret_details = fleet_filter(request->filter, &filter);
	if (*ret_details)
		return RPC_INVALID_ARGUMENT;
	fleet_read(call);
	return RPC_OK;
}

static bool query_events_row(void *data, const struct store_event *event)
{
	struct fleet_call *call = data;

	call->read.error = view_event_element(&call->answer, QUERY_EVENTS_FIELD, event);
	return call->read.error == 0;
}

static int query_events_read(struct fleet_call *call, struct store *store)
{
	const Pathbell__V1__QueryEventsRequest *request =
		(const Pathbell__V1__QueryEventsRequest *)call->request;
	struct store_query query = {
		.after_id = request->after_id,
		.newest_first = request->newest_first,
		.limit = (uint32_t)call->max_results,
		.max_bytes = FLEET_ANSWER_MAX - FLEET_ANSWER_MAX / 8,
		.deadline_ns = clock_monotonic_ns() + READER_QUERY_NS,
	};
	struct store_page page = { 0 };
	int r;

	call->read.error = 0;
	fleet_filter(request->filter, &query.filter);
	r = store_query(store, &query, query_events_row, call, &page);
	call->next_after_id = page.more ? page.last_id : 0;
	return r < 0 ? r : call->read.error;
}

static void query_events_answer(struct fleet_call *call)
{
	uint8_t next[2 * WIRE_MAX_VARINT], *end = next;

	if (call->next_after_id != 0) {
		end = wire_put_tag(next, QUERY_NEXT_AFTER_ID_FIELD, WIRE_VARINT);
		end = wire_put_varint(end, call->next_after_id);
	}
	if (buf_append(&call->answer, next, (size_t)(end - next)) < 0)
		fleet_fail(call, RPC_RESOURCE_EXHAUSTED, "no memory");
	else
		fleet_answer_bytes(call, call->answer.data, call->answer.size);
}

const struct fleet_method fleet_query_events = {
	.name = "QueryEvents",
	.request = &pathbell__v1__query_events_request__descriptor,
	.begin = query_events_begin,
	.read = query_events_read,
	.answer = query_events_answer,
};

/* ---- GetCommand ---- */

static int get_command_begin(struct fleet_call *call, const char **ret_details)
{
	if (((const Pathbell__V1__GetCommandRequest *)call->request)->command_id.len != 16) {
		*ret_details = "command_id: not 16 bytes";
		return RPC_INVALID_ARGUMENT;
	}
	fleet_read(call);
	return RPC_OK;
}

static bool get_command_row(void *data, const struct store_command *command)
{
	struct fleet_call *call = data;

	call->command = view_command(call->arena, command);
	call->read.error = call->command ? 0 : -ENOMEM;
	return false;
}

static int get_command_read(struct fleet_call *call, struct store *store)
{
	struct store_command_query query = {
		.id = ((const Pathbell__V1__GetCommandRequest *)call->request)->command_id.data,
		.limit = 1,
	};
	int r;

	call->read.error = 0;
	call->command = NULL;
	r = store_commands(store, &query, get_command_row, call);
	return r < 0 ? r : call->read.error;
}

static void get_command_answer(struct fleet_call *call)
{
	if (call->command)
		fleet_answer(call, &call->command->base);
	else
		fleet_fail(call, RPC_NOT_FOUND, "command_id: no such command");
}

const struct fleet_method fleet_get_command = {
	.name = "GetCommand",
	.request = &pathbell__v1__get_command_request__descriptor,
	.begin = get_command_begin,
	.read = get_command_read,
	.answer = get_command_answer,
};

/* ---- ListCommands ---- */

static int list_commands_begin(struct fleet_call *call, const char **ret_details)
{
	const Pathbell__V1__ListCommandsRequest *request =
		(const Pathbell__V1__ListCommandsRequest *)call->request;

	if (!fleet_page(request->page_size, 50, 500, &call->max_results)) {
		*ret_details = "page_size: above 500";
		return RPC_INVALID_ARGUMENT;
	}
	if (!token_parse(TOKEN_COMMANDS, request->page_token, call->position)) {
		*ret_details = "page_token: not one of ListCommands";
		return RPC_INVALID_ARGUMENT;
	}
	pathbell__v1__list_commands_response__init(&call->commands);
	call->commands.commands = arena_alloc(call->arena, call->max_results * sizeof(void *));
	if (!call->commands.commands) {
		*ret_details = "no memory";
		return RPC_RESOURCE_EXHAUSTED;
	}
	fleet_read(call);
	return RPC_OK;
}

static bool list_commands_row(void *data, const struct store_command *command)
{
	struct fleet_call *call = data;
	Pathbell__V1__ListCommandsResponse *response = &call->commands;
	Pathbell__V1__CommandRecord *record;
	char token[TOKEN_TEXT_SIZE];

	if (response->n_commands == call->max_results) {
		token_make(TOKEN_COMMANDS, call->position, token);
		response->next_page_token = arena_strdup(call->arena, token);
		call->read.error = response->next_page_token ? 0 : -ENOMEM;
		return false;
	}
	record = view_command(call->arena, command);
	if (!record) {
		call->read.error = -ENOMEM;
		return false;
	}
	response->commands[response->n_commands++] = record;
	snprintf(call->position, sizeof(call->position), "%" PRIu64, command->ordinal);
	if (protobuf_c_message_get_packed_size(&response->base) > FLEET_ANSWER_MAX)
		call->max_results = response->n_commands; /* the page is full */
	return true;
}

static int list_commands_read(struct fleet_call *call, struct store *store)
{
	const char *host_id = ((const Pathbell__V1__ListCommandsRequest *)call->request)->host_id;
	struct store_command_query query = {
		.host_id = host_id[0] ? host_id : NULL,
		.limit = (uint32_t)call->max_results + 1,
	};
	int r;

	sscanf(call->position, "%" SCNu64, &query.before_ordinal);
	call->read.error = 0;
	r = store_commands(store, &query, list_commands_row, call);
	return r < 0 ? r : call->read.error;
}

static void list_commands_answer(struct fleet_call *call)
{
	fleet_answer(call, &call->commands.base);
}

const struct fleet_method fleet_list_commands = {
	.name = "ListCommands",
	.request = &pathbell__v1__list_commands_request__descriptor,
	.begin = list_commands_begin,
	.read = list_commands_read,
	.answer = list_commands_answer,
};
