/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/config.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * The collector contract: four callbacks and an optional fifth. An implementation is trivial
 * because one caller (collectors/guard.c) keeps the rules for all of them: budget, fd set, nothing
 * after close, reopen with backoff, park and retry, snapshot after open and after every loss, loss
 * ledger -> collector.gap events, state -> collector.{up,parked,blind,failed} events.
 *
 * Order inside every collector: listen first, then snapshot, then apply. All callbacks run on the
 * loop and never block: work that may sleep in the kernel goes to a child.
 *
 * Outcomes: 0 done; negative errno = broken, the guard closes and reopens with backoff; positive
 * COLLECTOR_E_X as listed.
 */
#define COLLECTOR_E_ABSENT                                                                   \
	1 /* open: not on this kernel or not now; parked, reported, retried when it may have \
	     appeared */
#define COLLECTOR_E_MORE 2 /* read: budget used up, there is more */
#define COLLECTOR_E_BLIND \
	3 /* open, read, snapshot: open, but it is proven that nothing can be heard */
#define COLLECTOR_E_END \
	4 /* read: the source has ended for good (a recording); closed, not an error */

struct topology;

/* What an implementation gets from the guard. Valid from open to the end of close. */
struct collector_ctx {
	void *host; /* the guard's */

	/*
	 * Hands over an event. Filled by the collector: kind, severity, time_unix_ns,
	 * source_clock_ns, source.interface, source.seq, subject, payload, extra, raw. Filled by
	 * the guard and the pipeline: source.collector, observed_unix_ns, boottime_ns, boot_id. The
	 * struct and all it points to are borrowed for the call.
	 * @cursor: position in the source that open() gets back as resume_cursor after a restart,
	 * stored atomically with the event; 0 = this source has none. Returns the ticket under
	 * which `delivered` may be called, 0 if the event was refused (filtered, or the pipeline is
	 * full: then pipeline_full is set).
	 */
	uint64_t (*publish)(struct collector_ctx *ctx, Pathbell__V1__Event *event, uint64_t cursor);

	/* Something was lost: becomes a collector.gap event. Times 0 = unknown; @cpu -1 = none. */
	void (*lost)(struct collector_ctx *ctx, const char *cause, uint64_t count,
		     bool count_is_minimum, int cpu);

	/* After open: everything that lasts has been told (again). What an earlier opening, or an
	 * earlier life of the agent, raised and this one did not has ended unheard, and gets its
	 * CLEARED twin. A collector that raises faults and never calls it leaves them open. */
	void (*settled)(struct collector_ctx *ctx);

	/* One sentence for status and for the event that reports the outcome of the callback that
	 * is running. */
	void (*reason)(struct collector_ctx *ctx, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

	struct topology *topology; /* device -> identity; shared, never NULL */
	const void *config;	   /* this collector's struct, as its config table filled it */
	uint64_t resume_cursor;	   /* highest cursor that is safely stored; 0 = none */
	const char *tracefs_path;  /* /sys/kernel/tracing unless configured otherwise */
	bool pipeline_full; /* set by publish: stop and return COLLECTOR_E_MORE, the same event
			       again later */
	bool ending;	    /* in close: for good (the agent ends, or the collector is disabled),
			       not to be opened again at once */
};

struct collector_fd {
	int fd;	     /* pollable, owned by the collector; -1 = none: then `read` is called only when
			asked */
	bool always; /* no fd can tell: call read whenever the loop is free (a recording) */
	uint64_t
		not_before_ns; /* with always: CLOCK_MONOTONIC time of the next call; 0 = at once */
};

struct collector_ops {
	const char *name; /* as in YAML, events, metrics */
	const char *help; /* one sentence for status and manual */
	const struct config_table
		*config; /* its section collectors.NAME; `enabled` is the guard's */

	/* Allocates *ret_state, starts listening, sets *ret_fd. 0, COLLECTOR_E_ABSENT,
	 * COLLECTOR_E_BLIND, -errno (nothing is left open then, except on BLIND). */
	int (*open)(struct collector_ctx *ctx, void **ret_state, struct collector_fd *ret_fd);
	/* Publishes at most @budget events. 0, COLLECTOR_E_MORE, COLLECTOR_E_BLIND,
	 * COLLECTOR_E_END, -errno. May change *fd->not_before_ns. */
	int (*read)(void *state, unsigned budget, struct collector_fd *fd);
	/* Publishes the present state; run after open and after every loss, and by the verb resync.
	 * NULL = nothing to say. 0, COLLECTOR_E_MORE (call again), COLLECTOR_E_BLIND, -errno. */
	int (*snapshot)(void *state);
	void (*close)(void *state);
	/* Optional: the event of @ticket is durable at the aggregator (@delivered), or is
	 * tombstoned (not): submit it again if wanted. */
	void (*delivered)(void *state, uint64_t ticket, bool delivered);
	/* Optional, for ABSENT and BLIND: a path whose appearing or change makes a retry
	 * worthwhile; /proc/self/mountinfo = any mount. */
	const char *(*retry_path)(struct collector_ctx *ctx);
};
