/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <pthread.h>

#include "pki.h"
#include "proto/codec.h"
#include "rpc/rpc.h"

/*
 * An aggregator that does what a test says: real gRPC, real TLS, no store. It notes what comes; by
 * itself it answers Hello with Welcome and each batch with an Ack, unless told otherwise.
 */
#define SCRIPT_MAX_EPOCHS 4

struct script {
	const struct pki *pki;
	struct rpc *rpc;
	struct rpc_server *server;
	char address[64];

	pthread_mutex_t lock; /* the rest */
	pthread_cond_t changed;
	struct rpc_call *events, *control; /* the newest */
	/* Orders */
	bool mute_welcome, mute_acks, hold_events;
	int refuse;			   /* status for new calls; 0 = take them */
	uint64_t marks[SCRIPT_MAX_EPOCHS]; /* resume points, by position in Hello */
	uint64_t credit_bytes, credit_records;
	uint32_t heartbeat_ms, window_ms;
	/* Notes */
	unsigned hellos, control_hellos, batches, gones, heartbeats, receipts, calls_open;
	unsigned refused, half_closed;
	uint64_t generation, control_generation;
	char host_id[64], agent_version[64];
	size_t n_epochs;
	uint8_t epochs[SCRIPT_MAX_EPOCHS][16];
	uint64_t tail_seq, last_seq, first_seq, n_events;
	uint32_t last_crc;
	bool order_broken;
	uint64_t expected;	   /* next seq; 0 = any */
	uint8_t last_events[1024]; /* the beginning */
	size_t last_events_size;
	uint8_t last_receipt[16];
	uint64_t gone_first, gone_last, gone_reason, beat_tail;
};

void script_start(struct script *script, const struct pki *pki);
/* Only the server; the address stays. */
void script_kill(struct script *script);
void script_revive(struct script *script);
void script_stop(struct script *script);
/* Waits until *@counter (a field) is at least @n; fails the test after 30 s. */
void script_wait(struct script *script, const unsigned *counter, unsigned n);
/* Sends a message on the newest stream. */
void script_send(struct script *script, const Pathbell__V1__EventsDown *down);
void script_send_control(struct script *script, const Pathbell__V1__ControlDown *down);
void script_send_raw(struct script *script, bool control, const void *data, size_t size);
void script_ack(struct script *script, size_t epoch, uint64_t seq, int level);
void script_finish(struct script *script, int status, const char *details); /* the Events stream */
