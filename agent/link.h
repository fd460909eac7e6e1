/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/spool.h"
#include "core/buf.h"
#include "core/log.h"
#include "forwarders/frame/frame.h"

/*
 * The agent's half of one frame conversation: one socket, one forwarder process, from its HELLO to
 * its end. Takes from the spool's cursor what the credit allows. Never waits: what the socket does
 * not take is remembered (one flag or one slot for each kind of frame) and sent when it is
 * writable.
 */
#define LINK_MAX_RECEIPTS 256
#define LINK_TEXT	  1025

struct link_callbacks {
	void *data;
	/* *ret_config is filled for CONFIG; its texts must live until the next call. */
	void (*config)(void *data, struct frame_config *ret_config);
	void (*beat)(void *data, struct frame_beat *ret_beat);
	void (*hello)(void *data, const struct frame_hello *hello);
	void (*session)(void *data, const struct frame_session_state *session);
	/* The spool had to begin a new epoch because of what the receiver claims to have. */
	void (*epoch_changed)(void *data);
	void (*acked)(void *data);
	void (*command)(void *data, const struct frame_command *command);
	void (*alarm)(void *data, const struct frame_alarm *alarm);
	void (*stats)(void *data, const struct frame_stats *stats);
	/* Other end gone (-EPIPE), or it does not keep to the protocol (-EPROTO, -EBADMSG). Call
	 * link_close. */
	void (*ended)(void *data, int error);
};

struct link {
	struct ev_loop *loop;
	struct spool_cursor *cursor;
	struct link_callbacks callbacks;
	int fd; /* -1 = none */
	struct ev_io read_io, write_io;
	bool greeted, up;
	/* to be sent as soon as the socket takes it */
	bool config_due, epochs_due, beat_due, reconnect_due, stop_due;
	char reconnect_address[LINK_TEXT];
	const char *reconnect_reason;
	uint64_t stop_deadline_ns;
	uint8_t receipts[LINK_MAX_RECEIPTS][16];
	size_t n_receipts;
	/* of the present session; credit is absolute, never exceeded */
	uint64_t credit_bytes, credit_records, sent_bytes, sent_records;
	uint32_t max_batch_records;
	struct buf held_bytes; /* a batch that was taken from the spool and could not be sent */
	struct spool_chunk held;
	bool is_held;
	uint8_t *packet; /* FRAME_MAX */
	struct log_limit bad_ack;
	uint64_t n_batches, n_bad_acks, n_receipts_lost;
};

/* Takes @fd. 0 or -ENOMEM. */
int link_open(struct link *link, struct ev_loop *loop, int fd, struct spool_cursor *cursor,
	      const struct link_callbacks *callbacks);
void link_close(struct link *link);
/* The process has ended: takes what it sent before. May end in `ended`. */
void link_drain(struct link *link);
bool link_is_open(const struct link *link);

/* The spool may have something, or something is due: sends what can be sent. */
void link_flush(struct link *link);
void link_send_config(struct link *link);
void link_send_receipt(struct link *link, const uint8_t id[16]);
/* @reason: a constant. */
void link_send_reconnect(struct link *link, const char *address, const char *reason);
void link_send_stop(struct link *link, uint64_t deadline_ns);
