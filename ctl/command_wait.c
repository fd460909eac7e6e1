/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/backoff.h"
#include "core/clock.h"
#include "ctl/command.h"
#include "ctl/events.h"
#include "proto/kind.h"

/*
 * Waiting for a submitted command. The aggregator sends the whole record after each change; what
 * was printed before is remembered for each host as the number of transitions. When the stream
 * breaks (an aggregator that restarts) it is opened again after core/backoff: the record is durable
 * there, so nothing is lost. The end is `finished`, the deadline or an interrupt.
 */

struct wait_host {
	char host_id[132];
	size_t n_shown;
	unsigned life;
};

struct wait_state {
	struct cli *cli;
	struct client *client;
	const struct command_wait *wait;
	struct wait_host *hosts;
	size_t n_hosts;
	struct backoff backoff;
	uint64_t deadline_ns;
	bool reported;
	bool finished, succeeded;
};

/* The record's order is stable, so the index fits nearly always. */
static struct wait_host *wait_host(struct wait_state *state, size_t index, const char *host_id)
{
	struct wait_host *hosts;

	if (index < state->n_hosts && strcmp(state->hosts[index].host_id, host_id) == 0)
		return &state->hosts[index];
	for (size_t i = 0; i < state->n_hosts; i++) {
		if (strcmp(state->hosts[i].host_id, host_id) == 0)
			return &state->hosts[i];
	}
	hosts = realloc(state->hosts, (state->n_hosts + 1) * sizeof(*hosts));
	if (!hosts)
		return NULL;
	state->hosts = hosts;
	hosts[state->n_hosts] = (struct wait_host){ 0 };
	snprintf(hosts[state->n_hosts].host_id, sizeof(hosts[0].host_id), "%s", host_id);
	return &hosts[state->n_hosts++];
}

/* The list of transitions may be cut at its limit: then the present life stands for what is
 * missing. */
static void wait_show_host(struct wait_state *state, size_t index,
			   const Pathbell__V1__CommandHostState *host)
{
	struct wait_host *known = wait_host(state, index, host->host_id);
	Pathbell__V1__CommandTransition present = PATHBELL__V1__COMMAND_TRANSITION__INIT;

	if (!known)
		return;
	for (; known->n_shown < host->n_transitions; known->n_shown++) {
		command_show_transition(state->cli, host->host_id,
					host->transitions[known->n_shown]);
		known->life = host->transitions[known->n_shown]->life;
	}
	if (known->life == (unsigned)host->life)
		return;
	present.life = host->life;
	present.unix_ns = host->changed_unix_ns;
	present.detail = host->detail;
	present.refusal = host->refusal;
	command_show_transition(state->cli, host->host_id, &present);
	known->life = host->life;
}

static void wait_take(struct wait_state *state, const Pathbell__V1__CommandRecord *record)
{
	bool succeeded = record->n_hosts > 0;

	if (state->cli->out.json && !state->wait->quiet)
		output_message(&state->cli->out, &record->base);
	for (size_t i = 0; i < record->n_hosts; i++) {
		if (!state->cli->out.json && !state->wait->quiet)
			wait_show_host(state, i, record->hosts[i]);
		succeeded &= record->hosts[i]->life ==
			     PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED;
	}
	state->finished = record->finished;
	state->succeeded = succeeded;
}

/* -1: connect again. Else the exit status. */
static int wait_ended(struct wait_state *state, const struct client_stream *stream, int r)
{
	char id[ID_TEXT_SIZE];

	id_format(state->wait->id, id);
	if (state->finished)
		return state->succeeded ? CLI_OK : CLI_UNSUCCESSFUL;
	if (r == CLIENT_E_INTERRUPTED)
		return cli_fail(CLI_UNSUCCESSFUL,
				"interrupted; the command goes on: pathbell command show %s", id);
	if (r == CLIENT_E_TIMEOUT)
		return cli_fail(
			CLI_UNAVAILABLE,
			"the command has not ended in time; it may still: pathbell command show %s",
			id);
	if (r == CLIENT_E_BAD_REPLY)
		return CLI_FAILED;
	if (!client_status_is_transient(client_stream_status(stream)))
		return client_stream_fail(stream);
	if (!state->reported)
		cli_fail(0, "the connection was lost; connecting again");
	state->reported = true;
	return -1;
}

static int wait_once(struct wait_state *state)
{
	Pathbell__V1__WatchCommandsRequest request = PATHBELL__V1__WATCH_COMMANDS_REQUEST__INIT;
	Pathbell__V1__CommandRecord *record = NULL;
	struct client_stream *stream;
	int code;
	int r = 0;

	request.command_id = (ProtobufCBinaryData){ ID_SIZE, (uint8_t *)state->wait->id };
	stream = client_stream_open(state->client, "/pathbell.v1.Fleet/WatchCommands",
				    &request.base, &pathbell__v1__command_record__descriptor);
	if (!stream)
		return cli_fail(CLI_FAILED, "out of memory");
	while (!state->finished &&
	       (r = client_stream_next(stream, state->deadline_ns, (void **)&record)) == 0) {
		if (!state->backoff.up_since_ns)
			backoff_up(&state->backoff, clock_monotonic_ns());
		wait_take(state, record);
		protobuf_c_message_free_unpacked(&record->base, NULL);
	}
	code = wait_ended(state, stream, r);
	client_stream_close(stream);
	return code;
}

static int wait_again(struct wait_state *state)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t next_ns = backoff_down(&state->backoff, now_ns);

	if (next_ns > state->deadline_ns)
		next_ns = state->deadline_ns;
	if (client_pause(state->client, next_ns > now_ns ? next_ns - now_ns : 0))
		return wait_ended(state, NULL, CLIENT_E_INTERRUPTED);
	if (clock_monotonic_ns() >= state->deadline_ns)
		return wait_ended(state, NULL, CLIENT_E_TIMEOUT);
	return client_reconnect(state->client) == CLI_OK ? -1 : CLI_FAILED;
}

/* ---- what a probe brought ---- */

static int wait_show_state(void *data, const Pathbell__V1__StoredEvent *stored)
{
	struct wait_state *state = data;
	const struct command_wait *wait = state->wait;
	const Pathbell__V1__Event *event = stored->event;

	if (!event || event->payload_case != PATHBELL__V1__EVENT__PAYLOAD_DEVICE_STATE ||
	    !event->subject)
		return CLI_OK;
	if (wait->device && strcmp(event->subject->name, wait->device) != 0)
		return CLI_OK;
	if (wait->subject && strcmp(event->subject->id, wait->subject) != 0)
		return CLI_OK;
	return events_show(state->cli, stored);
}

static int wait_show_states(struct wait_state *state)
{
	Pathbell__V1__EventFilter filter = PATHBELL__V1__EVENT_FILTER__INIT;
	char *ids[EVENTS_MAX_HOSTS];

	filter.kind_glob = (char *)"storage.device.state";
	for (size_t i = 0; i < state->n_hosts && i < EVENTS_MAX_HOSTS; i++)
		ids[filter.n_host_ids++] = state->hosts[i].host_id;
	filter.host_ids = ids;
	return events_pages(state->client, &filter, state->wait->after_id, 0, wait_show_state,
			    state);
}

int command_wait(struct cli *cli, struct client *client, const struct command_wait *wait)
{
	static const struct backoff_options options = {
		.base_ns = 200 * CLOCK_NS_PER_MS,
		.cap_ns = 3 * CLOCK_NS_PER_S,
		.healthy_ns = CLOCK_NS_PER_S,
	};
	struct wait_state state = { .cli = cli, .client = client, .wait = wait };
	int code = client_catch_interrupts(client);

	state.deadline_ns = clock_monotonic_ns() + wait->timeout_ns;
	backoff_init(&state.backoff, &options, clock_realtime_ns() ^ (uint64_t)getpid());
	if (code != CLI_OK)
		return code;
	do {
		code = wait_once(&state);
		if (code == -1)
			code = wait_again(&state);
	} while (code == -1);
	if (wait->probe && state.finished) {
		int shown = wait_show_states(&state);

		code = code == CLI_OK ? shown : code;
	}
	free(state.hosts);
	return code;
}
