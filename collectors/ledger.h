/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pathbell/v1/event.pb-c.h"

/*
 * What a collector's guard has to say itself: losses (collector.gap) and states (collector.up ...),
 * kept until the pipeline takes them. Bounded: losses of one cause and CPU are summed, and above
 * the limit all losses of one cause are summed; when the notes are full the last one is replaced.
 * Fault twins are worked out when a note is published, so they balance whatever was replaced. Pure:
 * no clock, no socket.
 */
#define LEDGER_MAX_GAPS	 64
#define LEDGER_MAX_NOTES 16
#define LEDGER_CAUSE	 24
#define LEDGER_REASON	 256

struct ledger_gap {
	char cause[LEDGER_CAUSE];
	int cpu; /* -1: none, or several */
	uint64_t count;
	bool count_is_minimum;
	uint64_t from_ns, to_ns; /* CLOCK_REALTIME; 0 = unknown */
};

enum ledger_role { LEDGER_PLAIN, LEDGER_FAULT, LEDGER_CLEARS };

struct ledger_note {
	Pathbell__V1__EventKind kind;
	Pathbell__V1__Severity severity;
	enum ledger_role role;
	const char *state; /* a constant */
	char reason[LEDGER_REASON];
	int error; /* negative errno */
	uint32_t retry_ms;
	uint64_t time_ns;
};

struct ledger {
	const char *collector;
	size_t n_gaps, n_notes;
	struct ledger_gap gaps[LEDGER_MAX_GAPS];
	struct ledger_note notes[LEDGER_MAX_NOTES];
	bool raised;				 /* a fault was published and not cleared */
	bool open_gaps;				 /* some gap has no to_ns yet */
	uint64_t events, lost, n_published_gaps; /* totals, for collector_state and status */
	uint64_t replaced;			 /* notes that gave way to newer ones */
};

void ledger_init(struct ledger *ledger, const char *collector);
void ledger_lost(struct ledger *ledger, const char *cause, uint64_t count, bool count_is_minimum,
		 int cpu, uint64_t from_ns);
/* Something was heard at @time_ns: the end of all gaps that have none. */
void ledger_heard(struct ledger *ledger, uint64_t time_ns);
void ledger_note(struct ledger *ledger, const struct ledger_note *note);

/* @publish says false where there is no room: the rest stays. True: nothing is left. */
bool ledger_flush(struct ledger *ledger, uint64_t now_ns,
		  bool (*publish)(void *data, Pathbell__V1__Event *event), void *data);
