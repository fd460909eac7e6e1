/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/active_set.h"
#include "core/clock.h"
#include "core/log.h"
#include "proto/kind.h"

/*
 * The way in: a command whose signatures are good is checked, answered where it is known, refused,
 * or given a slot and journalled as ACCEPTED. active.c goes on from there.
 */
#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name
#define KIND(name)    PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name
#define VERB(name)    PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_##name

static void intake_halt(struct active_set *set, const Pathbell__V1__Command *command,
			uint64_t now_ms)
{
	halt_begin(&set->halt, now_ms, command->id.data, command->issuer);
	log_warning("commands are %s", set->halt.reason);
	active_announce_halt(set, KIND(COMMAND_HALTED), command->id.data, command->issuer,
			     set->halt.reason);
}

static void intake_fill_entry(struct entry *entry, const struct active_context *context,
			      const Pathbell__V1__Command *command)
{
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->id, command->id.data, 16);
	memcpy(entry->sha256, context->sha256, 32);
	entry->received_ms = context->now_ms;
	entry->issued_ms = check_issued_ms(command);
	entry->not_before_ms = command->not_before_unix_ms;
	entry->expires_ms = command->expires_unix_ms;
	entry->verb = command->verb;
	entry->dry_run = command->dry_run;
	snprintf(entry->issuer, sizeof(entry->issuer), "%s", command->issuer);
	snprintf(entry->key_id, sizeof(entry->key_id), "%s", context->key_id);
	if (command->campaign && command->campaign->id.len == 16)
		id_hex(command->campaign->id.data, 16, entry->campaign_id);
}

static void intake_refuse(struct active_set *set, const struct active_context *context,
			  const Pathbell__V1__Command *command, const struct check_result *result)
{
	struct entry entry;
	struct announce_command refused = {
		.kind = KIND(COMMAND_REFUSED),
		.life = LIFE(REJECTED),
		.refusal = result->refusal,
		.verb = command->verb,
		.detail = result->detail,
		.issuer = command->issuer,
		.key_id = context->key_id,
		.dry_run = command->dry_run,
	};

	if (command->id.len != 16) {
		counter_add(&set->counters->refused, 1);
		audit_note(set->audit, context->now_ms, "refused reason=malformed what=\"no id\"");
		announce_command(&set->options->announcer, &refused);
		return;
	}
	intake_fill_entry(&entry, context, command);
	entry.life = LIFE(REJECTED);
	entry.refusal = result->refusal;
	snprintf(entry.detail, sizeof(entry.detail), "%s", result->detail);
	report_audit(&set->report, &entry, context->key_ids);
	if (result->final) {
		report_reject(&set->report, &entry);
		return;
	}
	counter_add(&set->counters->refused, 1);
	report_log(&entry);
	report_step(&set->report, &entry);
	set->options->receipt(set->options->data, entry.id);
}

/* What is kept of the command to resolve it after a crash: without the other hosts and the reason.
 */
static int intake_pack(const Pathbell__V1__Command *command, struct entry *entry)
{
	Pathbell__V1__Command small = *command;

	small.n_host_ids = 0;
	small.reason = (char *)"";
	entry->command_size = pathbell__v1__command__get_packed_size(&small);
	if (entry->command_size > ENTRY_COMMAND_MAX)
		return -EMSGSIZE;
	entry->command = malloc(entry->command_size);
	if (!entry->command)
		return -ENOMEM;
	pathbell__v1__command__pack(&small, entry->command);
	return 0;
}

/* Takes @command. */
static void intake_accept(struct active_set *set, const struct active_context *context,
			  Pathbell__V1__Command *command, struct active *active)
{
	struct check_result refused = { .verdict = CHECK_REFUSED, .refusal = REFUSAL(BUSY) };
	struct entry entry;
	int r;

	intake_fill_entry(&entry, context, command);
	r = intake_pack(command, &entry);
	if (r == -EMSGSIZE) {
		refused.refusal = REFUSAL(MALFORMED);
		refused.final = true;
		snprintf(refused.detail, sizeof(refused.detail), "its arguments are above %d bytes",
			 ENTRY_COMMAND_MAX);
	}
	active->used = true;
	active->command = command;
	memcpy(active->id, entry.id, 16);
	entry.life = LIFE(ACCEPTED);
	if (r == 0) {
		snprintf(refused.detail, sizeof(refused.detail), "the journal is full");
		r = journal_record(set->journal, &entry, context->now_ms, active_on_accepted, set);
	}
	entry_deinit(&entry);
	if (r) {
		intake_refuse(set, context, command, &refused);
		active_drop(active);
		return;
	}
	counter_add(&set->counters->accepted, 1);
	entry.detail[0] = 0;
	report_audit(&set->report, &entry, context->key_ids);
}

static void intake_answer_known(struct active_set *set, const uint8_t id[16])
{
	const struct entry *entry = journal_find(set->journal, id);

	counter_add(&set->counters->known, 1);
	if (entry->life == LIFE(ACCEPTED))
		return; /* not durable yet: its receipt is on the way */
	set->options->receipt(set->options->data, id);
	if (command_life_is_final(entry->life))
		report_step(&set->report, entry);
}

static void intake_check(struct active_set *set, const struct active_context *context,
			 const Pathbell__V1__Command *command, struct check_result *ret_result)
{
	struct check_context check = {
		.host_id = set->options->host_id,
		.settings = context->settings,
		.now_ms = context->now_ms,
		.clock_synchronised = clock_is_synchronised(),
		.sha256 = context->sha256,
		.keys = context->keys,
		.signers = context->signers,
		.n_signers = context->n_signers,
		.known =
			command->id.len == 16 ? journal_find(set->journal, command->id.data) : NULL,
		.hold = journal_hold(set->journal, context->now_ms),
		.halted = set->halt.active ? set->halt.reason : NULL,
		.audit_error = audit_error(set->audit),
		.floor_ms = journal_floor_ms(set->journal),
	};
	int64_t step_ms = 0;

	if (!steady_check(&set->steady, context->now_ms, clock_boottime_ns() / CLOCK_NS_PER_MS,
			  check.clock_synchronised,
			  context->settings->max_clock_error_ns / CLOCK_NS_PER_MS, &step_ms))
		check.clock_step_ms = step_ms;
	check_command(&check, command, ret_result);
}

void active_take(struct active_set *set, const struct active_context *context,
		 Pathbell__V1__Command *command)
{
	bool reserved = command->verb == VERB(HALT) || command->verb == VERB(RESUME);
	struct active *active = active_free_slot(set, reserved);
	struct check_result result;

	intake_check(set, context, command, &result);
	if (result.verdict == CHECK_ACCEPTED) {
		if (command->verb == VERB(HALT) && !command->dry_run)
			intake_halt(set, command, context->now_ms);
		if (active) {
			intake_accept(set, context, command, active);
			return;
		}
		result.verdict = CHECK_REFUSED;
		result.refusal = REFUSAL(BUSY);
		result.final = true;
		snprintf(result.detail, sizeof(result.detail), "too many commands run already%s",
			 set->halt.active ? "; the halt is in effect" : "");
	}
	if (result.verdict == CHECK_KNOWN)
		intake_answer_known(set, command->id.data);
	else
		intake_refuse(set, context, command, &result);
	protobuf_c_message_free_unpacked(&command->base, NULL);
}
