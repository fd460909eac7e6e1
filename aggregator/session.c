/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/ingest.h"
#include "core/log.h"

#define INGEST_SEND_MAX	     65536 /* queued bytes towards one host */
#define INGEST_RETRY_BUSY_MS 5000

/* Sessions with something to send after the group, and those that wait for room. gRPC thread. */
static LIST_HEAD(, session) session_dirty_list = LIST_HEAD_INITIALIZER(session_dirty_list);
static LIST_HEAD(, session) session_held_list = LIST_HEAD_INITIALIZER(session_held_list);

int session_send(struct session *session, const Pathbell__V1__EventsDown *message)
{
	size_t size = pathbell__v1__events_down__get_packed_size(message);
	uint8_t *bytes = malloc(size);
	int r;

	if (!bytes)
		return -ENOBUFS;
	pathbell__v1__events_down__pack(message, bytes);
	r = session->call ? rpc_call_enqueue(session->call, bytes, size, INGEST_SEND_MAX)
			  : RPC_E_CLOSED;
	free(bytes);
	return r;
}

int session_send_ack(struct session *session, Pathbell__V1__Rejection **rejections,
		     size_t n_rejections)
{
	Pathbell__V1__EventsDown message = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Ack ack = PATHBELL__V1__ACK__INIT;
	int r;

	ack.epoch.data = session->ack.epoch;
	ack.epoch.len = 16;
	ack.seq = session->ack.seq;
	ack.level = PATHBELL__V1__ACK_LEVEL__ACK_LEVEL_LOCAL;
	ack.rejections = rejections;
	ack.n_rejections = n_rejections;
	message.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_ACK;
	message.ack = &ack;
	r = session_send(session, &message);
	if (r == 0)
		counter_add(&session->aggregator->metrics.acks, 1);
	return r;
}

static int session_send_credit(struct session *session)
{
	Pathbell__V1__EventsDown message = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Credit credit = PATHBELL__V1__CREDIT__INIT;

	credit.bytes = session->peer.granted_bytes;
	credit.records = session->peer.granted_records;
	message.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_CREDIT;
	message.credit = &credit;
	return session_send(session, &message);
}

/* What does not fit now stays and goes with on_sent. */
void session_flush(struct session *session)
{
	if (!session->call)
		return;
	if (session->ack_waits && session_send_ack(session, NULL, 0) == 0)
		session->ack_waits = false;
	if (session->credit_waits && session_send_credit(session) == 0)
		session->credit_waits = false;
}

void session_dirty(struct session *session)
{
	if (session->is_dirty)
		return;
	session->is_dirty = true;
	LIST_INSERT_HEAD(&session_dirty_list, session, dirty_link);
}

void session_free(struct session *session)
{
	if (session->call || session->jobs > 0)
		return;
	if (session->is_dirty)
		LIST_REMOVE(session, dirty_link);
	free(session);
}

void session_detach(struct session *session)
{
	struct metrics *metrics = &session->aggregator->metrics;
	struct host *host = session->host;

	if (session->is_held)
		LIST_REMOVE(session, held_link);
	session->is_held = false;
	session->host = NULL;
	session->peer.state = PEER_CLOSED;
	if (!host || host->session != session)
		return;
	host->session = NULL;
	counter_add(&metrics->hosts_connected, (uint64_t)-1);
	hosts_release(session->aggregator->hosts, host);
}

static void session_goodbye(struct session *session, const char *reason, const char *text,
			    uint32_t retry_ms)
{
	Pathbell__V1__EventsDown message = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Goodbye goodbye = PATHBELL__V1__GOODBYE__INIT;

	goodbye.reason = (char *)reason;
	goodbye.detail = (char *)text;
	goodbye.retry_after_ms = retry_ms;
	message.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_GOODBYE;
	message.goodbye = &goodbye;
	session_send(session, &message);
}

/* One limit for each reason, so that a flood of one does not hide another. */
static struct log_limit *session_limit(const char *reason)
{
	static struct {
		const char *reason;
		struct log_limit limit;
	} limits[16];
	size_t i = 0;

	while (i < 15 && limits[i].reason && strcmp(limits[i].reason, reason) != 0)
		i++;
	limits[i].reason = reason;
	return &limits[i].limit;
}

void session_close(struct session *session, int status, const char *reason, const char *text)
{
	uint32_t retry = status == RPC_RESOURCE_EXHAUSTED || status == RPC_UNAVAILABLE
				 ? INGEST_RETRY_BUSY_MS
				 : 0;

	if (!session->call)
		return;
	log_limited(session_limit(reason), LOG_LEVEL_WARNING,
		    "session closed host=%s reason=%s detail=\"%s\" peer=%s", session->caller.name,
		    reason, text, rpc_call_peer(session->call)->address);
	session_flush(session);
	session_goodbye(session, reason, text, retry);
	session->peer.state = PEER_CLOSED;
	rpc_call_finish(session->call, status, text);
}

void session_hold(struct session *session)
{
	if (session->is_held ||
	    !(writer_is_full(session->aggregator->writer) || peer_is_over(&session->peer)))
		return;
	session->is_held = true;
	LIST_INSERT_HEAD(&session_held_list, session, held_link);
	counter_add(&session->aggregator->metrics.holds, 1);
	rpc_call_hold(session->call, true);
}

void session_no_memory(struct session *session)
{
	session_close(session, RPC_UNAVAILABLE, "busy", "no memory");
}

static void ingest_resume(struct aggregator *aggregator)
{
	struct session *session, *next;

	if (LIST_EMPTY(&session_held_list) || !writer_has_room(aggregator->writer))
		return;
	for (session = LIST_FIRST(&session_held_list); session; session = next) {
		next = LIST_NEXT(session, held_link);
		if (peer_is_over(&session->peer))
			continue;
		LIST_REMOVE(session, held_link);
		session->is_held = false;
		if (session->call)
			rpc_call_hold(session->call, false);
	}
}

void ingest_on_commit(struct aggregator *aggregator)
{
	struct session *session;

	while ((session = LIST_FIRST(&session_dirty_list))) {
		LIST_REMOVE(session, dirty_link);
		session->is_dirty = false;
		session_flush(session);
	}
	ingest_resume(aggregator);
}

void ingest_drain(struct aggregator *aggregator, struct host *host, uint32_t return_ms)
{
	Pathbell__V1__EventsDown message = PATHBELL__V1__EVENTS_DOWN__INIT;
	Pathbell__V1__Drain drain = PATHBELL__V1__DRAIN__INIT;
	struct session *session = host->session;

	if (!session || !session->call)
		return;
	drain.deadline_ms = 1000;
	drain.return_after_ms = return_ms;
	drain.reason = (char *)"shutdown";
	message.message_case = PATHBELL__V1__EVENTS_DOWN__MESSAGE_DRAIN;
	message.drain = &drain;
	session_send(session, &message);
	/* What comes from here on is not read: the host keeps it. */
	rpc_call_hold(session->call, true);
}

void ingest_end(struct host *host)
{
	struct session *session = host->session;

	if (!session || !session->call)
		return;
	session_flush(session);
	session->peer.state = PEER_CLOSED;
	rpc_call_finish(session->call, RPC_UNAVAILABLE, "the aggregator stops");
}
