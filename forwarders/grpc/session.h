/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/backoff.h"

/*
 * When and where to connect. Pure: no clock, no socket; `now_ns` comes from outside and never goes
 * back. Nothing here gives up: a cause only decides how long the next attempt waits.
 *
 * IDLE (no address) -> CONNECTING -> UP -> WAITING -> CONNECTING ... ; HELD is WAITING with the
 * long delay, for what only a person can mend (a refused or expired certificate); session_wake ends
 * both.
 */
enum session_state { SESSION_IDLE, SESSION_WAITING, SESSION_HELD, SESSION_CONNECTING, SESSION_UP };

enum session_cause {
	SESSION_REFUSED,
	SESSION_TIMEOUT,
	SESSION_TLS,
	SESSION_AUTH,
	SESSION_PROTOCOL,
	SESSION_BUSY,
	SESSION_LOST,
	SESSION_DRAINED,  /* by the server, by an order, or for new certificates */
	SESSION_SHUTDOWN, /* of this host's agent */
	SESSION_N_CAUSES,
};

#define SESSION_MAX_ADDRESSES 16
#define SESSION_HEALTHY_NS    (UINT64_C(600) * 1000000000)
#define SESSION_TLS_PATIENCE \
	3 /* attempts that may end as if our certificate was refused, before HELD */

/* How an attempt or a session ended. */
struct session_end {
	enum session_cause cause;
	bool certificate_refused; /* cause TLS: the peer seems to have refused ours */
	uint64_t return_after_ns; /* drained: the slot; else: not before; as the server said */
	char detail[512];
};

struct session {
	enum session_state state;
	struct backoff backoff;
	char *addresses[SESSION_MAX_ADDRESSES]; /* in this host's order */
	size_t n_addresses, address;
	size_t n_tried; /* of this round, since a session or a pause */
	unsigned n_refused;
	uint64_t due_ns; /* WAITING, HELD */
	uint64_t ended[SESSION_N_CAUSES];
	uint64_t sessions; /* that were up, ever */
};

void session_init(struct session *session, uint64_t seed);
void session_deinit(struct session *session);
/* Sorts the addresses by rendezvous order of @host_id, so that hosts spread and a lost aggregator
 * moves only its own. Keeps counts, and the place in the list where the list did not change. 0 or
 * -ENOMEM (nothing changed). */
int session_configure(struct session *session, const char *host_id, const char *const *addresses,
		      size_t n_addresses, const struct backoff_options *backoff, uint64_t now_ns);
/* The next attempt goes there; false: not in the list. */
bool session_prefer(struct session *session, const char *address);
void session_prefer_next(struct session *session);
/* "" without one. */
const char *session_address(const struct session *session);

/* When to start the next attempt; UINT64_MAX: not now. */
uint64_t session_due_ns(const struct session *session);
void session_connecting(struct session *session);
void session_up(struct session *session, uint64_t now_ns, uint64_t window_ns);
void session_ended(struct session *session, uint64_t now_ns, const struct session_end *end);
/* Waiting ends: the certificates changed, or somebody asked. */
void session_wake(struct session *session, uint64_t now_ns);
/* How long an attempt may take: shorter when there is another address to try. */
uint64_t session_patience_ns(const struct session *session);

const char *session_cause_name(enum session_cause cause); /* as in FRAME_SESSION */
