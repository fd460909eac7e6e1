/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/announce.h"
#include "agent/commands/audit_line.h"
#include "agent/commands/entry.h"
#include "agent/commands/journal.h"

/* The host's audit of commands. audit.c opens with the essay. */
struct audit;

#define AUDIT_MAX_WAITERS 64
#define AUDIT_MAX_QUEUED  (128 * 1024)
#define AUDIT_MAX_RECENT  512 /* lines kept in memory for `pathbell local` */

struct audit_options {
	const char *dir;
	uint64_t max_bytes; /* of one file */
	unsigned n_files;   /* kept besides the one that grows */
};

/*
 * Reads the end of what is there (only at start: this one waits for the disk). What is wrong with
 * the file is no error of this call but of the audit (audit_error). 0 or -ENOMEM.
 */
int audit_open(struct audit **ret_audit, struct ev_loop *loop, const struct audit_options *options,
	       uint64_t now_ms);
struct audit *audit_close(struct audit *audit);
void audit_configure(struct audit *audit, uint64_t max_bytes, unsigned n_files);

/*
 * A state of a command. @keys: ids of all who signed, NULL: entry->key_id. @done(data, id, error)
 * is called on the loop once it is on stable storage (0) or could not be written at the first try
 * (-errno; it is tried again); may be NULL.
 */
void audit_entry(struct audit *audit, const struct entry *entry, const char *keys, uint64_t now_ms,
		 journal_done done, void *data);
/* Anything else: @body is WHAT and its fields, from audit_put_text. */
void audit_note(struct audit *audit, uint64_t now_ms, const char *body);
/* Whom the commands come through, told with each entry: the aggregator's address. Copied. */
void audit_set_via(struct audit *audit, const char *via);

/* Why it can't be written, or NULL. */
const char *audit_error(const struct audit *audit);
/* The newest line that is on stable storage. Lives as long as the audit. */
const struct announce_head *audit_head(const struct audit *audit);
/* The newest lines, oldest first: 0 is the oldest kept. NULL behind the last. *ret_seq: its
 * number. */
const char *audit_recent(const struct audit *audit, size_t index, uint64_t *ret_seq);

struct audit_stats {
	uint64_t records, dropped, failures, rotations, bytes;
};
void audit_stats(const struct audit *audit, struct audit_stats *ret_stats);
