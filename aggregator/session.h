/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"
#include "aggregator/hosts.h"
#include "aggregator/peer.h"

/*
 * One Events stream: the pure machine (peer.h), its call, its jobs at the writer. Inside of the
 * ingest service: ingest.c has the essay and the call, session.c sending and ending,
 * session_store.c the way to the writer and back, session_hello.c the beginning. gRPC thread only.
 */
struct session {
	struct aggregator *aggregator;
	struct rpc_call *call; /* NULL: closed */
	struct host *host;     /* set after Hello */
	struct caller caller;
	struct store_actor actor; /* in caller */
	struct peer peer;
	uint64_t not_after_unix_ns;
	unsigned jobs; /* under way */
	bool is_held, is_dirty, ack_waits, credit_waits;
	struct {
		uint8_t epoch[16];
		uint64_t seq;
	} ack; /* if ack_waits */
	LIST_ENTRY(session) held_link;
	LIST_ENTRY(session) dirty_link;
};

/* A write of a session, under way. */
struct session_job {
	struct writer_job job; /* first */
	struct session *session;
	size_t weight;
	uint64_t records;
	uint8_t *data; /* what `write` points to */
};

/* ---- session.c ---- */

/* 0; -ENOBUFS: what waits for the host is full; RPC_E_CLOSED. */
int session_send(struct session *session, const Pathbell__V1__EventsDown *message);
int session_send_ack(struct session *session, Pathbell__V1__Rejection **rejections,
		     size_t n_rejections);
/* Sends the ack and the credit that wait; what does not fit stays and goes with on_sent. */
void session_flush(struct session *session);
/* session_flush after the group. */
void session_dirty(struct session *session);
/* Stops reading while the store, or this host's window, is full. */
void session_hold(struct session *session);
/* Goodbye, then the status. Logs. */
void session_close(struct session *session, int status, const char *reason, const char *text);
void session_no_memory(struct session *session);
/* Leaves its host and all lists; the call is gone. */
void session_detach(struct session *session);
/* Frees it when neither a call nor a job is left. */
void session_free(struct session *session);

/* ---- session_store.c ---- */

struct session_job *session_job_new(struct session *session, enum store_write_type type,
				    void (*done)(struct writer_job *job));
void session_put(struct session *session, struct session_job *job);
/* True: not stored, and the session is being closed. */
bool session_job_failed(struct session_job *job);
void session_job_free(struct session_job *job);
void session_put_batch(struct session *session, const struct peer_action *action);
void session_put_gone(struct session *session, const struct peer_range *range, uint32_t reason,
		      size_t weight, uint64_t records);
/* Its last word, for when the host is away. */
void session_put_seen(struct session *session);

/* ---- session_hello.c ---- */

void session_on_hello(struct session *session, const Pathbell__V1__Hello *hello);
