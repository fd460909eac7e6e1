/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include "core/log.h"
#include "rpc/credentials.h"
#include "rpc/rpc.h"

/*
 * What the files of rpc/ share. An operation's tag is a struct in memory that outlives it: the
 * completion queue gives it back exactly once (facts: grpc-core pitfalls 1, 4).
 */
struct rpc_tag {
	void (*done)(struct rpc_tag *tag, bool ok);
};

struct rpc_posted;
LIST_HEAD(rpc_call_list, rpc_call);
LIST_HEAD(rpc_channel_list, rpc_channel);
LIST_HEAD(rpc_server_list, rpc_server);

struct rpc {
	grpc_completion_queue *cq;
	pthread_t thread;
	struct rpc_tag wake_tag;
	grpc_channel *lame; /* carries the call that is never started */
	grpc_call *wake_call;

	pthread_mutex_t post_lock; /* the next five */
	struct rpc_files *files;
	struct rpc_posted *post_head, **post_tail;
	bool waking; /* wake_tag is in the queue */
	bool closed; /* nothing is taken any more */

	/* gRPC thread only */
	bool stopping;
	uint64_t n_tags;	   /* started and not given back, wake_tag not counted */
	struct rpc_timer **timers; /* a heap, earliest first */
	size_t n_timers, timers_capacity;
	uint64_t timer_serial;
	struct rpc_call_list calls;
	struct rpc_channel_list channels;
	struct rpc_server_list servers;
};

STAILQ_HEAD(rpc_out_queue, rpc_out);

struct rpc_call {
	struct rpc *rpc;
	struct rpc_channel *channel; /* client, until the channel is freed */
	LIST_ENTRY(rpc_call) link;
	grpc_call *call;
	const struct rpc_call_ops *ops; /* NULL: refused or not yet taken */
	void *data;
	char *method;
	struct rpc_peer peer;

	/* One of each kind may be under way (pitfall 1); `refs` counts them and running callbacks.
	 */
	unsigned refs;
	struct rpc_tag send_tag, receive_tag, headers_tag, end_tag, finish_tag;
	grpc_byte_buffer *send_buffer, *receive_buffer;
	grpc_metadata_array initial_metadata, trailing_metadata;
	grpc_status_code status;
	grpc_slice status_details;
	const char *error_string;
	int cancelled;

	bool is_server, headers_sent, sending, receiving, held, peer_ended, finishing, finished;
	bool ended; /* the last state is known: nothing may be started */
	int finish_status;
	char *finish_details;
	struct rpc_out_queue out;
	size_t out_bytes;
};

struct rpc_channel {
	struct rpc *rpc;
	LIST_ENTRY(rpc_channel) link;
	grpc_channel *channel;
	char last_error[512];
};

/* Accounting of tags: before start_batch, and after next (ThreadSanitizer cannot see inside
 * libgrpc). */
void rpc_tag_start(struct rpc *rpc, struct rpc_tag *tag);
void rpc_tag_cancel(struct rpc *rpc); /* the batch was refused */
void rpc_block_signals(sigset_t *ret_old);

/* log.c */
void rpc_log_install(void);
/* Collects error lines that gRPC writes on this thread into @text until called with NULL. */
void rpc_log_capture(char *text, size_t size);
/* The last TLS error that gRPC wrote on this thread and how many there were; for
 * rpc_channel_last_error. */
const char *rpc_log_tls_error(uint64_t *ret_count);

/* call.c */
struct rpc_call *rpc_call_alloc(struct rpc *rpc, bool is_server);
void rpc_call_ref(struct rpc_call *call);
void rpc_call_unref(struct rpc_call *call); /* the last one reports on_closed and frees */
int rpc_call_batch(struct rpc_call *call, const grpc_op *ops, size_t n_ops, struct rpc_tag *tag);
void rpc_call_receive(
	struct rpc_call *call); /* posts the next receive unless held, ended or under way */
void rpc_call_read_peer(struct rpc_call *call, struct rpc_certificate *ret_certificate);
void rpc_call_headers(struct rpc_call *call); /* server: sends them now */

/* failure.c: the root cause out of gRPC's chain of sentences. */
void rpc_failure_text(const char *details, char *ret_text, size_t size);
/* client.c, server.c */
void rpc_channel_shut(struct rpc_channel *channel);
void rpc_server_stop_all(struct rpc *rpc);
/* tls.c: TLS 1.3 only, for the process. */
int rpc_tls_configure(struct errmsg *err);
