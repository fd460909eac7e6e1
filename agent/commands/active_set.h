/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "agent/commands/active.h"
#include "agent/commands/halt.h"
#include "agent/commands/report.h"
#include "agent/commands/runner.h"
#include "agent/commands/steady.h"

/* What active.c and recover.c share. */
struct active {
	bool used;
	bool begun;   /* its plan has been started */
	bool waiting; /* accepted; its plan begins when the halt or resume before it has ended */
	uint8_t id[16];
	char object[ENTRY_OBJECT_SIZE]; /* from the plan until STARTED is recorded */
	Pathbell__V1__Command *command;
	struct runner runner;
};

struct active_set {
	const struct commands_options *options;
	const struct settings_commands *settings;
	struct commands_counters *counters;
	struct journal *journal;
	struct audit *audit;
	struct report report;
	struct halt halt;
	struct steady steady;
	struct active slots[ACTIVE_MAX + ACTIVE_RESERVED];
};

uint64_t active_now_ms(void);
/* NULL: none is free. @reserved: also those kept for halt and resume. */
struct active *active_free_slot(struct active_set *set, bool reserved);
struct active *active_find(struct active_set *set, const uint8_t id[16]);
void active_drop(struct active *active);
void active_run(struct active_set *set, struct active *active, enum runner_mode mode);
/* journal_done of the ACCEPTED record: the receipt, then the plan. */
void active_on_accepted(void *data, const uint8_t id[16], int error);
/* Looks for entries left INDETERMINATE while there is room (recover.c). */
void active_resolve_next(struct active_set *set);
void active_announce_halt(struct active_set *set, unsigned kind, const uint8_t *id,
			  const char *issuer, const char *detail);
