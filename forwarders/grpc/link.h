/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "certificates.h"
#include "core/log.h"
#include "outbox.h"
#include "parcel.h"
#include "session.h"
#include "settings.h"

struct connection;

/*
 * The gRPC thread's half of the uplink: which connection there is, and what the agent is told about
 * it. `current` carries the data. `next` exists while certificates or the stream are renewed: it is
 * opened first, and only when the server has accepted it `current` is drained and makes room.
 */
struct link {
	struct rpc *rpc;
	struct outbox *outbox;
	void (*on_stopped)(
		void *data); /* after FRAME_STOP or link_close: nothing is open any more */
	void (*on_configured)(void *data); /* the settings are new; certificates to watch */
	void *data;

	struct settings settings;
	bool configured, stopping, stopped;
	struct session session;
	struct connection *current, *next;
	struct rpc_timer *attempt, *certificate_timer, *renew_timer, *stop_timer, *trim_timer;
	uint64_t generation; /* of the next session */
	uint64_t random;

	struct certificates certificates; /* as last looked at */
	uint64_t certificate_stamp;
	const char *alarm; /* what the agent was told last; NULL: nothing is wrong */

	struct {
		uint64_t reconnects, batches, bytes, acks, commands;
		uint64_t dropped_frames, stale_acks, protocol_errors, unknown_messages, rejected;
	} counts;
	struct {
		struct log_limit rejected, resend, ended, frame;
	} limits;
};

void link_init(struct link *link, struct rpc *rpc, struct outbox *outbox);
void link_deinit(struct link *link);
/* A packet of the agent; takes @parcel. */
void link_on_parcel(struct link *link, struct parcel *parcel);
/* Something happened in the folders of the certificate files. */
void link_on_files(struct link *link);
void link_on_outbox_drained(struct link *link);
/* The agent is gone: ends all at once, then on_stopped. */
void link_close(struct link *link);
/* A new connection before the present one is given up. */
void link_renew(struct link *link);

/* For connections. */
void link_connection_ready(struct link *link, struct connection *connection);
void link_connection_up(struct link *link, struct connection *connection, uint64_t window_ns,
			const char *aggregator);
void link_connection_closed(struct link *link,
			    struct connection *connection); /* it is freed by the caller */
void link_check_outbox(struct link *link, struct connection *connection);
/* It carries the data, and the one that shall replace it is being opened. */
bool link_is_replacing(const struct link *link, const struct connection *connection);
void link_send_stats(struct link *link);
uint64_t link_random(struct link *link);
