/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/queue.h>

#include "certificates.h"
#include "flow.h"
#include "parcel.h"
#include "proto/codec.h"
#include "session.h"

struct link;

/*
 * One connection to one aggregator: a channel with the Events and the Control stream. Lives on the
 *gRPC thread. Steps: OPENING	 both calls are started, ControlHello is sent
 *	READY	 the server has answered; the link says when to begin
 *	ASKING	 SESSION_WANTED was sent to the agent
 *	GREETING Hello was sent
 *	UP	 Welcome came: batches out, acks back
 *	DRAINING nothing more is sent; acks still count
 *	CLOSING	 cancelled; `end` says why
 * Either stream's end is the connection's. When both are closed, link_connection_closed is called
 *once, and the connection is freed.
 */
enum connection_step {
	CONNECTION_OPENING,
	CONNECTION_READY,
	CONNECTION_ASKING,
	CONNECTION_GREETING,
	CONNECTION_UP,
	CONNECTION_DRAINING,
	CONNECTION_CLOSING,
};

/* A message of the Events stream, from the agent's order to be sent until the server has acked it.
 */
struct outgoing {
	STAILQ_ENTRY(outgoing) link;
	bool is_data; /* batch or gone: is acked; else a heartbeat */
	size_t epoch; /* index */
	uint64_t last_seq;
	size_t rest;	       /* framed events: what the window counts */
	struct parcel *parcel; /* holds `body`, until sent */
	const uint8_t *body;
	size_t body_size, head_size;
	uint8_t head[CODEC_BATCH_HEAD_MAX];
};
STAILQ_HEAD(outgoing_list, outgoing);

struct connection_epoch {
	uint8_t epoch[16];
	uint64_t sent, acked; /* acked <= sent */
};

struct connection {
	struct link *link;
	struct rpc_channel *channel;
	struct rpc_call *events, *control; /* NULL when closed */
	enum connection_step step;
	char address[300];
	uint64_t generation;
	uint64_t certificate_stamp;
	struct rpc_timer *deadline, *beat, *pause, *lifetime;
	uint32_t beat_ms;
	bool paused; /* by Slowdown */
	struct outgoing_list waiting, in_flight;
	struct flow flow;
	struct connection_epoch epochs[FRAME_MAX_EPOCHS];
	size_t n_epochs, last_epoch; /* last_epoch: of the last batch */
	struct arena *arena;
	bool ended; /* `end` is known: the first reason stays */
	struct session_end end;
};

/* 0 or -errno with @err (files that cannot be used). */
int connection_new(struct link *link, const char *address, uint64_t stamp,
		   struct connection **ret_connection, struct errmsg *err);
void connection_begin(struct connection *connection); /* READY: asks the agent for its epochs */
void connection_drain(struct connection *connection, uint64_t deadline_ns, enum session_cause cause,
		      const char *reason);
/* Ends it now. The first reason that is given is the one that counts. */
void connection_end(struct connection *connection, enum session_cause cause, const char *format,
		    ...) __attribute__((format(printf, 3, 4)));
void connection_protocol_error(struct connection *connection, const char *what, const char *detail);
void connection_hold(struct connection *connection, bool hold); /* stop reading from the network */

/* Frames of the agent. */
void connection_on_epochs(struct connection *connection, const struct frame_epochs *epochs);
void connection_on_batch(struct connection *connection, const struct frame_batch *batch,
			 struct parcel *parcel);
void connection_on_gone(struct connection *connection, const struct frame_gone *gone);
void connection_on_beat(struct connection *connection, const struct frame_beat *beat);
void connection_on_receipt(struct connection *connection, const struct frame_receipt *receipt);

/* Between its files. */
void connection_pump(struct connection *connection);
void connection_close_deadline(struct connection *connection, uint64_t ns, void (*fn)(void *data));
bool connection_find_epoch(const struct connection *connection, ProtobufCBinaryData epoch,
			   size_t *ret_index);
void connection_tell_credit(struct connection *connection);
void connection_check_drained(struct connection *connection);
void connection_stream_closed(struct connection *connection, int status, const char *details);
void connection_server_ready(struct connection *connection);
/* Packs and queues a message of the Events stream; NULL outgoing fields for heartbeats. 0 or
 * -errno. */
int connection_queue_message(struct connection *connection, const Pathbell__V1__EventsUp *up,
			     const struct outgoing *data);
void connection_drop_list(struct outgoing_list *list);

extern const struct rpc_call_ops events_ops;  /* events.c */
extern const struct rpc_call_ops control_ops; /* control.c */
int events_send_hello(struct connection *connection, const struct frame_epochs *epochs);
void events_on_drain(struct connection *connection,
		     const Pathbell__V1__Drain *drain); /* also on Control */
void events_on_goodbye(struct connection *connection, const Pathbell__V1__Goodbye *goodbye);
int control_send_hello(struct connection *connection);
/* Limits of what a server may send us; every message is scanned before it is unpacked. */
#define CONNECTION_MAX_MESSAGE (192 * 1024)
