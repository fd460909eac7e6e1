/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "agent/commands/audit.h"
#include "agent/commands/check.h"
#include "agent/commands/commands.h"
#include "agent/commands/journal.h"
#include "agent/commands/verifier.h"
#include "core/id.h"

/*
 * Commands whose signatures are good, from the decision to the reported result: the steps 3 to 6 of
 * commands.c's essay. At most ACTIVE_MAX at a time, and a few more for halt and resume, so that
 * those are never refused because others run.
 */
#define ACTIVE_MAX	4
#define ACTIVE_RESERVED 2

struct active_set;

struct active_context {
	const struct settings_commands *settings;
	const uint8_t *sha256;
	const struct key *keys;
	const uint32_t *signers;
	size_t n_signers;
	const char *key_id, *key_ids; /* of the first signer; of all, with commas */
	uint64_t now_ms;
};

/* @options, @counters and @audit are borrowed. */
int active_open(struct active_set **ret_set, const struct commands_options *options,
		struct commands_counters *counters, const struct settings_commands *settings,
		struct audit *audit, struct errmsg *err);
struct active_set *active_close(struct active_set *set);
void active_configure(struct active_set *set, const struct settings_commands *settings);
/* Takes @command (malloc'd by protobuf-c). */
void active_take(struct active_set *set, const struct active_context *context,
		 Pathbell__V1__Command *command);
/* After a crash: cancels, resolves, tells again. */
void active_recover(struct active_set *set);
/* An operator has looked: the hold may go, the clock is right as it is now. */
void active_release(struct active_set *set);
void active_poke(struct active_set *set);
/* Why nothing executes, a halt included, or NULL. */
const char *active_hold(struct active_set *set, uint64_t now_ms);
void active_journal_stats(const struct active_set *set, struct journal_stats *ret_stats);
struct sheet;
void active_describe(const struct active_set *set, struct sheet *sheet);
