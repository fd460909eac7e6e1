/* SPDX-License-Identifier: Apache-2.0 */
#include "connection.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "link.h"

#define CONNECTION_ARENA       (512 * 1024)
#define CONNECTION_REPLACED_NS (5 * CLOCK_NS_PER_S)
#define CONNECTION_METHOD      "/pathbell.v1.Ingest/"

static uint32_t connection_ms(uint64_t ns)
{
	uint64_t ms = (ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;

	return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

/* ---- life ---- */

void connection_drop_list(struct outgoing_list *list)
{
	struct outgoing *outgoing;

	while ((outgoing = STAILQ_FIRST(list))) {
		STAILQ_REMOVE_HEAD(list, link);
		parcel_free(outgoing->parcel);
		free(outgoing);
	}
}

static void connection_stop_timers(struct connection *connection)
{
	rpc_timer_cancel(connection->deadline);
	rpc_timer_cancel(connection->beat);
	rpc_timer_cancel(connection->pause);
	rpc_timer_cancel(connection->lifetime);
	connection->deadline = connection->beat = connection->pause = connection->lifetime = NULL;
}

static struct connection *connection_free(struct connection *connection)
{
	connection_stop_timers(connection);
	connection_drop_list(&connection->waiting);
	connection_drop_list(&connection->in_flight);
	rpc_channel_free(connection->channel);
	arena_free(connection->arena);
	free(connection);
	return NULL;
}

void connection_close_deadline(struct connection *connection, uint64_t ns, void (*fn)(void *data))
{
	rpc_timer_cancel(connection->deadline);
	connection->deadline =
		ns ? rpc_timer_start(connection->link->rpc, connection_ms(ns), fn, connection)
		   : NULL;
}

static void connection_on_patience(void *data)
{
	struct connection *connection = data;

	connection->deadline = NULL;
	connection_end(
		connection, SESSION_TIMEOUT, "%s did not answer within %u s", connection->address,
		(unsigned)(session_patience_ns(&connection->link->session) / CLOCK_NS_PER_S));
}

static int connection_open_channel(struct connection *connection, struct errmsg *err)
{
	const struct settings *settings = &connection->link->settings;
	const struct rpc_channel_options options = {
		.target = connection->address,
		.server_name = settings->server_name[0] ? settings->server_name : NULL,
		.credentials = settings_credentials(settings),
		.keepalive_ns = settings->keepalive_ns,
		.keepalive_timeout_ns = settings->keepalive_timeout_ns,
		.http_proxy = settings->http_proxy[0] ? settings->http_proxy : NULL,
		.max_message = CONNECTION_MAX_MESSAGE,
	};

	return rpc_channel_new(connection->link->rpc, &options, &connection->channel, err);
}

/* Once a call runs, the connection may only be freed by its on_closed: later failures end it like
 * any other. */
static int connection_open_streams(struct connection *connection)
{
	int r = rpc_call_new(connection->channel, CONNECTION_METHOD "Control", 0, &control_ops,
			     connection, &connection->control);

	if (r < 0)
		return r;
	if (rpc_call_new(connection->channel, CONNECTION_METHOD "Events", 0, &events_ops,
			 connection, &connection->events) < 0 ||
	    control_send_hello(connection) < 0)
		connection_end(connection, SESSION_LOST, "the streams could not be opened");
	return 0;
}

int connection_new(struct link *link, const char *address, uint64_t stamp,
		   struct connection **ret_connection, struct errmsg *err)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int r;

	if (!connection)
		return -ENOMEM;
	connection->link = link;
	connection->certificate_stamp = stamp;
	connection->generation = link->generation++;
	STAILQ_INIT(&connection->waiting);
	STAILQ_INIT(&connection->in_flight);
	snprintf(connection->address, sizeof(connection->address), "%s", address);
	r = arena_new(&connection->arena, CONNECTION_ARENA);
	if (r == 0)
		r = connection_open_channel(connection, err);
	if (r == 0)
		r = connection_open_streams(connection);
	if (r < 0) {
		connection_free(connection);
		return r;
	}
	if (!connection->ended)
		connection_close_deadline(connection, session_patience_ns(&link->session),
					  connection_on_patience);
	*ret_connection = connection;
	return 0;
}

/* ---- the end ---- */

__attribute__((format(printf, 3, 0))) static void connection_note_end(struct connection *connection,
								      enum session_cause cause,
								      const char *format,
								      va_list args)
{
	if (connection->ended)
		return;
	connection->ended = true;
	connection->end.cause = cause;
	vsnprintf(connection->end.detail, sizeof(connection->end.detail), format, args);
}

void connection_end(struct connection *connection, enum session_cause cause, const char *format,
		    ...)
{
	va_list args;

	va_start(args, format);
	connection_note_end(connection, cause, format, args);
	va_end(args);
	connection->step = CONNECTION_CLOSING;
	connection_stop_timers(connection);
	if (connection->events)
		rpc_call_cancel(connection->events);
	if (connection->control)
		rpc_call_cancel(connection->control);
}

void connection_protocol_error(struct connection *connection, const char *what, const char *detail)
{
	connection->link->counts.protocol_errors++;
	connection_end(connection, SESSION_PROTOCOL, "%s: %s", what, detail);
}

static enum session_cause connection_cause(int status, const char *details)
{
	switch (rpc_classify_failure(status, details)) {
	case RPC_FAILURE_REFUSED:
		return SESSION_REFUSED;
	case RPC_FAILURE_TIMEOUT:
		return SESSION_TIMEOUT;
	case RPC_FAILURE_TLS:
		return SESSION_TLS;
	case RPC_FAILURE_AUTH:
		return SESSION_AUTH;
	case RPC_FAILURE_BUSY:
		return SESSION_BUSY;
	case RPC_FAILURE_PROTOCOL:
		return SESSION_PROTOCOL;
	default:
		return SESSION_LOST;
	}
}

static void connection_end_by_status(struct connection *connection, int status, const char *details)
{
	enum session_cause cause = connection_cause(status, details);
	const char *text = details;

	if (status == RPC_UNAVAILABLE && rpc_channel_last_error(connection->channel)[0])
		text = rpc_channel_last_error(connection->channel);
	if (status == RPC_OK)
		text = "the server ended the stream";
	if (!connection->ended)
		connection->end.certificate_refused =
			cause == SESSION_TLS && strstr(text, "refused our certificate");
	connection_end(connection, cause, "%s%s%s", status == RPC_OK ? "" : rpc_status_name(status),
		       status == RPC_OK ? "" : ": ", text);
}

void connection_stream_closed(struct connection *connection, int status, const char *details)
{
	if (connection->events && link_is_replacing(connection->link, connection))
		connection_drain(connection, CONNECTION_REPLACED_NS, SESSION_DRAINED, "renewed");
	if (connection->events && connection->step == CONNECTION_DRAINING)
		return; /* acks may still come */
	if (!connection->ended && connection->step != CONNECTION_CLOSING)
		connection_end_by_status(connection, status, details);
	if (connection->events || connection->control) {
		connection_end(connection, SESSION_LOST, "closed"); /* the other one too */
		return;
	}
	connection_stop_timers(connection);
	link_connection_closed(connection->link, connection);
	connection_free(connection);
}

static void connection_on_drained_late(void *data)
{
	struct connection *connection = data;

	connection->deadline = NULL;
	connection_end(connection, SESSION_DRAINED, "drain took too long");
}

/* All is acked: our side of the streams is closed, and the server closes its own. */
void connection_check_drained(struct connection *connection)
{
	if (!STAILQ_EMPTY(&connection->in_flight))
		return;
	if (connection->events)
		rpc_call_finish(connection->events, RPC_OK, NULL);
	if (connection->control)
		rpc_call_finish(connection->control, RPC_OK, NULL);
}

/*
 * What was not sent yet is not lost: the agent sends it again in the next session. The stream stays
 * until the server has acked what it got, or the deadline.
 */
void connection_drain(struct connection *connection, uint64_t deadline_ns, enum session_cause cause,
		      const char *reason)
{
	if (connection->step >= CONNECTION_DRAINING)
		return;
	if (connection->step != CONNECTION_UP) {
		connection_end(connection, cause, "%s", reason);
		return;
	}
	if (!connection->ended) {
		connection->ended = true;
		connection->end.cause = cause;
		snprintf(connection->end.detail, sizeof(connection->end.detail), "%s", reason);
	}
	connection->step = CONNECTION_DRAINING;
	connection_drop_list(&connection->waiting);
	connection_stop_timers(connection);
	connection_close_deadline(connection, deadline_ns, connection_on_drained_late);
	connection_check_drained(connection);
}

void connection_hold(struct connection *connection, bool hold)
{
	if (connection->events)
		rpc_call_hold(connection->events, hold);
	if (connection->control)
		rpc_call_hold(connection->control, hold);
}

/* ---- begin ---- */

void connection_server_ready(struct connection *connection)
{
	if (connection->step != CONNECTION_OPENING)
		return;
	connection->step = CONNECTION_READY;
	link_connection_ready(connection->link, connection);
}

void connection_begin(struct connection *connection)
{
	const struct frame wanted = { .type = FRAME_SESSION_WANTED };

	if (connection->step != CONNECTION_READY)
		return;
	connection->step = CONNECTION_ASKING;
	outbox_send(connection->link->outbox, &wanted);
}

static void connection_note_epochs(struct connection *connection, const struct frame_epochs *epochs)
{
	connection->n_epochs = epochs->n_epochs;
	for (size_t i = 0; i < epochs->n_epochs; i++)
		memcpy(connection->epochs[i].epoch, epochs->epochs[i].epoch, 16);
}

void connection_on_epochs(struct connection *connection, const struct frame_epochs *epochs)
{
	if (connection->step != CONNECTION_ASKING)
		return; /* for a connection that is gone */
	connection_note_epochs(connection, epochs);
	if (events_send_hello(connection, epochs) < 0)
		connection_end(connection, SESSION_LOST, "Hello could not be sent");
	else
		connection->step = CONNECTION_GREETING;
}

/* ---- sending ---- */

static bool connection_is_current(const struct connection *connection, size_t index,
				  const uint8_t epoch[16])
{
	return index < connection->n_epochs &&
	       memcmp(connection->epochs[index].epoch, epoch, 16) == 0;
}

bool connection_find_epoch(const struct connection *connection, ProtobufCBinaryData epoch,
			   size_t *ret_index)
{
	if (epoch.len != 16)
		return false;
	/* From the end: nearly always the newest. */
	for (size_t i = connection->n_epochs; i-- > 0;) {
		if (connection_is_current(connection, i, epoch.data)) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}

/* The agent may start an epoch in the middle of a session. */
static bool connection_epoch_of(struct connection *connection, const uint8_t epoch[16],
				size_t *ret_index)
{
	const ProtobufCBinaryData data = { .len = 16, .data = (uint8_t *)epoch };

	if (connection_is_current(connection, connection->last_epoch, epoch) ||
	    connection_find_epoch(connection, data, &connection->last_epoch)) {
		*ret_index = connection->last_epoch;
		return true;
	}
	if (connection->n_epochs == FRAME_MAX_EPOCHS)
		return false;
	connection->last_epoch = connection->n_epochs++;
	connection->epochs[connection->last_epoch] = (struct connection_epoch){ .sent = 0 };
	memcpy(connection->epochs[connection->last_epoch].epoch, epoch, 16);
	*ret_index = connection->last_epoch;
	return true;
}

static void connection_sent_one(struct connection *connection, struct outgoing *outgoing)
{
	struct connection_epoch *epoch = &connection->epochs[outgoing->epoch];

	parcel_free(outgoing->parcel);
	outgoing->parcel = NULL;
	if (!outgoing->is_data) {
		free(outgoing);
		return;
	}
	if (outgoing->last_seq > epoch->sent)
		epoch->sent = outgoing->last_seq;
	STAILQ_INSERT_TAIL(&connection->in_flight, outgoing, link);
}

/* One message outstanding: the next goes when this one has left, with all that has come meanwhile
 * (grpc-core 0.4). */
void connection_pump(struct connection *connection)
{
	struct outgoing *outgoing = STAILQ_FIRST(&connection->waiting);
	struct iovec parts[2];

	if (!outgoing || connection->paused || connection->step != CONNECTION_UP)
		return;
	parts[0] = (struct iovec){ outgoing->head, outgoing->head_size };
	parts[1] = (struct iovec){ (void *)outgoing->body, outgoing->body_size };
	if (rpc_call_send(connection->events, parts, 2) != 0)
		return; /* busy: on_sent comes; closed: on_closed comes */
	STAILQ_REMOVE_HEAD(&connection->waiting, link);
	connection->link->counts.bytes += outgoing->body_size;
	connection->link->counts.batches += outgoing->rest > 0;
	connection_sent_one(connection, outgoing);
}

void connection_on_batch(struct connection *connection, const struct frame_batch *batch,
			 struct parcel *parcel)
{
	struct outgoing *outgoing;
	size_t epoch;

	if (connection->step != CONNECTION_UP ||
	    !connection_epoch_of(connection, batch->epoch, &epoch)) {
		connection->link->counts.dropped_frames++; /* sent again in the next session */
		parcel_free(parcel);
		return;
	}
	outgoing = malloc(sizeof(*outgoing));
	if (!outgoing) {
		parcel_free(parcel);
		connection_end(connection, SESSION_LOST, "out of memory");
		return;
	}
	*outgoing = (struct outgoing){ .is_data = true,
				       .epoch = epoch,
				       .last_seq = batch->first_seq + batch->count - 1,
				       .rest = batch->events_size,
				       .parcel = parcel,
				       .body = batch->events,
				       .body_size = batch->events_size };
	outgoing->head_size =
		codec_put_batch_head(outgoing->head, batch->epoch, batch->first_seq, batch->count,
				     batch->crc32c, clock_realtime_ns(), batch->events_size);
	flow_take(&connection->flow, batch->events_size, outgoing->head_size + batch->events_size);
	STAILQ_INSERT_TAIL(&connection->waiting, outgoing, link);
	connection_pump(connection);
}

int connection_queue_message(struct connection *connection, const Pathbell__V1__EventsUp *up,
			     const struct outgoing *data)
{
	size_t size = pathbell__v1__events_up__get_packed_size(up);
	struct outgoing *outgoing;
	struct parcel *parcel = parcel_new(size);

	outgoing = parcel ? malloc(sizeof(*outgoing)) : NULL;
	if (!outgoing) {
		parcel_free(parcel);
		return -ENOMEM;
	}
	pathbell__v1__events_up__pack(up, parcel->packet);
	*outgoing = *data;
	outgoing->parcel = parcel;
	outgoing->body = parcel->packet;
	outgoing->body_size = size;
	STAILQ_INSERT_TAIL(&connection->waiting, outgoing, link);
	connection_pump(connection);
	return 0;
}

void connection_on_gone(struct connection *connection, const struct frame_gone *gone)
{
	Pathbell__V1__EventsUp up = PATHBELL__V1__EVENTS_UP__INIT;
	Pathbell__V1__Gone message = PATHBELL__V1__GONE__INIT;
	struct outgoing data = { .is_data = true, .last_seq = gone->last_seq };

	if (connection->step != CONNECTION_UP ||
	    !connection_epoch_of(connection, gone->epoch, &data.epoch)) {
		connection->link->counts.dropped_frames++;
		return;
	}
	message.epoch = (ProtobufCBinaryData){ .len = 16, .data = (uint8_t *)gone->epoch };
	message.first_seq = gone->first_seq;
	message.last_seq = gone->last_seq;
	message.reason = (Pathbell__V1__GoneReason)gone->reason;
	up.message_case = PATHBELL__V1__EVENTS_UP__MESSAGE_GONE;
	up.gone = &message;
	if (connection_queue_message(connection, &up, &data) < 0)
		connection_end(connection, SESSION_LOST, "out of memory");
}

void connection_on_beat(struct connection *connection, const struct frame_beat *beat)
{
	Pathbell__V1__EventsUp up = PATHBELL__V1__EVENTS_UP__INIT;
	Pathbell__V1__Heartbeat message = PATHBELL__V1__HEARTBEAT__INIT;
	const struct outgoing data = { .is_data = false };

	if (connection->step != CONNECTION_UP)
		return;
	message.tail_seq = beat->tail_seq;
	message.unacked = beat->unacked;
	message.oldest_unacked_unix_ns = beat->oldest_unacked_unix_ns;
	message.degraded = beat->degraded;
	message.unix_ns = clock_realtime_ns();
	up.message_case = PATHBELL__V1__EVENTS_UP__MESSAGE_HEARTBEAT;
	up.heartbeat = &message;
	connection_queue_message(connection, &up, &data); /* without memory: the next one */
}

void connection_tell_credit(struct connection *connection)
{
	struct frame credit = { .type = FRAME_CREDIT };

	if (!flow_grant(&connection->flow))
		return;
	credit.credit =
		(struct frame_credit){ connection->flow.told_bytes, connection->flow.told_records };
	outbox_send(connection->link->outbox, &credit);
}
