/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/nvme_monitor/connection.h"
#include "collectors/nvme_monitor/decisions.h"

/*
 * The connection registry: what is wanted, what there is, what to do next. Pure: `now_ns` comes
 * from outside (one monotonic clock), work goes out as decisions and comes back as results. One
 * entry for each transport address and subsystem NQN; matching is fabrics/tid's.
 */
struct connections_options {
	size_t max;	    /* connections; 0 = 1024 */
	unsigned max_jobs;  /* children at a time, stuck ones not counted; 0 = 8 */
	unsigned max_depth; /* referrals behind each other; 0 = 8 */
	uint64_t give_up_ns;
	uint64_t backoff_base_ns, backoff_cap_ns;
	uint64_t seed;
	bool autoconnect;
};

struct connections_counters {
	uint64_t discoveries, discoveries_failed, connects, connects_failed, stuck, adopted,
		skipped;
	uint64_t queued, given_up, forgotten, disconnects;
	uint64_t referrals, referral_loops, referrals_too_deep;
	uint64_t refused; /* above options.max */
};

struct connections {
	struct connections_options options;
	struct connection **items;
	size_t n, capacity;
	uint32_t last_id;
	unsigned n_jobs; /* running and not stuck */
	struct decisions decisions;
	struct connections_counters counters;
};

void connections_init(struct connections *connections, const struct connections_options *options);
void connections_deinit(struct connections *connections);

struct connection *connections_find(const struct connections *connections, const struct tid *tid,
				    bool is_discovery);
struct connection *connections_find_controller(const struct connections *connections,
					       const char *name);
struct connection *connections_find_id(const struct connections *connections, uint32_t id);

/* Desire. */
/* @source wants @tid. 0 and *ret_connection (may be NULL); CONNECTIONS_E_FULL, counted; -ENOMEM. */
#define CONNECTIONS_E_FULL 1
int connections_want(struct connections *connections, const struct tid *tid, bool is_discovery,
		     enum connection_source source, uint64_t now_ns,
		     struct connection **ret_connection);
/* @source wants only what has been given to connections_want since the last `begin`. */
void connections_refresh_begin(struct connections *connections, uint32_t sources);
void connections_refresh_end(struct connections *connections, uint32_t sources, const char *reason,
			     uint64_t now_ns);
/* Nobody wants it any more; no controller is touched. */
void connections_forget(struct connections *connections, struct connection *connection,
			const char *reason, uint64_t now_ns);
/* Something says that the log page of this discovery connection has changed: it is read (again), at
 * once or behind the discovery that runs. @demanded: by an operator. */
void connections_poke(struct connections *connections, struct connection *connection,
		      const char *reason, bool demanded, uint64_t now_ns);
void connections_set_autoconnect(struct connections *connections, bool on, uint64_t now_ns);

/* What there is. */
struct connections_controller {
	struct tid tid;
	const char *name, *owner;
	uint64_t inode;
	bool is_discovery, persistent, ours;
};
/* A controller exists: fills its connection, or adopts it. 0, CONNECTIONS_E_FULL, -ENOMEM. */
int connections_see(struct connections *connections,
		    const struct connections_controller *controller, uint64_t now_ns);
void connections_gone(struct connections *connections, const char *name, uint64_t now_ns);
/* Events were lost: every log page that is listened to is read again. */
void connections_unheard(struct connections *connections, uint64_t now_ns);

/* Results of the children; of a connection with `running`. */
struct connections_entry {
	struct tid tid; /* host side as of the discovery connection */
	bool is_referral;
};
struct connections_log {
	uint64_t genctr;
	const struct connections_entry *entries;
	size_t n_entries;
};
/* @controller: the one that stays; NULL = none was kept. */
int connections_discovered(struct connections *connections, struct connection *connection,
			   const struct connections_log *log,
			   const struct connections_controller *controller, uint64_t now_ns);
/* @existed: it was there already. */
void connections_connected(struct connections *connections, struct connection *connection,
			   const struct connections_controller *controller, bool existed,
			   uint64_t now_ns);
void connections_failed(struct connections *connections, struct connection *connection, int error,
			const char *reason, uint64_t now_ns);
/* Excluded, or not ours to touch: not tried again before something wants it anew or the cap of the
 * back-off has passed. */
void connections_skipped(struct connections *connections, struct connection *connection,
			 const char *reason, uint64_t now_ns);
/* Its child is past the deadline: it holds up nobody else any more; its own end is still to come as
 * one of the above. */
void connections_stuck(struct connections *connections, struct connection *connection,
		       uint64_t now_ns);

/* Decides what is due. Returns when to call it again; CONNECTION_NEVER = only after something has
 * changed. */
uint64_t connections_tick(struct connections *connections, uint64_t now_ns);
/* Every connection has an outcome: what fails has been told, the rest does not. */
bool connections_are_settled(const struct connections *connections);
/* Everything of ours is to go: DISCONNECT decisions. */
void connections_clean_up(struct connections *connections, const char *reason, uint64_t now_ns);
