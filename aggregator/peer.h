/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/codec.h"

/*
 * One Events stream as a pure state machine: messages in, one action out. No clock, no socket, no
 *store.
 *
 *	NEW --Hello--> RESUMING --peer_resumed--> OPEN --(Batch | Gone | Heartbeat)*--> CLOSED
 *
 * It knows for each epoch which seq comes next, so that nothing out of order reaches the store. A
 *first gap asks the host to send again (the batches behind it are dropped meanwhile); a gap after
 *that, or a host that does not follow, ends the session: the reconnect resumes from what is stored.
 *
 * Credit counts what batches weigh: bytes of the whole message, and records. It is absolute from
 *the start of the session and moves when data is stored.
 */
#define PEER_MAX_EPOCHS	 64
#define PEER_MAX_DROPPED 1024 /* batches between a Resend and its answer */
#define PEER_PROTOCOL	 1

enum peer_state { PEER_NEW, PEER_RESUMING, PEER_OPEN, PEER_CLOSED };

enum peer_action_type {
	PEER_NOTHING, /* a dropped batch */
	PEER_HELLO,   /* look up the marks, then peer_resumed */
	PEER_BATCH,
	PEER_GONE,
	PEER_HEARTBEAT,
	PEER_RESEND, /* tell the host */
	PEER_CLOSE,
};

struct peer_limits {
	uint32_t max_batch_records;
	uint64_t window_bytes, window_records;
};

struct peer_epoch {
	uint8_t epoch[16];
	uint64_t next;	    /* the seq that is expected */
	uint64_t available; /* as Hello said: the host can send nothing below */
	uint64_t acked;	    /* as Hello said: acknowledged to it before */
	bool resending;	    /* a Resend is under way */
};

struct peer {
	enum peer_state state;
	const char *host_id; /* of the certificate; borrowed */
	struct peer_limits limits;
	uint64_t generation;
	struct peer_epoch epochs[PEER_MAX_EPOCHS];
	size_t n_epochs;
	uint32_t dropped;
	bool resent; /* the one Resend was used */
	uint64_t received_bytes, received_records;
	uint64_t stored_bytes, stored_records;
	uint64_t granted_bytes, granted_records;
};

struct peer_range {
	uint8_t epoch[16];
	uint64_t first_seq, last_seq;
};

struct peer_action {
	enum peer_action_type type;
	const Pathbell__V1__Hello *hello;	  /* HELLO; see peer_release */
	const Pathbell__V1__Heartbeat *heartbeat; /* HEARTBEAT */
	struct {
		uint8_t epoch[16];
		uint64_t first_seq;
		uint32_t count;
		const uint8_t *events; /* in the message */
		size_t events_size;
	} batch;
	struct peer_range range; /* GONE, RESEND */
	uint32_t gone_reason;
	bool declared;	    /* BATCH: `range` below it is lost by what Hello said; store a tombstone
			       first */
	size_t weight;	    /* bytes for peer_stored */
	int status;	    /* CLOSE: gRPC status */
	const char *reason; /* CLOSE: Goodbye.reason, static */
	char text[256];	    /* CLOSE */
	Pathbell__V1__EventsUp *message;
};

void peer_init(struct peer *peer, const char *host_id, const struct peer_limits *limits);
/* What one message means. After PEER_CLOSE the state is CLOSED. Release the action when done with
 * it. */
void peer_receive(struct peer *peer, const uint8_t *message, size_t size,
		  struct peer_action *ret_action);
void peer_release(struct peer_action *action);
/* The marks for the epochs of Hello, in its order. Returns how many are below what the host was
 * once promised. */
size_t peer_resumed(struct peer *peer, const uint64_t *marks);
/* Data of that weight is stored (or refused for good). True: the credit has moved enough to tell
 * the host. */
bool peer_stored(struct peer *peer, size_t bytes, uint64_t records);
/* More is in flight than the window: stop reading. */
bool peer_is_over(const struct peer *peer);
