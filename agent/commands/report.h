/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/announce.h"
#include "agent/commands/audit.h"
#include "agent/commands/commands.h"
#include "agent/commands/journal.h"

/*
 * The end of a command: into the journal, into the log, told as an event; and once that event is
 * durable in the spool, marked as reported, so that it is not told again after the next start.
 */
#define REPORT_MAX_TOLD 64

struct report_told {
	uint8_t ids[REPORT_MAX_TOLD][16];
	size_t n_ids;
};

struct report {
	const struct commands_options *options;
	struct commands_counters *counters;
	struct journal *journal;
	struct audit *audit;
	struct report_told told, syncing; /* events given to the spool; of them, those that a sync
					     covers */
};

/* All are borrowed. */
void report_init(struct report *report, const struct commands_options *options,
		 struct commands_counters *counters, struct journal *journal, struct audit *audit);
void report_log(const struct entry *entry);
/* A line of the audit. @keys: ids of all who signed; NULL: the entry's. */
void report_audit(struct report *report, const struct entry *entry, const char *keys);
/* A state on the way: one event, no line. */
void report_step(struct report *report, const struct entry *entry);
/* The last state: recorded (its command is dropped), logged, told, audited. Counts it. */
void report_end(struct report *report, struct entry *entry);
/* A command that is refused before it was accepted: recorded, logged, told, and its receipt
 * goes back. */
void report_reject(struct report *report, struct entry *entry);
/* A last state that is in the journal already and may not have been told. */
void report_again(struct report *report, const struct entry *entry);
