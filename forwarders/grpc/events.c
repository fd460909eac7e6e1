/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Events stream: Hello -> Welcome, then acks and wishes of the server. All that comes is
 * checked against what we sent, because the far side is another machine: an ack is believed only
 * for an epoch of this session and up to what was sent in it (facts: delivery N17), a message out
 * of its place is a protocol error and ends the connection, and nothing is unpacked before it was
 * scanned.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "core/clock.h"
#include "core/id.h"
#include "link.h"

#define EVENTS_PROTOCOL	       1
#define EVENTS_MAX_PAUSE_NS    (60 * CLOCK_NS_PER_S) /* Slowdown */
#define EVENTS_MIN_BEAT_MS     1000
#define EVENTS_MIN_LIFETIME_MS 10000
#define EVENTS_DRAIN_NS	       (10 * CLOCK_NS_PER_S)

/* A Welcome has at most 64 resume points, an Ack 64 rejections. */
static const struct scan_limits events_limits = { .max_size = 64 * 1024,
						  .max_fields = 1024,
						  .max_depth = 4,
						  .max_elements = 64,
						  .max_allocation = 256 * 1024 };

/* ---- Hello ---- */

static void events_fill_epochs(const struct frame_epochs *epochs, Pathbell__V1__EpochState *states,
			       Pathbell__V1__EpochState **pointers)
{
	for (size_t i = 0; i < epochs->n_epochs; i++) {
		const struct frame_epoch *epoch = &epochs->epochs[i];

		pathbell__v1__epoch_state__init(&states[i]);
		states[i].epoch =
			(ProtobufCBinaryData){ .len = 16, .data = (uint8_t *)epoch->epoch };
		states[i].oldest_seq = epoch->oldest_seq;
		states[i].first_unacked_seq = epoch->first_unacked_seq;
		states[i].tail_seq = epoch->tail_seq;
		pointers[i] = &states[i];
	}
}

static void events_fill_hello(const struct connection *connection, Pathbell__V1__Hello *hello)
{
	const struct settings *settings = &connection->link->settings;

	pathbell__v1__hello__init(hello);
	hello->protocol_min = EVENTS_PROTOCOL;
	hello->protocol_max = EVENTS_PROTOCOL;
	hello->host_id = settings->host_id;
	hello->hostname = settings->hostname;
	hello->agent_version = settings->agent_version;
	hello->kernel_release = settings->kernel_release;
	hello->boot_id = (ProtobufCBinaryData){ .len = ID_SIZE, .data = (uint8_t *)id_boot() };
	hello->session_generation = connection->generation;
	hello->unix_ns = clock_realtime_ns();
	hello->boottime_ns = clock_boottime_ns();
	hello->clock_synchronised = clock_is_synchronised();
}

int events_send_hello(struct connection *connection, const struct frame_epochs *epochs)
{
	Pathbell__V1__EpochState states[FRAME_MAX_EPOCHS], *pointers[FRAME_MAX_EPOCHS];
	Pathbell__V1__EventsUp up = PATHBELL__V1__EVENTS_UP__INIT;
	Pathbell__V1__Hello hello;
	struct iovec part;
	int r;

	events_fill_hello(connection, &hello);
	events_fill_epochs(epochs, states, pointers);
	hello.n_epochs = epochs->n_epochs;
	hello.epochs = pointers;
	up.message_case = PATHBELL__V1__EVENTS_UP__MESSAGE_HELLO;
	up.hello = &hello;
	part.iov_len = pathbell__v1__events_up__get_packed_size(&up);
	part.iov_base = malloc(part.iov_len);
	if (!part.iov_base)
		return -ENOMEM;
	pathbell__v1__events_up__pack(&up, part.iov_base);
	r = rpc_call_send(connection->events, &part, 1);
	free(part.iov_base);
	return r == 0 ? 0 : -EPIPE;
}

/* ---- Welcome ---- */

static void events_on_beat_time(void *data);

static void events_start_beat(struct connection *connection)
{
	/* A tenth of jitter: hosts that came back together shall not beat together. */
	uint64_t jitter = link_random(connection->link) % (connection->beat_ms / 5 + 1);

	connection->beat =
		rpc_timer_start(connection->link->rpc,
				connection->beat_ms - connection->beat_ms / 10 + (uint32_t)jitter,
				events_on_beat_time, connection);
}

static void events_on_beat_time(void *data)
{
	struct connection *connection = data;
	const struct frame wanted = { .type = FRAME_BEAT_WANTED };

	connection->beat = NULL;
	outbox_send(connection->link->outbox, &wanted); /* the answer becomes the Heartbeat */
	link_send_stats(connection->link);
	events_start_beat(connection);
}

static void events_on_lifetime(void *data)
{
	struct connection *connection = data;

	connection->lifetime = NULL;
	link_renew(connection->link);
}

static void events_start_timers(struct connection *connection, const Pathbell__V1__Welcome *welcome)
{
	uint32_t life_ms = welcome->stream_lifetime_ms;

	connection_close_deadline(connection, 0, NULL);
	if (welcome->heartbeat_interval_ms) {
		connection->beat_ms = welcome->heartbeat_interval_ms < EVENTS_MIN_BEAT_MS
					      ? EVENTS_MIN_BEAT_MS
					      : welcome->heartbeat_interval_ms;
		if (connection->beat_ms > UINT32_MAX / 2)
			connection->beat_ms = UINT32_MAX / 2;
		events_start_beat(connection);
	}
	if (!life_ms)
		return;
	if (life_ms < EVENTS_MIN_LIFETIME_MS)
		life_ms = EVENTS_MIN_LIFETIME_MS;
	life_ms -= (uint32_t)(link_random(connection->link) % (life_ms / 10));
	connection->lifetime =
		rpc_timer_start(connection->link->rpc, life_ms, events_on_lifetime, connection);
}

/* What the server has is what was "sent" so far: acks may speak of it. */
static const char *events_read_resume(struct connection *connection,
				      const Pathbell__V1__Welcome *welcome,
				      struct frame_session_state *state)
{
	size_t index;

	for (size_t i = 0; i < welcome->n_resume; i++) {
		const Pathbell__V1__ResumePoint *point = welcome->resume[i];

		if (!connection_find_epoch(connection, point->epoch, &index))
			return "resume point of an epoch that Hello did not name";
		connection->epochs[index].sent = point->seq;
		connection->epochs[index].acked = point->seq;
		memcpy(state->resume[i].epoch, point->epoch.data, 16);
		state->resume[i].seq = point->seq;
	}
	state->n_resume = welcome->n_resume;
	return NULL;
}

static void events_on_welcome(struct connection *connection, const Pathbell__V1__Welcome *welcome)
{
	struct frame up = { .type = FRAME_SESSION };
	const char *wrong = NULL;

	if (connection->step != CONNECTION_GREETING)
		wrong = "Welcome out of its place";
	else if (welcome->protocol != EVENTS_PROTOCOL)
		wrong = "Welcome with a protocol that we did not offer";
	else if (!welcome->credit || welcome->max_batch_records == 0)
		wrong = "Welcome without credit or batch size";
	else
		wrong = events_read_resume(connection, welcome, &up.session);
	if (wrong) {
		connection_protocol_error(connection, "Events", wrong);
		return;
	}
	flow_open(&connection->flow, connection->link->settings.max_unacked_bytes,
		  welcome->credit->bytes, welcome->credit->records);
	connection->step = CONNECTION_UP;
	up.session.state = FRAME_SESSION_UP;
	up.session.address =
		(struct frame_text){ connection->address, strlen(connection->address) };
	up.session.credit_bytes = connection->flow.told_bytes;
	up.session.credit_records = connection->flow.told_records;
	up.session.max_batch_records = welcome->max_batch_records;
	events_start_timers(connection, welcome);
	outbox_send(connection->link->outbox, &up);
	link_connection_up(connection->link, connection,
			   welcome->reconnect_window_ms * CLOCK_NS_PER_MS, welcome->aggregator);
}

/* ---- Ack, Credit ---- */

static void events_release(struct connection *connection, size_t index, uint64_t seq)
{
	struct outgoing *outgoing, *next;

	/* In order of sending; acks of several epochs may interleave. */
	for (outgoing = STAILQ_FIRST(&connection->in_flight); outgoing; outgoing = next) {
		next = STAILQ_NEXT(outgoing, link);
		if (outgoing->epoch != index)
			continue;
		if (outgoing->last_seq > seq)
			break;
		flow_acked(&connection->flow, outgoing->rest);
		STAILQ_REMOVE(&connection->in_flight, outgoing, outgoing, link);
		free(outgoing);
	}
}

static void events_forward_ack(struct connection *connection, size_t index,
			       const Pathbell__V1__Ack *ack)
{
	struct frame frame = { .type = FRAME_ACK };

	memcpy(frame.ack.epoch, connection->epochs[index].epoch, 16);
	frame.ack.seq = ack->seq;
	frame.ack.level = (uint8_t)ack->level;
	outbox_send(connection->link->outbox, &frame);
	connection->link->counts.acks++;
}

static void events_note_rejections(struct connection *connection, const Pathbell__V1__Ack *ack)
{
	for (size_t i = 0; i < ack->n_rejections; i++) {
		connection->link->counts.rejected++;
		log_limited(
			&connection->link->limits.rejected, LOG_LEVEL_WARNING,
			"the aggregator keeps an event as unreadable seq=%llu reason=\"%.200s\"",
			(unsigned long long)ack->rejections[i]->seq, ack->rejections[i]->reason);
	}
}

static void events_on_ack(struct connection *connection, const Pathbell__V1__Ack *ack)
{
	struct connection_epoch *epoch;
	size_t index;

	if (connection->step != CONNECTION_UP && connection->step != CONNECTION_DRAINING) {
		connection_protocol_error(connection, "Events", "Ack before Welcome");
		return;
	}
	if (!connection_find_epoch(connection, ack->epoch, &index)) {
		connection->link->counts.stale_acks++;
		return;
	}
	epoch = &connection->epochs[index];
	if (ack->seq > epoch->sent || ack->level < PATHBELL__V1__ACK_LEVEL__ACK_LEVEL_RECEIVED ||
	    ack->level > PATHBELL__V1__ACK_LEVEL__ACK_LEVEL_QUORUM) {
		connection_protocol_error(connection, "Events",
					  "Ack of what was never sent, or of an unknown level");
		return;
	}
	events_note_rejections(connection, ack);
	if (ack->level == PATHBELL__V1__ACK_LEVEL__ACK_LEVEL_RECEIVED)
		return; /* in somebody's memory: frees nothing here either */
	if (ack->seq < epoch->acked) {
		connection->link->counts.stale_acks++;
		return;
	}
	epoch->acked = ack->seq;
	events_release(connection, index, ack->seq);
	events_forward_ack(connection, index, ack);
	if (connection->step == CONNECTION_UP)
		connection_tell_credit(connection);
	else
		connection_check_drained(connection);
}

static void events_on_credit(struct connection *connection, const Pathbell__V1__Credit *credit)
{
	if (connection->step == CONNECTION_DRAINING)
		return;
	if (connection->step != CONNECTION_UP) {
		connection_protocol_error(connection, "Events", "Credit before Welcome");
		return;
	}
	flow_credit(&connection->flow, credit->bytes, credit->records);
	connection_tell_credit(connection);
}

/* ---- wishes ---- */

static void events_on_resend(struct connection *connection, const Pathbell__V1__Resend *resend)
{
	struct frame frame = { .type = FRAME_RESEND };
	size_t index;

	if (connection->step != CONNECTION_UP)
		return;
	if (!connection_find_epoch(connection, resend->epoch, &index) ||
	    resend->first_seq > resend->last_seq) {
		connection_protocol_error(connection, "Events",
					  "Resend of an unknown epoch or an empty range");
		return;
	}
	memcpy(frame.resend.epoch, connection->epochs[index].epoch, 16);
	frame.resend.first_seq = resend->first_seq;
	frame.resend.last_seq = resend->last_seq;
	outbox_send(connection->link->outbox, &frame);
	log_limited(&connection->link->limits.resend, LOG_LEVEL_NOTICE,
		    "the aggregator asks for events again first=%llu last=%llu reason=\"%.200s\"",
		    (unsigned long long)resend->first_seq, (unsigned long long)resend->last_seq,
		    resend->reason);
}

static void events_on_pause_over(void *data)
{
	struct connection *connection = data;

	connection->pause = NULL;
	connection->paused = false;
	connection_pump(connection);
}

static void events_on_slowdown(struct connection *connection,
			       const Pathbell__V1__Slowdown *slowdown)
{
	uint64_t ns = slowdown->retry_after_ms * CLOCK_NS_PER_MS;

	if (connection->step != CONNECTION_UP)
		return;
	rpc_timer_cancel(connection->pause);
	connection->pause = NULL;
	connection->paused = slowdown->level > 0 && ns > 0;
	if (!connection->paused) {
		connection_pump(connection);
		return;
	}
	if (ns > EVENTS_MAX_PAUSE_NS)
		ns = EVENTS_MAX_PAUSE_NS;
	connection->pause = rpc_timer_start(connection->link->rpc, (uint32_t)(ns / CLOCK_NS_PER_MS),
					    events_on_pause_over, connection);
}

void events_on_goodbye(struct connection *connection, const Pathbell__V1__Goodbye *goodbye)
{
	static const struct {
		const char *reason;
		enum session_cause cause;
	} causes[] = {
		{ "host_id_mismatch", SESSION_AUTH },
		{ "shutdown", SESSION_DRAINED },
		{ "fenced",
		  SESSION_AUTH }, /* another one with our identity: a person has to look */
	};
	enum session_cause cause = SESSION_PROTOCOL;

	if (link_is_replacing(connection->link, connection)) {
		/* Our next connection has made us the older one. */
		connection_drain(connection, EVENTS_DRAIN_NS, SESSION_DRAINED, "renewed");
		return;
	}
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		if (strcmp(goodbye->reason, causes[i].reason) == 0)
			cause = causes[i].cause;
	}
	if (!connection->ended)
		connection->end.return_after_ns = goodbye->retry_after_ms * CLOCK_NS_PER_MS;
	connection_end(connection, cause, "the aggregator says goodbye: %.100s: %.300s",
		       goodbye->reason, goodbye->detail);
}

void events_on_drain(struct connection *connection, const Pathbell__V1__Drain *drain)
{
	uint64_t deadline_ns = drain->deadline_ms * CLOCK_NS_PER_MS;
	char reason[300];

	if (connection->step >= CONNECTION_DRAINING)
		return;
	for (size_t i = 0; i < drain->n_addresses; i++) {
		if (session_prefer(&connection->link->session, drain->addresses[i]))
			break; /* only to an address that the configuration names */
	}
	if (!connection->ended)
		connection->end.return_after_ns = drain->return_after_ms * CLOCK_NS_PER_MS;
	snprintf(reason, sizeof(reason), "the aggregator drains: %.250s", drain->reason);
	connection_drain(connection,
			 deadline_ns && deadline_ns < EVENTS_DRAIN_NS ? deadline_ns
								      : EVENTS_DRAIN_NS,
			 SESSION_DRAINED, reason);
}

/* ---- the stream ---- */

static void events_dispatch(struct connection *connection, const Pathbell__V1__EventsDown *down)
{
	switch (down->message_case) {
	case PATHBELL__V1__EVENTS_DOWN__MESSAGE_WELCOME:
		events_on_welcome(connection, down->welcome);
		break;
	case PATHBELL__V1__EVENTS_DOWN__MESSAGE_ACK:
		events_on_ack(connection, down->ack);
		break;
	case PATHBELL__V1__EVENTS_DOWN__MESSAGE_CREDIT:
		events_on_credit(connection, down->credit);
		break;
	case PATHBELL__V1__EVENTS_DOWN__MESSAGE_RESEND:
		events_on_resend(connection, down->resend);
		break;
	case PATHBELL__V1__EVENTS_DOWN__MESSAGE_DRAIN:
		events_on_drain(connection, down->drain);
		break;
	case PATHBELL__V1__EVENTS_DOWN__MESSAGE_SLOWDOWN:
		events_on_slowdown(connection, down->slowdown);
		break;
	case PATHBELL__V1__EVENTS_DOWN__MESSAGE_GOODBYE:
		events_on_goodbye(connection, down->goodbye);
		break;
	default:
		connection->link->counts.unknown_messages++; /* of a later version: no harm */
		break;
	}
}

static void events_on_message(struct rpc_call *call, void *data, const uint8_t *message,
			      size_t size)
{
	struct connection *connection = data;
	Pathbell__V1__EventsDown *down;
	struct errmsg err = { .line = 0 };

	(void)call;
	if (connection->step == CONNECTION_CLOSING)
		return;
	arena_reset(connection->arena);
	down = codec_unpack(&pathbell__v1__events_down__descriptor, &events_limits,
			    connection->arena, message, size, &err);
	if (!down) {
		connection_protocol_error(connection, "Events", err.text);
		return;
	}
	events_dispatch(connection, down);
	link_check_outbox(connection->link, connection);
}

static void events_on_sent(struct rpc_call *call, void *data)
{
	(void)call;
	connection_pump(data);
}

static void events_on_closed(struct rpc_call *call, void *data, int status, const char *details)
{
	struct connection *connection = data;

	(void)call;
	connection->events = NULL;
	connection_stream_closed(connection, status, details);
}

const struct rpc_call_ops events_ops = {
	.on_message = events_on_message,
	.on_sent = events_on_sent,
	.on_closed = events_on_closed,
};
