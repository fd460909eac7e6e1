/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/nvme/decode.h"
#include "fabrics/look.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * The controllers that are known, and what a look at one of them, or a uevent about it, changes.
 * Pure: no clock, no file. The essay is in controllers.c.
 *
 * One call is about one controller and leaves its changes in `changes`; the caller publishes them
 * and calls controllers_published before the next one.
 */
#define CONTROLLERS_MAX		1024
#define CONTROLLERS_MAX_CHANGES (LOOK_MAX_PATHS + 8)
#define CONTROLLERS_GRACE_NS	UINT64_C(2000000000)

struct controllers_clock {
	uint64_t now_ns, unix_ns;
};

struct controller {
	struct look seen; /* paths included; address kept while it cannot be read */
	struct decode_address address;
	bool was_live;
	bool is_lost;		  /* the fault is raised */
	bool is_announced;	  /* a look told `connected`; the uevent of it may still come */
	uint64_t not_live_ns;	  /* monotonic, since when it is seen so; 0 = live */
	uint64_t lost_unix_ns;	  /* when the loss was first seen */
	uint64_t removal_unix_ns; /* 0 = not in sight */
	char fault_id[LOOK_NQN + 64];
};

struct controllers_change {
	Pathbell__V1__EventKind kind;
	Pathbell__V1__Severity severity;
	Pathbell__V1__FaultPhase phase;
	uint64_t time_unix_ns;
	char previous_state[LOOK_NAME];
	char reason[128];
	bool has_aen;
	uint32_t aen;
	struct look_path path; /* name "" = not about a path */
};

struct controllers {
	size_t n, n_max;
	struct controller **items;
	struct controller *subject; /* of the changes */
	struct controller *gone;    /* freed with controllers_published */
	struct controller stranger; /* the subject where the controller is not known */
	size_t n_changes, next_change;
	struct controllers_change changes[CONTROLLERS_MAX_CHANGES];
	uint64_t n_refused; /* uevents of controllers above the limit; the caller resets it */
};

void controllers_deinit(struct controllers *controllers);
struct controller *controllers_find(const struct controllers *controllers, const char *name);
/* How many have a state worth looking at: reached over a network. */
size_t controllers_n_fabrics(const struct controllers *controllers);
bool controller_is_fabrics(const struct controller *controller);
/* The next moment at which a controller that is not live becomes a lost one; UINT64_MAX = none. */
uint64_t controllers_due(const struct controllers *controllers);

/*
 * A look at one. @is_snapshot: its state is told too, and a new one is taken in silently. 0;
 * CONTROLLERS_E_AGAIN: that name had another controller, whose removal comes first: the same look
 * again after publishing; -ENOMEM.
 */
#define CONTROLLERS_E_AGAIN 1
int controllers_see(struct controllers *controllers, const struct look *look, bool is_snapshot,
		    const struct controllers_clock *clock);
/* It is not there any more. */
void controllers_see_gone(struct controllers *controllers, struct controller *controller,
			  const struct controllers_clock *clock);
/* A uevent of DECODE_ADDED, _CONNECTED, _REDISCOVER, _REMOVED; @look NULL where sysfs has nothing.
 */
int controllers_hear(struct controllers *controllers, const struct decode_notice *notice,
		     const struct look *look, const struct controllers_clock *clock);
/* An AEN of the controller @name; which of these words come as what: see aen.h. */
void controllers_hear_aen(struct controllers *controllers, const char *name, uint32_t word,
			  const struct controllers_clock *clock);
/* DECODE_FC_DISCOVERY */
void controllers_hear_fc(struct controllers *controllers, const struct decode_notice *notice,
			 const struct controllers_clock *clock);
void controllers_published(struct controllers *controllers);
/* What is announced is forgotten: uevents were lost. */
void controllers_lost(struct controllers *controllers);
