/* SPDX-License-Identifier: Apache-2.0 */
#include <unistd.h>

#include "core/backoff.h"
#include "core/clock.h"
#include "ctl/events.h"

/*
 * The live tail, without loss or duplicate over reconnects.
 *
 * 1. The largest id in the store is asked for first: T. Ids grow in the order of storing, so every
 * later event is above it.
 * 2. With --since, --after or --limit the past is queried; that query runs after step 1, so it sees
 * all up to T.
 * 3. WatchEvents continues behind max(T, last id shown). Each event shown moves that cursor.
 * 4. When the stream ends, the next one begins at the cursor, after core/backoff. In an empty store
 * T is 0, which WatchEvents takes as "only new ones": then its backlog stands in for the cursor.
 *
 * A refusal that waiting cannot mend (permission, bad filter) ends the command. An interrupt ends
 * it with success.
 */

#define FOLLOW_BACKLOG 1000 /* the most that WatchEvents gives */

struct follow {
	struct cli *cli;
	struct client *client;
	const struct events_query *query;
	struct backoff backoff;
	uint64_t last_id;
	bool reported; /* the loss of the connection */
};

static int follow_show(void *data, const Pathbell__V1__StoredEvent *stored)
{
	struct follow *follow = data;

	if (stored->id > follow->last_id)
		follow->last_id = stored->id;
	return events_show(follow->cli, stored);
}

/* Steps 1 and 2. */
static int follow_past(struct follow *follow)
{
	const struct events_query *query = follow->query;
	uint64_t tail = 0;
	int code = events_tail(follow->client, &tail);

	if (code == CLI_OK && query->from_oldest)
		code = events_pages(follow->client, &query->filter, query->after_id, query->limit,
				    follow_show, follow);
	else if (code == CLI_OK && query->limit)
		code = events_newest(follow->client, query, follow_show, follow);
	if (tail > follow->last_id)
		follow->last_id = tail;
	return code;
}

static struct client_stream *follow_open(struct follow *follow)
{
	Pathbell__V1__WatchEventsRequest request = PATHBELL__V1__WATCH_EVENTS_REQUEST__INIT;

	request.filter = (Pathbell__V1__EventFilter *)&follow->query->filter;
	request.after_id = follow->last_id;
	request.backlog = follow->last_id ? 0 : FOLLOW_BACKLOG;
	return client_stream_open(follow->client, "/pathbell.v1.Fleet/WatchEvents", &request.base,
				  &pathbell__v1__stored_event__descriptor);
}

/* Until the stream ends: CLIENT_E_END, CLIENT_E_INTERRUPTED, CLIENT_E_BAD_REPLY; *ret_code when
 * printing failed. */
static int follow_stream(struct follow *follow, struct client_stream *stream, int *ret_code)
{
	Pathbell__V1__StoredEvent *stored = NULL;
	int r;

	while ((r = client_stream_next(stream, 0, (void **)&stored)) == 0) {
		if (!follow->backoff.up_since_ns)
			backoff_up(&follow->backoff, clock_monotonic_ns());
		if (follow->reported)
			cli_fail(0, "connected again");
		follow->reported = false;
		*ret_code = stored->id > follow->last_id ? follow_show(follow, stored) : CLI_OK;
		protobuf_c_message_free_unpacked(&stored->base, NULL);
		if (*ret_code != CLI_OK)
			return CLIENT_E_BAD_REPLY;
	}
	return r;
}

/* -1: connect again. Else the exit status. */
static int follow_once(struct follow *follow)
{
	struct client_stream *stream = follow_open(follow);
	uint64_t now_ns;
	uint64_t next_ns;
	int code = CLI_FAILED;
	int r;

	if (!stream)
		return cli_fail(CLI_FAILED, "out of memory");
	r = follow_stream(follow, stream, &code);
	if (r == CLIENT_E_INTERRUPTED)
		code = CLI_OK;
	else if (r == CLIENT_E_BAD_REPLY && code == CLI_OK)
		code = CLI_FAILED;
	else if (r == CLIENT_E_END && client_status_is_transient(client_stream_status(stream)))
		code = -1;
	else if (r == CLIENT_E_END)
		code = client_stream_fail(stream);
	if (code == -1 && !follow->reported) {
		client_stream_fail(stream);
		cli_fail(0, "the stream ended; connecting again, events up to %llu were shown",
			 (unsigned long long)follow->last_id);
		follow->reported = true;
	}
	client_stream_close(stream);
	if (code != -1)
		return code;
	now_ns = clock_monotonic_ns();
	next_ns = backoff_down(&follow->backoff, now_ns);
	if (client_pause(follow->client, next_ns > now_ns ? next_ns - now_ns : 0))
		return CLI_OK;
	return client_reconnect(follow->client) == CLI_OK ? -1 : CLI_FAILED;
}

int events_follow(struct cli *cli, struct client *client, const struct events_query *query)
{
	static const struct backoff_options options = {
		.base_ns = 200 * CLOCK_NS_PER_MS,
		.cap_ns = 3 * CLOCK_NS_PER_S,
		.healthy_ns = CLOCK_NS_PER_S,
	};
	struct follow follow = { .cli = cli, .client = client, .query = query };
	int code = client_catch_interrupts(client);

	backoff_init(&follow.backoff, &options, clock_realtime_ns() ^ (uint64_t)getpid());
	if (code == CLI_OK)
		code = follow_past(&follow);
	if (code != CLI_OK)
		return client_is_interrupted(client) ? CLI_OK : code;
	do {
		code = follow_once(&follow);
	} while (code == -1);
	return code;
}
