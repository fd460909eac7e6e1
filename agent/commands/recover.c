/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "agent/commands/active_set.h"
#include "core/log.h"
#include "proto/codec.h"
#include "proto/kind.h"

/*
 * After a crash: a command that was not started is CANCELLED, one that was is INDETERMINATE, and
 * resolved by looking, a few at a time; a result that may not have been told is told again.
 */
#define LIFE(name) PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name
#define KIND(name) PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name

static void recover_resolve(struct active_set *set, const struct entry *entry,
			    struct active *active)
{
	struct entry ended = *entry;

	active->command = codec_unpack(&pathbell__v1__command__descriptor, &scan_limits_request,
				       NULL, entry->command, entry->command_size, NULL);
	if (!active->command) {
		ended.life = LIFE(FAILED);
		snprintf(ended.detail, sizeof(ended.detail),
			 "the agent ended while it ran; what came of it cannot be found out");
		report_end(&set->report, &ended);
		return;
	}
	active->used = true;
	memcpy(active->id, entry->id, 16);
	active_run(set, active, RUNNER_RESOLVE);
}

void active_resolve_next(struct active_set *set)
{
	const struct entry *entry;

	for (size_t i = 0; (entry = journal_at(set->journal, i)); i++) {
		struct active *active = active_free_slot(set, false);

		if (!active)
			return;
		if (entry->life == LIFE(INDETERMINATE) && !active_find(set, entry->id))
			recover_resolve(set, entry, active);
	}
}

static void recover_entry(struct active_set *set, const struct entry *found)
{
	struct entry entry = *found;

	switch (found->life) {
	case LIFE(RECEIVED):
	case LIFE(ACCEPTED):
		entry.life = LIFE(CANCELLED);
		snprintf(entry.detail, sizeof(entry.detail),
			 "the agent ended before it started; nothing was done");
		report_end(&set->report, &entry);
		break;
	case LIFE(STARTED):
		entry.life = LIFE(INDETERMINATE);
		snprintf(entry.detail, sizeof(entry.detail), "the agent ended while it ran");
		counter_add(&set->counters->indeterminate, 1);
		report_log(&entry);
		report_step(&set->report, &entry);
		report_audit(&set->report, &entry, NULL);
		journal_record(set->journal, &entry, active_now_ms(), NULL, NULL);
		break;
	case LIFE(INDETERMINATE):
		break;
	default:
		if (!entry.reported)
			report_again(&set->report, found);
	}
}

void active_recover(struct active_set *set)
{
	struct announce_command held = { .kind = KIND(COMMAND_HELD) };
	const struct entry *entry;

	held.detail = journal_hold(set->journal, active_now_ms());
	if (journal_hold_is_new(set->journal)) {
		log_warning("commands are held reason=\"%s\"", held.detail);
		announce_command(&set->options->announcer, &held);
	}
	if (set->halt.active) {
		log_warning("commands are %s", set->halt.reason);
		active_announce_halt(set, KIND(COMMAND_HALTED), NULL, set->halt.issuer,
				     set->halt.reason);
	}
	for (size_t i = 0; (entry = journal_at(set->journal, i)); i++)
		recover_entry(set, entry);
	active_resolve_next(set);
}
