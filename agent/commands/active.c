/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/active.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/sheet.h"
#include "agent/commands/active_set.h"
#include "agent/commands/limits.h"
#include "agent/commands/roles.h"
#include "core/clock.h"
#include "core/log.h"
#include "proto/kind.h"

/*
 * Every step is a record of the journal and goes on in its callback, by id: between the two a
 * command may have been forgotten, so each callback looks the entry up again.
 *
 * ACCEPTED -> plan (a child that only reads) -> REJECTED, or the end of a dry run, or: limits,
 * halt, hold and expiry once more -> STARTED -> the action (a child that plans again, acts, looks
 * for the effect) -> the result. halt takes effect in memory before the first of these, on a slot
 * of its own; what waits for its plan then is refused, what runs finishes.
 */
#define ACTIVE_TAIL	  50	 /* commands in a bundle of diag */
#define ACTIVE_TIMEOUT_MS 600000 /* most that a command may ask for */

#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name
#define KIND(name)    PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name
#define VERB(name)    PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_##name

uint64_t active_now_ms(void)
{
	return clock_realtime_ns() / CLOCK_NS_PER_MS;
}

struct active *active_find(struct active_set *set, const uint8_t id[16])
{
	for (size_t i = 0; i < ACTIVE_MAX + ACTIVE_RESERVED; i++)
		if (set->slots[i].used && memcmp(set->slots[i].id, id, 16) == 0)
			return &set->slots[i];
	return NULL;
}

struct active *active_free_slot(struct active_set *set, bool reserved)
{
	for (size_t i = 0; i < ACTIVE_MAX + (reserved ? ACTIVE_RESERVED : 0); i++)
		if (!set->slots[i].used && runner_is_free(&set->slots[i].runner))
			return &set->slots[i];
	return NULL;
}

void active_drop(struct active *active)
{
	if (active->command)
		protobuf_c_message_free_unpacked(&active->command->base, NULL);
	active->command = NULL;
	active->used = active->begun = active->waiting = false;
}

/* A copy of the journal's entry to change and record; its command is still the journal's. */
static bool active_copy(struct active_set *set, const uint8_t id[16], struct entry *ret_entry)
{
	const struct entry *entry = journal_find(set->journal, id);

	if (!entry)
		return false;
	*ret_entry = *entry;
	return true;
}

/* Halt */

void active_announce_halt(struct active_set *set, unsigned kind, const uint8_t *id,
			  const char *issuer, const char *detail)
{
	struct announce_command halted = {
		.kind = kind,
		.id = id,
		.verb = kind == KIND(COMMAND_HALTED) ? VERB(HALT) : VERB(RESUME),
		.issuer = issuer,
		.detail = detail,
	};

	announce_command(&set->options->announcer, &halted);
}

static void active_resume(struct active_set *set, const struct entry *entry)
{
	halt_end(&set->halt);
	log_warning("commands execute again issuer=\"%s\"", entry->issuer);
	active_announce_halt(set, KIND(COMMAND_RESUMED), entry->id, entry->issuer,
			     "commands execute again");
}

/* Execution */

static uint64_t active_timeout_ns(const struct active_set *set,
				  const Pathbell__V1__Command *command)
{
	if (!command->timeout_ms)
		return set->settings->action_timeout_ns;
	return (command->timeout_ms < ACTIVE_TIMEOUT_MS ? command->timeout_ms : ACTIVE_TIMEOUT_MS) *
	       CLOCK_NS_PER_MS;
}

void active_run(struct active_set *set, struct active *active, enum runner_mode mode)
{
	runner_start(&active->runner, mode, set->options->host, active->id, active->command,
		     active_timeout_ns(set, active->command));
}

static void active_take_result(struct entry *entry, const struct action_result *result)
{
	entry->life = result->life;
	entry->refusal = result->refusal;
	entry->error_number = result->error_number;
	snprintf(entry->detail, sizeof(entry->detail), "%s", result->detail);
	if (result->object[0])
		snprintf(entry->object, sizeof(entry->object), "%s", result->object);
	else if (!entry->object[0])
		snprintf(entry->object, sizeof(entry->object), "%s", result->device.id);
}

static bool active_is_halt_or_resume(const struct active *active)
{
	return active->used && active->command &&
	       (active->command->verb == VERB(HALT) || active->command->verb == VERB(RESUME));
}

/* halt and resume write and remove one file: one at a time, in the order of their acceptance. */
static void active_plan(struct active_set *set, struct active *active)
{
	active->waiting = false;
	for (size_t i = 0; active_is_halt_or_resume(active) && i < ACTIVE_MAX + ACTIVE_RESERVED;
	     i++) {
		const struct active *other = &set->slots[i];

		if (other != active && active_is_halt_or_resume(other) && other->begun)
			active->waiting = true;
	}
	if (active->waiting)
		return;
	active->begun = true;
	active_run(set, active, RUNNER_PLAN);
}

/* The slot first: what is told may bring the next command. */
static void active_end(struct active_set *set, struct active *active, struct entry *entry)
{
	active_drop(active);
	report_end(&set->report, entry);
	for (size_t i = 0; i < ACTIVE_MAX + ACTIVE_RESERVED; i++)
		if (set->slots[i].used && set->slots[i].waiting)
			active_plan(set, &set->slots[i]);
	active_resolve_next(set);
}

static void active_announce_resolved(struct active_set *set, const struct entry *entry)
{
	struct announce_command resolved = {
		.kind = KIND(COMMAND_RESOLVED),
		.id = entry->id,
		.life = entry->life,
		.refusal = entry->refusal,
		.verb = entry->verb,
		.error_number = entry->error_number,
		.detail = entry->detail,
		.issuer = entry->issuer,
		.key_id = entry->key_id,
		.target = entry->object,
		.campaign_id = entry->campaign_id,
	};

	announce_command(&set->options->announcer, &resolved);
}

static void active_announce_sheet(struct active_set *set, const struct entry *entry,
				  struct sheet *sheet)
{
	const char *text;
	size_t size;

	if (!sheet)
		return;
	text = sheet_end(sheet, &size);
	announce_output(&set->options->announcer, entry, text, size);
	sheet_free(sheet);
}

static void active_on_executed(struct active_set *set, struct active *active, struct entry *entry)
{
	const struct action_result *result = &active->runner.result;
	uint64_t now_ms = active_now_ms();

	active_take_result(entry, result);
	if (now_ms > entry->started_ms && now_ms - entry->started_ms < UINT32_MAX)
		entry->duration_ms = (uint32_t)(now_ms - entry->started_ms);
	if (result->has_device)
		announce_device(&set->options->announcer, &result->device, &result->state, "probe");
	active_announce_sheet(set, entry, runner_take_sheet(&active->runner));
	if (active->runner.mode == RUNNER_RESOLVE)
		active_announce_resolved(set, entry);
	/* a halt that came after it counts */
	if (entry->verb == VERB(RESUME) && entry->life == LIFE(SUCCEEDED) &&
	    set->halt.since_ms <= entry->started_ms)
		active_resume(set, entry);
	active_end(set, active, entry);
}

static void active_on_started(void *data, const uint8_t id[16], int error)
{
	struct active_set *set = data;
	struct active *active = active_find(set, id);
	struct entry entry;

	if (!active || !active_copy(set, id, &entry))
		return;
	if (set->halt.active && !role_is_free_of_halt(entry.verb)) {
		entry.life = LIFE(CANCELLED);
		entry.refusal = REFUSAL(HALTED);
		snprintf(entry.detail, sizeof(entry.detail), "%.500s; nothing was done",
			 set->halt.reason);
	} else if (error) {
		entry.life = LIFE(FAILED);
		entry.error_number = -error;
		snprintf(entry.detail, sizeof(entry.detail),
			 "the journal cannot be written: %s; nothing was done", log_errno(error));
	} else if (check_is_expired(entry.expires_ms, active_now_ms())) {
		entry.life = LIFE(EXPIRED);
		snprintf(entry.detail, sizeof(entry.detail), "it expired before it could start");
	} else {
		report_step(&set->report, &entry);
		active_run(set, active, RUNNER_EXECUTE);
		return;
	}
	active_end(set, active, &entry);
}

static const struct entry *active_entry_at(const void *data, size_t index)
{
	return journal_at(data, index);
}

/* Between plan and start: everything that may have changed meanwhile. */
static bool active_may_start(struct active_set *set, struct entry *entry, uint64_t now_ms)
{
	struct limits_source source = { set->journal, active_entry_at };
	struct check_context context = {
		.hold = journal_hold(set->journal, now_ms),
		.halted = set->halt.active ? set->halt.reason : NULL,
		.audit_error = audit_error(set->audit),
	};
	struct check_result refused;
	char detail[LIMITS_DETAIL_SIZE];

	entry->life = LIFE(REJECTED);
	if (check_is_expired(entry->expires_ms, now_ms)) {
		entry->life = LIFE(EXPIRED);
		snprintf(entry->detail, sizeof(entry->detail), "it expired before it could start");
		return false;
	}
	if (!check_start(&context, entry->verb, &refused)) {
		entry->refusal = refused.refusal;
		snprintf(entry->detail, sizeof(entry->detail), "%s", refused.detail);
		return false;
	}
	if (limits_allow(set->settings, &source, entry->verb, entry->object, now_ms, detail))
		return true;
	entry->refusal = REFUSAL(RATE);
	snprintf(entry->detail, sizeof(entry->detail), "%s", detail);
	return false;
}

/* What was promised to be seen is seen: the line about the start is on stable storage. */
static void active_on_audited(void *data, const uint8_t id[16], int error)
{
	struct active_set *set = data;
	struct active *active = active_find(set, id);
	uint64_t now_ms = active_now_ms();
	struct entry entry;

	if (!active || !active_copy(set, id, &entry))
		return;
	memcpy(entry.object, active->object, sizeof(entry.object));
	if (error && role_is_change(entry.verb)) {
		entry.life = LIFE(REJECTED);
		entry.refusal = REFUSAL(HELD);
		snprintf(entry.detail, sizeof(entry.detail),
			 "the audit cannot be written: %s; nothing was done", log_errno(error));
		active_end(set, active, &entry);
		return;
	}
	entry.life = LIFE(STARTED);
	entry.started_ms = now_ms;
	if (journal_record(set->journal, &entry, now_ms, active_on_started, set))
		active_on_started(set, id, -EBUSY);
}

static void active_on_planned(struct active_set *set, struct active *active, struct entry *entry)
{
	uint64_t now_ms = active_now_ms();

	active_take_result(entry, &active->runner.result);
	if (entry->life != LIFE(SUCCEEDED) || active->runner.complete ||
	    !active_may_start(set, entry, now_ms)) {
		active_end(set, active, entry);
		return;
	}
	memcpy(active->object, entry->object, sizeof(active->object));
	entry->life = LIFE(STARTED);
	entry->detail[0] = 0;
	if (role_is_change(entry->verb)) {
		audit_entry(set->audit, entry, NULL, now_ms, active_on_audited, set);
		return;
	}
	report_audit(&set->report, entry, NULL);
	active_on_audited(set, active->id, 0);
}

static void active_on_done(void *data, struct runner *runner)
{
	struct active_set *set = data;
	struct active *active = active_find(set, runner->id);
	struct entry entry;

	if (!active)
		return;
	if (!active_copy(set, runner->id, &entry))
		active_drop(active);
	else if (runner->mode == RUNNER_PLAN)
		active_on_planned(set, active, &entry);
	else
		active_on_executed(set, active, &entry);
}

/* No receipt: the command was never here, and may come again. */
static void active_on_unwritten(struct active_set *set, struct active *active, struct entry *entry,
				int error)
{
	entry->life = LIFE(REJECTED);
	entry->refusal = REFUSAL(HELD);
	snprintf(entry->detail, sizeof(entry->detail), "the journal cannot be written: %s%s",
		 log_errno(error),
		 entry->verb == VERB(HALT) && !entry->dry_run
			 ? "; the halt is in effect until the agent ends"
			 : "");
	report_log(entry);
	report_step(&set->report, entry);
	journal_forget(set->journal, entry->id);
	active_drop(active);
}

void active_on_accepted(void *data, const uint8_t id[16], int error)
{
	struct active_set *set = data;
	struct active *active = active_find(set, id);
	struct entry entry;

	if (!active || !active_copy(set, id, &entry))
		return;
	if (error) {
		active_on_unwritten(set, active, &entry, error);
		return;
	}
	set->options->receipt(set->options->data, id);
	entry.life = LIFE(RECEIVED);
	report_step(&set->report, &entry);
	entry.life = LIFE(ACCEPTED);
	report_step(&set->report, &entry);
	active_plan(set, active);
}

void active_release(struct active_set *set)
{
	set->steady.anchored = false;
	if (journal_release(set->journal))
		log_notice("commands are no longer held: an operator released them");
}

void active_poke(struct active_set *set)
{
	for (size_t i = 0; i < ACTIVE_MAX + ACTIVE_RESERVED; i++)
		if (set->slots[i].used)
			runner_poke(&set->slots[i].runner);
}

static void active_begin(struct active_set *set)
{
	int64_t step_ms;

	steady_check(&set->steady, active_now_ms(), clock_boottime_ns() / CLOCK_NS_PER_MS, false, 0,
		     &step_ms);
	if (set->options->host->halt_file)
		halt_load(set->options->host->halt_file, &set->halt);
	report_init(&set->report, set->options, set->counters, set->journal, set->audit);
}

int active_open(struct active_set **ret_set, const struct commands_options *options,
		struct commands_counters *counters, const struct settings_commands *settings,
		struct audit *audit, struct errmsg *err)
{
	struct active_set *set = calloc(1, sizeof(*set));
	struct journal_options journal = {
		.dir = options->state_dir,
		.first_start = options->first_start,
		.max_clock_error_ms = settings->max_clock_error_ns / CLOCK_NS_PER_MS,
	};
	int r;

	if (!set)
		return -ENOMEM;
	set->options = options;
	set->settings = settings;
	set->counters = counters;
	set->audit = audit;
	for (size_t i = 0; i < ACTIVE_MAX + ACTIVE_RESERVED; i++)
		runner_init(&set->slots[i].runner, options->loop, set, active_on_done);
	r = journal_open(&set->journal, options->loop, &journal, active_now_ms(), err);
	if (r) {
		active_close(set);
		return r;
	}
	active_begin(set);
	*ret_set = set;
	return 0;
}

struct active_set *active_close(struct active_set *set)
{
	if (!set)
		return NULL;
	for (size_t i = 0; i < ACTIVE_MAX + ACTIVE_RESERVED; i++) {
		runner_deinit(&set->slots[i].runner);
		active_drop(&set->slots[i]);
	}
	journal_close(set->journal);
	free(set);
	return NULL;
}

void active_configure(struct active_set *set, const struct settings_commands *settings)
{
	set->settings = settings;
}

const char *active_hold(struct active_set *set, uint64_t now_ms)
{
	const char *hold = journal_hold(set->journal, now_ms);

	return hold || !set->halt.active ? hold : set->halt.reason;
}

void active_journal_stats(const struct active_set *set, struct journal_stats *ret_stats)
{
	journal_stats(set->journal, ret_stats);
}

void active_describe(const struct active_set *set, struct sheet *sheet)
{
	const struct entry *entry;
	struct journal_stats stats;
	char id[ID_TEXT_SIZE], received[CLOCK_TEXT_SIZE];

	journal_stats(set->journal, &stats);
	for (size_t i = stats.entries > ACTIVE_TAIL ? stats.entries - ACTIVE_TAIL : 0;
	     (entry = journal_at(set->journal, i)); i++) {
		id_format(entry->id, id);
		clock_format(entry->received_ms * CLOCK_NS_PER_MS, received);
		sheet_print(sheet, "%s %s %s %s %s object=\"%s\" detail=\"%s\"\n", received, id,
			    command_verb_name(entry->verb), command_life_name(entry->life),
			    entry->refusal ? command_refusal_name(entry->refusal) : "-",
			    entry->object, entry->detail);
	}
}
