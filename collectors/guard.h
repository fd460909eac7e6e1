/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "collectors/collector.h"

/*
 * The one caller of every collector: see collector.h for what it guarantees. An idle guard has no
 * timer: parked collectors wait on inotify of retry_path where there is one, else retry with
 * backoff (10 s to 10 min); failed ones retry with backoff.
 */
struct guard;

/* What the agent offers. publish: returns ticket or 0, sets *ret_full when there is no room (then
 * the guard pauses the collector until guard_resume). */
struct guard_sink {
	void *data;
	uint64_t (*publish)(void *data, const struct collector_ops *ops, Pathbell__V1__Event *event,
			    uint64_t cursor, bool *ret_full);
	/* May be NULL: the collector is opened (anew); it has called collector_ctx.settled: false =
	 * no room, again after guard_resume. */
	void (*opened)(void *data, const struct collector_ops *ops);
	bool (*settled)(void *data, const struct collector_ops *ops);
};

struct guard_options {
	const struct collector_ops *ops;
	const void *config; /* borrowed until guard_free */
	struct ev_loop *loop;
	struct topology *topology;
	const char *tracefs_path;
	uint64_t resume_cursor;
	unsigned budget; /* events in one call; 0 = 256 */
	struct guard_sink sink;
};

enum guard_state { GUARD_CLOSED, GUARD_UP, GUARD_PARKED, GUARD_BLIND, GUARD_FAILED, GUARD_ENDED };

struct guard_status {
	enum guard_state state;
	char reason[256];
	uint64_t events, lost, gaps, reopened;
};

int guard_new(struct guard **ret_guard, const struct guard_options *options);
/* Opens now; outcomes become state, not errors. */
void guard_start(struct guard *guard);
void guard_snapshot(struct guard *guard);
/* The pipeline has room again. */
void guard_resume(struct guard *guard);
/* Before the end of an open collector: reads what waits, for at most 250 ms; the rest becomes a
 * gap.
 */
void guard_drain(struct guard *guard);
void guard_delivered(struct guard *guard, uint64_t ticket, bool delivered);
void guard_status(const struct guard *guard, struct guard_status *ret_status);
const char *guard_name(const struct guard *guard);
/* What `open` of the collector has made; NULL while it is closed. For who knows its type. */
void *guard_collector(const struct guard *guard);
/* The next close is for good, not for a restart: see collector_ctx.ending. */
void guard_set_ending(struct guard *guard);
const char *guard_state_name(enum guard_state state); /* closed up parked blind failed ended */
struct guard *guard_free(struct guard *guard);
