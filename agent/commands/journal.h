/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/commands/entry.h"
#include "core/errmsg.h"

/*
 * The durable memory of commands: at most one execution per id rests on it. journal.c opens with
 * the essay. Times are milliseconds of CLOCK_REALTIME, given by the caller.
 */
struct journal;

#define JOURNAL_MAX_ENTRIES	2048
#define JOURNAL_MAX_PENDING	256
#define JOURNAL_MAX_LIFETIME_MS (UINT64_C(24) * 3600 * 1000) /* of a command, command.proto */
#define JOURNAL_DEFAULT_COMPACT (1024 * 1024)

struct journal_options {
	const char *dir;
	bool first_start; /* this host never had one: its absence is no loss */
	uint64_t max_clock_error_ms;
	size_t compact_bytes; /* 0 = JOURNAL_DEFAULT_COMPACT */
};

/*
 * Reads what is there (only at start: this one waits for the disk). A missing or damaged journal is
 * no error but a hold. 0 or -errno with @err.
 */
int journal_open(struct journal **ret_journal, struct ev_loop *loop,
		 const struct journal_options *options, uint64_t now_ms, struct errmsg *err);
struct journal *journal_close(struct journal *journal);

/*
 * Why nothing may execute, or NULL. Ends by itself once every command from before the loss has
 * expired. @ret_new: true once for each new hold, so that it becomes an event.
 */
const char *journal_hold(struct journal *journal, uint64_t now_ms);
bool journal_hold_is_new(struct journal *journal);
/* Where an operator has created DIR/release-hold: ends the hold, removes the file. True if it did.
 * Start and reload only. */
bool journal_release(struct journal *journal);

/* Commands issued at or before this time cannot be told from ones that were forgotten. */
uint64_t journal_floor_ms(const struct journal *journal);

/* By id, or NULL. Valid until the next call that writes. */
const struct entry *journal_find(const struct journal *journal, const uint8_t id[16]);
/* All, in the order of their first record. NULL at the end. */
const struct entry *journal_at(const struct journal *journal, size_t index);

/*
 * Writes the entry (copied, command included) and calls @done(data, id, error) on the loop when it
 * is on stable storage (0) or could not be written (-errno). journal_find sees it at once. 0, or
 * JOURNAL_E_FULL: too many commands or too many writes under way; nothing changed.
 */
#define JOURNAL_E_FULL 1
typedef void (*journal_done)(void *data, const uint8_t id[16], int error);
int journal_record(struct journal *journal, const struct entry *entry, uint64_t now_ms,
		   journal_done done, void *data);
/* A first record that failed: the id was never used. */
void journal_forget(struct journal *journal, const uint8_t id[16]);

struct journal_stats {
	uint64_t entries, bytes, writes, failures, compactions, dropped;
	char error[128]; /* of the last write, empty = it worked */
};
void journal_stats(const struct journal *journal, struct journal_stats *ret_stats);

/*
 * Pure: the bytes of a journal file -> its entries. *ret_good: bytes up to the first that are torn
 * or bad.
 * @visit may take the entry's command. 0, JOURNAL_E_TORN (harmless), -EBADMSG, or what visit
 * returned.
 */
#define JOURNAL_E_TORN 2
int journal_parse(const uint8_t *data, size_t size, int (*visit)(void *data, struct entry *entry),
		  void *visit_data, uint64_t *ret_floor_ms, size_t *ret_good);
