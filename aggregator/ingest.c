/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts to store. A message of a host becomes one action of the pure machine (peer.c); a batch is
 * copied once, as it is, into a job for the writer. When the group is durable the job comes back:
 * the ack is noted, and ingest_on_commit sends one cumulative ack for each stream of the group.
 *
 * Back-pressure: while the store's queue is full, or one host has more in flight than its window,
 * its stream is held: gRPC stops reading, HTTP/2 windows fill, the host's spool keeps the data.
 * Acks that a slow host does not take are not queued up: the newest one replaces what waits.
 *
 * A session outlives its call until its jobs are back. Two streams of one host: the higher
 * session_generation wins and the other is told (fenced).
 */
#include "aggregator/ingest.h"

#include <stdlib.h>
#include <string.h>

#include "aggregator/session.h"
#include "core/clock.h"
#include "core/log.h"

static void session_on_heartbeat(struct session *session, const Pathbell__V1__Heartbeat *heartbeat)
{
	counter_add(&session->aggregator->metrics.heartbeats, 1);
	if (!session->host)
		return;
	session->host->unacked = heartbeat->unacked;
	session->host->degraded = heartbeat->degraded;
}

static void session_on_resend(struct session *session, const struct peer_range *range)
{
	Pathbell__V1__EventsDown message = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Resend resend = PATHBELL__V1__RESEND__INIT;

	counter_add(&session->aggregator->metrics.resends, 1);
	log_warning("gap, asking again host=%s first_seq=%llu last_seq=%llu", session->caller.name,
		    (unsigned long long)range->first_seq, (unsigned long long)range->last_seq);
	resend.epoch.data = (uint8_t *)range->epoch;
	resend.epoch.len = 16;
	resend.first_seq = range->first_seq;
	resend.last_seq = range->last_seq;
	resend.reason = (char *)"gap";
	message.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_RESEND;
	message.resend = &resend;
	session_send(session, &message);
}

static void session_count_refusal(struct session *session, const struct peer_action *action)
{
	struct metrics *metrics = &session->aggregator->metrics;

	if (action->status == RPC_PERMISSION_DENIED)
		counter_add(&metrics->refused_host_id, 1);
	else if (action->status == RPC_FAILED_PRECONDITION)
		counter_add(&metrics->refused_gap, 1);
	else
		counter_add(&metrics->refused_protocol, 1);
}

static void session_act(struct session *session, const struct peer_action *action)
{
	switch (action->type) {
	case PEER_NOTHING:
		break;
	case PEER_HELLO:
		session_on_hello(session, action->hello);
		break;
	case PEER_BATCH:
		session_put_batch(session, action);
		break;
	case PEER_GONE:
		session_put_gone(session, &action->range, action->gone_reason, action->weight, 1);
		session_hold(session);
		break;
	case PEER_HEARTBEAT:
		session_on_heartbeat(session, action->heartbeat);
		break;
	case PEER_RESEND:
		session_on_resend(session, &action->range);
		break;
	case PEER_CLOSE:
		session_count_refusal(session, action);
		session_close(session, action->status, action->reason, action->text);
		break;
	}
}

static void session_on_message(struct rpc_call *call, void *data, const uint8_t *message,
			       size_t size)
{
	struct session *session = data;
	struct peer_action action;
	uint64_t now = clock_realtime_ns();

	if (session->peer.state == PEER_CLOSED)
		return;
	if (session->not_after_unix_ns != 0 && now > session->not_after_unix_ns) {
		counter_add(&session->aggregator->metrics.refused_expired, 1);
		session_close(session, RPC_UNAUTHENTICATED, "certificate_expired",
			      "the host's certificate has expired");
		return;
	}
	if (session->host) {
		session->host->last_heard_ns = clock_monotonic_ns();
		session->host->last_seen_unix_ns = now;
	}
	peer_receive(&session->peer, message, size, &action);
	session_act(session, &action);
	peer_release(&action);
}

static void session_on_sent(struct rpc_call *call, void *data)
{
	session_flush(data);
}

static void session_on_end(struct rpc_call *call, void *data)
{
	/* The host has nothing more to send: what is under way is still acknowledged by the next
	 * session. */
	rpc_call_finish(call, RPC_OK, "");
}

static void session_on_closed(struct rpc_call *call, void *data, int status, const char *details)
{
	struct session *session = data;

	counter_add(&session->aggregator->metrics.sessions_events, (uint64_t)-1);
	if (session->host) {
		log_info("host disconnected host=%s", session->caller.name);
		session_put_seen(session);
	}
	session->call = NULL;
	session_detach(session);
	session_free(session);
}

static const struct rpc_call_ops session_ops = {
	.on_message = session_on_message,
	.on_sent = session_on_sent,
	.on_end = session_on_end,
	.on_closed = session_on_closed,
};

int ingest_on_events(struct aggregator *aggregator, struct rpc_call *call,
		     const struct caller *caller, const struct rpc_call_ops **ret_ops,
		     void **ret_data, const char **ret_details)
{
	const struct peer_limits limits = {
		.max_batch_records = (uint32_t)aggregator->live.ingest.max_batch_records,
		.window_bytes = aggregator->live.ingest.window_bytes,
		.window_records = aggregator->live.ingest.window_records,
	};
	struct session *session;

	if (aggregator->is_stopping) {
		*ret_details = "the aggregator stops";
		return RPC_UNAVAILABLE;
	}
	session = calloc(1, sizeof(*session));
	if (!session) {
		*ret_details = "no memory";
		return RPC_RESOURCE_EXHAUSTED;
	}
	session->aggregator = aggregator;
	session->call = call;
	session->caller = *caller;
	session->actor.uri = session->caller.uri;
	session->actor.certificate = session->caller.certificate;
	session->not_after_unix_ns = rpc_call_peer(call)->not_after_unix_ns;
	peer_init(&session->peer, session->caller.name, &limits);
	counter_add(&aggregator->metrics.sessions_events, 1);
	*ret_ops = &session_ops;
	*ret_data = session;
	return RPC_OK;
}
