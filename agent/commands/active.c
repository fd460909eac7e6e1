/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/active.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/runner.h"
#include "core/clock.h"
#include "core/log.h"
#include "proto/codec.h"
#include "proto/kind.h"

/*
 * Every step is a record of the journal and goes on in its callback, by id: between the two a
 * command may have been forgotten, so each callback looks the entry up again.
 */
#define ACTIVE_MAX_TOLD	  64
#define ACTIVE_TIMEOUT_MS 600000 /* most that a command may ask for */

#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name
#define KIND(name)    PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name

struct active {
	bool used;
	uint8_t id[16];
	Pathbell__V1__Command *command; /* until the runner takes it */
	struct runner runner;
};

struct active_told {
	uint8_t ids[ACTIVE_MAX_TOLD][16];
	size_t n_ids;
};

struct active_set {
	const struct commands_options *options;
	const struct settings_commands *settings;
	struct commands_counters *counters;
	struct journal *journal;
	struct active slots[ACTIVE_MAX];
	struct active_told told,
		syncing; /* events given to the spool; of them, those that a sync covers */
};

static void active_resolve_next(struct active_set *set);

static uint64_t active_now_ms(void)
{
	return clock_realtime_ns() / CLOCK_NS_PER_MS;
}

static struct active *active_find(struct active_set *set, const uint8_t id[16])
{
	for (size_t i = 0; i < ACTIVE_MAX; i++)
		if (set->slots[i].used && memcmp(set->slots[i].id, id, 16) == 0)
			return &set->slots[i];
	return NULL;
}

static struct active *active_free_slot(struct active_set *set)
{
	for (size_t i = 0; i < ACTIVE_MAX; i++)
		if (!set->slots[i].used && runner_is_free(&set->slots[i].runner))
			return &set->slots[i];
	return NULL;
}

static void active_drop(struct active *active)
{
	if (active->command)
		protobuf_c_message_free_unpacked(&active->command->base, NULL);
	active->command = NULL;
	active->used = false;
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

static void active_log(const struct entry *entry)
{
	char id[ID_TEXT_SIZE];

	id_format(entry->id, id);
	log_notice("command id=%s verb=%s life=%s refusal=%s issuer=\"%s\" detail=\"%s\"", id,
		   command_verb_name(entry->verb), command_life_name(entry->life),
		   entry->refusal ? command_refusal_name(entry->refusal) : "none", entry->issuer,
		   entry->detail);
}

/* Reported: the entry's event is durable, so it need not be told again after a crash. */

static void active_on_synced(void *data)
{
	struct active_set *set = data;
	struct entry entry;

	for (size_t i = 0; i < set->syncing.n_ids; i++) {
		if (!active_copy(set, set->syncing.ids[i], &entry))
			continue;
		entry.reported = true;
		journal_record(set->journal, &entry, active_now_ms(), NULL, NULL);
	}
	set->syncing.n_ids = 0;
	if (set->told.n_ids == 0)
		return;
	set->syncing = set->told;
	set->told.n_ids = 0;
	if (set->options->announcer.sync(set->options->announcer.data, active_on_synced, set))
		set->syncing.n_ids = 0; /* told again after the next start */
}

static void active_tell(struct active_set *set, const struct entry *entry)
{
	struct active_told *told = set->syncing.n_ids ? &set->told : &set->syncing;

	announce_entry(&set->options->announcer, entry);
	if (entry->reported || !command_life_is_final(entry->life) ||
	    told->n_ids == ACTIVE_MAX_TOLD)
		return;
	memcpy(told->ids[told->n_ids++], entry->id, 16);
	if (told == &set->told)
		return; /* after the sync that is under way */
	if (set->options->announcer.sync(set->options->announcer.data, active_on_synced, set))
		set->syncing.n_ids = 0;
}

/* The end of a command: into the journal, then told. */

static void active_on_final(void *data, const uint8_t id[16], int error)
{
	struct active_set *set = data;
	const struct entry *entry = journal_find(set->journal, id);
	bool rejected;

	if (!entry)
		return;
	rejected = entry->life == LIFE(REJECTED); /* telling may replace the entry */
	active_log(entry);
	/* Unwritten or not, it is the truth: told. After a crash it may be told otherwise, never
	 * done twice. */
	active_tell(set, entry);
	if (rejected)
		set->options->receipt(set->options->data, id);
}

static void active_end(struct active_set *set, struct entry *entry)
{
	entry->command = NULL;
	entry->command_size = 0;
	entry->reported = false;
	counter_add(entry->life == LIFE(SUCCEEDED) ? &set->counters->finished
						   : &set->counters->failed,
		    1);
	if (journal_record(set->journal, entry, active_now_ms(), active_on_final, set)) {
		active_log(entry);
		announce_entry(&set->options->announcer, entry);
	}
}

/* Refusal */

static void active_fill_entry(struct entry *entry, const struct active_context *context,
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
}

static void active_refuse(struct active_set *set, const struct active_context *context,
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

	counter_add(&set->counters->refused, 1);
	if (command->id.len != 16) {
		announce_command(&set->options->announcer, &refused);
		return;
	}
	active_fill_entry(&entry, context, command);
	entry.life = LIFE(REJECTED);
	entry.refusal = result->refusal;
	snprintf(entry.detail, sizeof(entry.detail), "%s", result->detail);
	if (result->final &&
	    journal_record(set->journal, &entry, context->now_ms, active_on_final, set) == 0)
		return;
	active_log(&entry);
	announce_entry(&set->options->announcer, &entry);
	set->options->receipt(set->options->data, entry.id);
}

/* Execution */

static void active_on_done(void *data, struct runner *runner)
{
	struct active_set *set = data;
	const struct action_result *result = &runner->result;
	struct active *active = active_find(set, runner->id);
	struct announce_command resolved = { .kind = KIND(COMMAND_RESOLVED), .id = runner->id };
	struct entry entry;

	if (active)
		active_drop(active);
	if (!active_copy(set, runner->id, &entry))
		return;
	entry.life = result->life;
	entry.refusal = result->refusal;
	entry.error_number = result->error_number;
	snprintf(entry.detail, sizeof(entry.detail), "%s", result->detail);
	if (result->has_device)
		announce_device(&set->options->announcer, &result->device, &result->state, "probe");
	if (runner->mode == RUNNER_RESOLVE) {
		resolved.life = entry.life;
		resolved.refusal = entry.refusal;
		resolved.verb = entry.verb;
		resolved.error_number = entry.error_number;
		resolved.detail = entry.detail;
		resolved.issuer = entry.issuer;
		resolved.key_id = entry.key_id;
		announce_command(&set->options->announcer, &resolved);
	}
	active_end(set, &entry);
	active_resolve_next(set);
}

static uint64_t active_timeout_ns(const struct active_set *set,
				  const Pathbell__V1__Command *command)
{
	if (!command->timeout_ms)
		return set->settings->action_timeout_ns;
	return (command->timeout_ms < ACTIVE_TIMEOUT_MS ? command->timeout_ms : ACTIVE_TIMEOUT_MS) *
	       CLOCK_NS_PER_MS;
}

static void active_run(struct active_set *set, struct active *active, enum runner_mode mode)
{
	Pathbell__V1__Command *command = active->command;

	active->command = NULL;
	runner_start(&active->runner, mode, set->options->host, active->id, command,
		     active_timeout_ns(set, command));
}

static void active_on_started(void *data, const uint8_t id[16], int error)
{
	struct active_set *set = data;
	struct active *active = active_find(set, id);
	struct entry entry;

	if (!active || !active_copy(set, id, &entry))
		return;
	if (error) {
		entry.life = LIFE(FAILED);
		entry.error_number = -error;
		snprintf(entry.detail, sizeof(entry.detail),
			 "the journal cannot be written: %s; nothing was done", log_errno(error));
	} else if (check_is_expired(entry.expires_ms, active_now_ms())) {
		entry.life = LIFE(EXPIRED);
		snprintf(entry.detail, sizeof(entry.detail), "it expired before it could start");
	} else {
		announce_entry(&set->options->announcer, &entry);
		active_run(set, active, RUNNER_EXECUTE);
		return;
	}
	active_drop(active);
	active_end(set, &entry);
}

static void active_on_accepted(void *data, const uint8_t id[16], int error)
{
	struct active_set *set = data;
	struct active *active = active_find(set, id);
	struct entry entry;

	if (!active || !active_copy(set, id, &entry))
		return;
	if (error) {
		/* No receipt: the command was never here, and may come again. */
		entry.life = LIFE(REJECTED);
		entry.refusal = REFUSAL(HELD);
		snprintf(entry.detail, sizeof(entry.detail), "the journal cannot be written: %s",
			 log_errno(error));
		active_log(&entry);
		announce_entry(&set->options->announcer, &entry);
		journal_forget(set->journal, id);
		active_drop(active);
		return;
	}
	set->options->receipt(set->options->data, id);
	entry.life = LIFE(RECEIVED);
	announce_entry(&set->options->announcer, &entry);
	entry.life = LIFE(ACCEPTED);
	announce_entry(&set->options->announcer, &entry);
	entry.life = LIFE(STARTED);
	if (journal_record(set->journal, &entry, active_now_ms(), active_on_started, set))
		active_on_started(set, id, -EBUSY);
}

/* What is kept of the command to resolve it after a crash: without the other hosts and the reason.
 */
static int active_pack(const Pathbell__V1__Command *command, struct entry *entry)
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

static void active_accept(struct active_set *set, const struct active_context *context,
			  Pathbell__V1__Command *command)
{
	struct check_result refused = { .verdict = CHECK_REFUSED, .refusal = REFUSAL(BUSY) };
	struct active *active = active_free_slot(set);
	struct entry entry;
	int r;

	active_fill_entry(&entry, context, command);
	r = active_pack(command, &entry);
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
		active_refuse(set, context, command, &refused);
		active_drop(active);
		return;
	}
	counter_add(&set->counters->accepted, 1);
}

static void active_answer_known(struct active_set *set, const uint8_t id[16])
{
	const struct entry *entry = journal_find(set->journal, id);

	counter_add(&set->counters->known, 1);
	if (entry->life == LIFE(ACCEPTED))
		return; /* not durable yet: its receipt is on the way */
	set->options->receipt(set->options->data, id);
	if (command_life_is_final(entry->life))
		announce_entry(&set->options->announcer, entry);
}

void active_take(struct active_set *set, const struct active_context *context,
		 Pathbell__V1__Command *command)
{
	struct check_result result;
	struct check_context check = {
		.host_id = set->options->host_id,
		.settings = context->settings,
		.now_ms = context->now_ms,
		.clock_synchronised = clock_is_synchronised(),
		.sha256 = context->sha256,
		.signers = context->signers,
		.n_signers = context->n_signers,
		.known =
			command->id.len == 16 ? journal_find(set->journal, command->id.data) : NULL,
		.hold = journal_hold(set->journal, context->now_ms),
		.floor_ms = journal_floor_ms(set->journal),
		.busy = !active_free_slot(set),
	};

	check_command(&check, command, &result);
	if (result.verdict == CHECK_ACCEPTED) {
		active_accept(set, context, command);
		return;
	}
	if (result.verdict == CHECK_KNOWN)
		active_answer_known(set, command->id.data);
	else
		active_refuse(set, context, command, &result);
	protobuf_c_message_free_unpacked(&command->base, NULL);
}

/* After a crash */

static void active_resolve(struct active_set *set, const struct entry *entry, struct active *active)
{
	struct entry ended = *entry;

	active->command = codec_unpack(&pathbell__v1__command__descriptor, &scan_limits_request,
				       NULL, entry->command, entry->command_size, NULL);
	if (!active->command) {
		ended.life = LIFE(FAILED);
		snprintf(ended.detail, sizeof(ended.detail),
			 "the agent ended while it ran; what came of it cannot be found out");
		active_end(set, &ended);
		return;
	}
	active->used = true;
	memcpy(active->id, entry->id, 16);
	active_run(set, active, RUNNER_RESOLVE);
}

static void active_resolve_next(struct active_set *set)
{
	const struct entry *entry;

	for (size_t i = 0; (entry = journal_at(set->journal, i)); i++) {
		struct active *active = active_free_slot(set);

		if (!active)
			return;
		if (entry->life == LIFE(INDETERMINATE) && !active_find(set, entry->id))
			active_resolve(set, entry, active);
	}
}

static void active_recover_entry(struct active_set *set, const struct entry *found)
{
	struct entry entry = *found;

	switch (found->life) {
	case LIFE(RECEIVED):
	case LIFE(ACCEPTED):
		entry.life = LIFE(CANCELLED);
		snprintf(entry.detail, sizeof(entry.detail),
			 "the agent ended before it started; nothing was done");
		active_end(set, &entry);
		break;
	case LIFE(STARTED):
		entry.life = LIFE(INDETERMINATE);
		snprintf(entry.detail, sizeof(entry.detail), "the agent ended while it ran");
		counter_add(&set->counters->indeterminate, 1);
		active_log(&entry);
		announce_entry(&set->options->announcer, &entry);
		journal_record(set->journal, &entry, active_now_ms(), NULL, NULL);
		break;
	case LIFE(INDETERMINATE):
		break;
	default:
		if (!entry.reported)
			active_tell(set, found);
	}
}

void active_recover(struct active_set *set)
{
	struct announce_command held = { .kind = KIND(COMMAND_HELD) };
	const struct entry *entry;

	held.detail = active_hold(set, active_now_ms());
	if (journal_hold_is_new(set->journal)) {
		log_warning("commands are held reason=\"%s\"", held.detail);
		announce_command(&set->options->announcer, &held);
	}
	for (size_t i = 0; (entry = journal_at(set->journal, i)); i++)
		active_recover_entry(set, entry);
	active_resolve_next(set);
}

void active_release(struct active_set *set)
{
	if (journal_release(set->journal))
		log_notice("commands are no longer held: an operator released them");
}

void active_poke(struct active_set *set)
{
	for (size_t i = 0; i < ACTIVE_MAX; i++)
		if (set->slots[i].used && !set->slots[i].command)
			runner_poke(&set->slots[i].runner);
}

int active_open(struct active_set **ret_set, const struct commands_options *options,
		struct commands_counters *counters, const struct settings_commands *settings,
		struct errmsg *err)
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
	for (size_t i = 0; i < ACTIVE_MAX; i++)
		runner_init(&set->slots[i].runner, options->loop, set, active_on_done);
	r = journal_open(&set->journal, options->loop, &journal, active_now_ms(), err);
	if (r) {
		active_close(set);
		return r;
	}
	*ret_set = set;
	return 0;
}

struct active_set *active_close(struct active_set *set)
{
	if (!set)
		return NULL;
	for (size_t i = 0; i < ACTIVE_MAX; i++) {
		active_drop(&set->slots[i]);
		runner_deinit(&set->slots[i].runner);
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
	return journal_hold(set->journal, now_ms);
}

void active_journal_stats(const struct active_set *set, struct journal_stats *ret_stats)
{
	journal_stats(set->journal, ret_stats);
}
