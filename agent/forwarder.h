/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/announce.h"
#include "agent/settings.h"
#include "agent/spool/spool.h"
#include "core/errmsg.h"

/*
 * Keeps one forwarder process running: starts it with less privilege, restarts it with backoff,
 * says so in events. Its death never touches capture. The conversation with it is link.c's.
 */
struct forwarder;

enum forwarder_state {
	FORWARDER_OFF,	      /* not started, or stopped */
	FORWARDER_STARTING,   /* process runs, no HELLO yet */
	FORWARDER_CONNECTING, /* looks for its sink */
	FORWARDER_UP,	      /* session */
	FORWARDER_HELD,	      /* refuses to connect: certificate; data is kept */
	FORWARDER_DOWN,	      /* no session, tries again */
	FORWARDER_EXITED,     /* process ended, waits for its restart */
};

struct forwarder_options {
	const char *name;    /* "uplink": also of its cursor in the spool */
	const char *libexec; /* folder of the installed program */
	struct ev_loop *loop;
	struct spool *spool;
	struct announcer announcer; /* copied */
	uint64_t generation;	    /* base of the session generations, generation.h */
	void *data;
	void (*command)(void *data, const void *envelope, size_t size);
	void (*changed)(void *data); /* state or session changed */
	void (*stopped)(void *data); /* after forwarder_stop */
};

struct forwarder_status {
	enum forwarder_state state;
	char cause[64], detail[256], address[256];
	uint32_t pid;
	uint64_t restarts, reconnects, sessions, batches, bad_acks, receipts_lost;
	uint64_t certificate_not_after_unix_ns;
	struct spool_cursor_stats cursor;
};

/* @settings is borrowed until configured anew. 0 or -errno. */
int forwarder_new(struct forwarder **ret_forwarder, const struct forwarder_options *options,
		  const struct settings *settings);
void forwarder_start(struct forwarder *forwarder);
void forwarder_configure(struct forwarder *forwarder, const struct settings *settings);
/* The spool may have something for it. */
void forwarder_kick(struct forwarder *forwarder);
void forwarder_receipt(struct forwarder *forwarder, const uint8_t id[16]);
/* False: no process that could. *ret_sessions: sessions so far. */
bool forwarder_reconnect(struct forwarder *forwarder, const char *address, uint64_t *ret_sessions);
/* Asks it to finish, kills it at the deadline; then `stopped`. */
void forwarder_stop(struct forwarder *forwarder, uint64_t timeout_ns);
void forwarder_status(const struct forwarder *forwarder, struct forwarder_status *ret_status);
const char *forwarder_state_name(enum forwarder_state state);
struct forwarder *forwarder_free(struct forwarder *forwarder);
