/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/backoff.h"
#include "fabrics/tid.h"

/*
 * One line of the connection registry: an address that is wanted, or a controller that was found.
 * Times are nanoseconds of the clock of `now` (connections.h); CONNECTION_NEVER = none.
 */
#define CONNECTION_NEVER UINT64_MAX
#define CONNECTION_NAME	 32
#define CONNECTION_WHY	 96

enum connection_state {
	CONNECTION_NEW, /* wanted; nothing was tried yet */
	CONNECTION_DISCOVERING,
	CONNECTION_CONNECTING,
	CONNECTION_ONLINE, /* there is a controller, or the log page was read and none is kept */
	CONNECTION_FAILED, /* tried again at retry_ns */
};

/* Who wants it: bits of connection.sources. Whatever is CONFIGURED is tried for ever. */
enum connection_source {
	CONNECTION_YAML,
	CONNECTION_DISCOVERY_CONF,
	CONNECTION_CONFIG_JSON,
	CONNECTION_FABRICS_CONF,
	CONNECTION_COMMAND,
	CONNECTION_UEVENT,
	CONNECTION_FC_KICKSTART,
	CONNECTION_DISCOVERY,
	CONNECTION_REFERRAL,
	CONNECTION_EXISTING, /* found, not wanted */
	CONNECTION_N_SOURCES,
};
#define CONNECTION_BIT(source)	   (UINT32_C(1) << (source))
#define CONNECTION_CONFIGURED	   (CONNECTION_BIT(CONNECTION_COMMAND + 1) - 1)
#define CONNECTION_FILES	   (CONNECTION_BIT(CONNECTION_FABRICS_CONF + 1) - 2)
#define CONNECTION_WANTED(sources) (((sources) & ~CONNECTION_BIT(CONNECTION_EXISTING)) != 0)

struct connection {
	struct tid tid;
	uint32_t id; /* never 0, never used again */
	bool is_discovery;
	enum connection_state state;
	uint64_t since_ns; /* in this state */
	uint32_t sources;
	bool forgotten; /* by an operator: what names it again is not believed */
	uint32_t from;	/* id of the discovery connection that named it first; 0 = none */
	unsigned depth; /* referrals between it and what somebody asked for */

	char controller[CONNECTION_NAME]; /* nvme0; "" = none */
	uint64_t inode;			  /* of its folder in sysfs */
	char owner[CONNECTION_NAME];	  /* by /run/nvme/registry; "" = nobody */
	bool ours;			  /* made by this agent, now or in an earlier life */
	bool persistent;		  /* discovery controller with keep-alive */

	bool running;	   /* its child runs, or was decided */
	bool stuck;	   /* that child is past its deadline */
	bool holds_slot;   /* and counts among options.max_jobs */
	bool demanded;	   /* by an operator: also while nothing is connected by itself */
	uint32_t queued;   /* events that wait for the end of the discovery that runs */
	uint64_t start_ns; /* of the attempt that runs */
	uint64_t retry_ns, give_up_ns;
	uint32_t attempts;	  /* since the last success */
	int error;		  /* negative errno of the last attempt; 0 = none or success */
	bool raised;		  /* its fault was told and not cleared */
	uint32_t stale;		  /* sources that a refresh has not confirmed yet */
	char why[CONNECTION_WHY]; /* of the next attempt */
	struct backoff backoff;

	uint64_t genctr;
	uint32_t *named; /* ids of what its log page lists */
	size_t n_named;

	unsigned pins; /* decisions that point here */
	bool dropped;  /* out of the registry, freed with the last pin */
};

const char *connection_state_name(enum connection_state state);
/* The strongest source: "yaml" ... "existing"; "" = not wanted. */
const char *connection_desired_by(uint32_t sources);
