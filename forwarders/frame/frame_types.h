/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the frames hold; forwarders/frame/frame.h has the protocol and the functions. */
#define FRAME_VERSION 1
#define FRAME_MAX     (160 * 1024) /* a packet */
/* Target for the framed events of one BATCH; a single larger event is still sent alone. */
#define FRAME_MAX_BATCH_BYTES (64 * 1024)
#define FRAME_MAX_ADDRESSES   16
#define FRAME_MAX_EPOCHS      64
#define FRAME_FD	      3

enum frame_type {
	FRAME_HELLO = 1,  /* F->A version, program name */
	FRAME_CONFIG = 2, /* A->F what it is to do; sent again on reload */
	FRAME_EPOCHS = 3, /* A->F epochs for the Hello message; answer to FRAME_SESSION_WANTED */
	FRAME_SESSION_WANTED = 4, /* F->A connected; asks for EPOCHS */
	FRAME_SESSION = 5,	  /* F->A up: resume points, or down: cause, detail, next retry */
	FRAME_BATCH = 6,	  /* A->F events */
	FRAME_GONE = 7,		  /* A->F tombstone */
	FRAME_ACK = 8,		  /* F->A */
	FRAME_CREDIT = 9,	  /* F->A absolute for this session */
	FRAME_COMMAND = 10,	  /* F->A a serialised SignedCommand */
	FRAME_RECEIPT = 11,	  /* A->F the command of this id is durable on the host */
	FRAME_RECONNECT = 12,	  /* A->F drain, then connect to ADDRESS (empty: the next) */
	FRAME_RESEND = 13,	  /* F->A */
	FRAME_ALARM = 14,	/* F->A certificate state for an event: expiring, expired, refused,
				   mismatch, unreadable, ok */
	FRAME_STOP = 15,	/* A->F finish within the deadline and exit */
	FRAME_BEAT = 16,	/* A->F tail, unacked, oldest, degraded; sent only when asked */
	FRAME_BEAT_WANTED = 17, /* F->A */
	FRAME_STATS = 18,	/* F->A counters, with BEAT_WANTED and on session changes */
};

enum frame_session {
	FRAME_SESSION_DOWN = 0,
	FRAME_SESSION_UP = 1,
	FRAME_SESSION_CONNECTING = 2,
	FRAME_SESSION_HELD = 3
};

/* Strings: borrowed, not terminated in the packet; decode gives pointer and length. At most 1024
 * bytes each. */
struct frame_text {
	const char *text;
	size_t len;
};

struct frame_hello {
	uint32_t version;
	struct frame_text program;
	uint32_t pid;
};

struct frame_config {
	struct frame_text host_id, agent_version, hostname, kernel_release;
	struct frame_text addresses[FRAME_MAX_ADDRESSES]; /* host:port */
	size_t n_addresses;
	struct frame_text ca_file, certificate_file, key_file,
		server_name; /* server_name empty: from the address */
	uint64_t backoff_base_ns, backoff_cap_ns, keepalive_ns, keepalive_timeout_ns;
	uint64_t max_unacked_bytes;  /* 512 KiB */
	uint64_t session_generation; /* the next one; the forwarder adds one for each session of its
					life */
	struct frame_text http_proxy; /* empty: never any */
	uint8_t log_level;
};

struct frame_epoch {
	uint8_t epoch[16];
	uint64_t oldest_seq, first_unacked_seq, tail_seq;
};
struct frame_epochs {
	struct frame_epoch epochs[FRAME_MAX_EPOCHS];
	size_t n_epochs;
};

struct frame_resume {
	uint8_t epoch[16];
	uint64_t seq;
};
struct frame_session_state {
	enum frame_session state;
	struct frame_text cause, detail,
		address;   /* cause: refused timeout tls auth protocol busy drained shutdown */
	uint64_t retry_ns; /* until the next attempt; 0 = none planned */
	struct frame_resume resume[FRAME_MAX_EPOCHS];
	size_t n_resume;
	uint64_t credit_bytes, credit_records;
	uint32_t max_batch_records;
};

struct frame_batch {
	uint8_t epoch[16];
	uint64_t first_seq;
	uint32_t count, crc32c;
	const uint8_t *events;
	size_t events_size;
};
struct frame_gone {
	uint8_t epoch[16];
	uint64_t first_seq, last_seq;
	uint32_t reason;
};
struct frame_ack {
	uint8_t epoch[16];
	uint64_t seq;
	uint8_t level;
};
struct frame_credit {
	uint64_t bytes, records;
};
struct frame_command {
	const uint8_t *envelope;
	size_t envelope_size;
};
struct frame_receipt {
	uint8_t command_id[16];
};
struct frame_reconnect {
	struct frame_text address;
	struct frame_text reason;
};
struct frame_resend {
	uint8_t epoch[16];
	uint64_t first_seq, last_seq;
};
struct frame_alarm {
	struct frame_text what, detail;
	uint64_t not_after_unix_ns;
};
struct frame_stop {
	uint64_t deadline_ns;
};
struct frame_beat {
	uint64_t tail_seq, unacked, oldest_unacked_unix_ns;
	bool degraded;
};
struct frame_stats {
	uint64_t reconnects, batches, bytes, acks, commands;
	uint64_t certificate_not_after_unix_ns;
};

struct frame {
	enum frame_type type;
	union {
		struct frame_hello hello;
		struct frame_config config;
		struct frame_epochs epochs;
		struct frame_session_state session;
		struct frame_batch batch;
		struct frame_gone gone;
		struct frame_ack ack;
		struct frame_credit credit;
		struct frame_command command;
		struct frame_receipt receipt;
		struct frame_reconnect reconnect;
		struct frame_resend resend;
		struct frame_alarm alarm;
		struct frame_stop stop;
		struct frame_beat beat;
		struct frame_stats stats;
	};
};
