/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/active.h"
#include "agent/commands/audit.h"
#include "agent/commands/flood.h"
#include "agent/commands/keys.h"
#include "agent/commands/keys_watch.h"
#include "agent/commands/peek.h"
#include "core/clock.h"
#include "core/log.h"
#include "proto/codec.h"
#include "proto/kind.h"

/*
 * The life of a command on this host
 *
 * 1. commands_deliver: a bucket limits how many envelopes are looked at, a short queue holds them.
 * What claims to be a halt has a bucket and places of its own (peek.c), in front of all others.
 * 2. pathbell-verify, an unprivileged child, checks the signatures (verifier.c). What it does not
 * vouch for is refused with an event that names the id which the envelope claims.
 * 3. check_command (check.c, pure): target, window, verb, the host's allowed verbs, the signers'
 * roles and number (keys.c), the journal's memory, hold and halt. REJECTED or
 * 4. ACCEPTED: the entry goes to the journal (journal.c); once durable the forwarder sends the
 * receipt and RECEIVED and ACCEPTED become events.
 * 5. A child plans: it only reads. What it refuses is REJECTED, a dry run ends here. Limits, halt,
 * hold and expiry are checked once more.
 * 6. STARTED goes to the journal; once durable the action runs (active.c, runner.c): it plans
 * again, acts, and looks for the effect.
 * 7. The result goes to the journal, then becomes an event; once that event is durable in the spool
 * the entry is marked as reported.
 *
 * What may go wrong
 * - The same command again: its id is in the journal; the recorded result is told again, nothing
 * runs. The same id over other bytes: REPLAYED.
 * - Crash before 4 is durable: no receipt was sent, the command comes again.
 * - Crash between 4 and 6: nothing was done; CANCELLED at the next start.
 * - Crash after 6: INDETERMINATE at the next start, then RESOLVED by looking at the real state.
 * - Crash between 7's journal and its event: entry not marked, the event is told again at the next
 * start.
 * - The journal cannot be written: nothing is done and nothing is acknowledged; the refusal says
 * why.
 */
#define COMMANDS_MAX_QUEUED	  16
#define COMMANDS_MAX_HALTS	  2 /* of them, for what claims to be a halt */
#define COMMANDS_HALTS_PER_MINUTE 12
#define COMMANDS_FORGED_TOLD	  10 /* refusals a minute that nobody vouches for, as single events */
#define COMMANDS_MAX_QUEUED_BYTES (256 * 1024)

#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name
#define KIND(name)    PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name

struct commands_envelope {
	bool is_halt; /* as it claims */
	uint8_t *data;
	size_t size;
};

struct commands {
	struct commands_options options;
	const struct settings_commands *settings;
	const char *program;
	unsigned generation, verifying_generation; /* of the settings */
	struct active_set *active;
	struct verifier verifier;
	struct commands_envelope queue[COMMANDS_MAX_QUEUED];
	size_t n_queued, queued_bytes;
	struct audit *audit;
	struct keys *keys;
	struct keys_watch watch;
	struct check_rate rate, halt_rate;
	struct flood crowd, forged; /* not looked at; looked at, and nobody vouches for it */
	uint32_t forged_refusal;
	struct commands_counters counters;
};

static void commands_next(struct commands *commands);

static uint64_t commands_now_ms(void)
{
	return clock_realtime_ns() / CLOCK_NS_PER_MS;
}

static void commands_audit_refusal(struct commands *commands,
				   const struct announce_command *refused, const char *id)
{
	struct buf body = { .max = AUDIT_LINE_MAX };
	int r = buf_printf(&body, "refused id=%s reason=%s", id,
			   command_refusal_name(refused->refusal));

	if (r == 0 && refused->verb)
		r = buf_printf(&body, " verb=%s", command_verb_name(refused->verb));
	if (r == 0 && refused->key_id && *refused->key_id)
		r = audit_put_text(&body, "key", refused->key_id, 64);
	if (r == 0)
		r = audit_put_text(&body, "detail", refused->detail, 1000);
	if (r == 0 && buf_append(&body, "", 1) == 0)
		audit_note(commands->audit, commands_now_ms(), (const char *)body.data);
	buf_deinit(&body);
}

/* A refusal that leaves no trace in the journal. */
static void commands_refuse(struct commands *commands, struct announce_command *refused,
			    uint32_t refusal, const char *detail)
{
	char id[ID_TEXT_SIZE] = "unknown";

	if (refused->id)
		id_format(refused->id, id);
	refused->kind = KIND(COMMAND_REFUSED);
	refused->life = LIFE(REJECTED);
	refused->refusal = refusal;
	refused->detail = detail;
	counter_add(&commands->counters.refused, 1);
	log_notice("command refused id=%s reason=%s detail=\"%s\"", id,
		   command_refusal_name(refusal), detail);
	announce_command(&commands->options.announcer, refused);
	commands_audit_refusal(commands, refused, id);
}

static void commands_tell_crowd(void *data, uint64_t count)
{
	struct announce_command refused = { 0 };
	char detail[160];

	snprintf(detail, sizeof(detail),
		 "%llu commands were not looked at: more than commands.max_per_minute, or too many "
		 "wait for their signatures to be checked",
		 (unsigned long long)count);
	commands_refuse(data, &refused, REFUSAL(RATE), detail);
}

static void commands_tell_forged(void *data, uint64_t count)
{
	struct commands *commands = data;
	struct announce_command refused = { 0 };
	char detail[128];

	snprintf(detail, sizeof(detail),
		 "%llu more commands were refused for want of a good signature",
		 (unsigned long long)count);
	commands_refuse(commands, &refused, commands->forged_refusal, detail);
}

static void commands_refuse_crowd(struct commands *commands)
{
	counter_add(&commands->counters.rate_limited, 1);
	if (flood_pass(&commands->crowd, clock_monotonic_ns()))
		commands_tell_crowd(commands, 1);
}

/* Nobody vouches for it: anyone may have sent any number of it. */
static void commands_refuse_forged(struct commands *commands, struct announce_command *refused,
				   uint32_t refusal, const char *detail)
{
	commands->forged_refusal = refusal;
	if (flood_pass(&commands->forged, clock_monotonic_ns()))
		commands_refuse(commands, refused, refusal, detail);
	else
		counter_add(&commands->counters.refused, 1);
}

/* Halts in front of the others, but behind the one that is being verified. False: no room. */
static bool commands_queue(struct commands *commands, const void *envelope, size_t size,
			   bool is_halt)
{
	size_t max = is_halt ? COMMANDS_MAX_QUEUED : COMMANDS_MAX_QUEUED - COMMANDS_MAX_HALTS;
	size_t place = commands->n_queued, busy = verifier_is_busy(&commands->verifier) ? 1 : 0;
	uint8_t *copy;

	if (commands->n_queued >= max ||
	    (!is_halt && commands->queued_bytes + size > COMMANDS_MAX_QUEUED_BYTES))
		return false;
	copy = malloc(size);
	if (!copy)
		return false;
	memcpy(copy, envelope, size);
	while (is_halt && place > busy && !commands->queue[place - 1].is_halt) {
		commands->queue[place] = commands->queue[place - 1];
		place--;
	}
	commands->queue[place] = (struct commands_envelope){ is_halt, copy, size };
	commands->n_queued++;
	commands->queued_bytes += size;
	return true;
}

void commands_deliver(struct commands *commands, const void *envelope, size_t size)
{
	struct announce_command refused = { 0 };
	uint64_t now_ns = clock_monotonic_ns();
	bool is_halt;

	counter_add(&commands->counters.delivered, 1);
	if (size == 0 || size > VERIFY_MAX_ENVELOPE) {
		counter_add(&commands->counters.unread, 1);
		commands_refuse_forged(commands, &refused, REFUSAL(MALFORMED),
				       "the envelope has a bad size");
		return;
	}
	is_halt = peek_is_halt(envelope, size) &&
		  check_rate_take(&commands->halt_rate, COMMANDS_HALTS_PER_MINUTE, now_ns);
	if ((!is_halt &&
	     !check_rate_take(&commands->rate, commands->settings->max_per_minute, now_ns)) ||
	    !commands_queue(commands, envelope, size, is_halt)) {
		commands_refuse_crowd(commands);
		return;
	}
	commands_next(commands);
}

static void commands_pop(struct commands *commands)
{
	commands->queued_bytes -= commands->queue[0].size;
	free(commands->queue[0].data);
	commands->n_queued--;
	memmove(&commands->queue[0], &commands->queue[1],
		commands->n_queued * sizeof(commands->queue[0]));
}

static void commands_next(struct commands *commands)
{
	const struct keys *keys = commands->keys;
	uint8_t bytes[KEYS_MAX * 32];
	struct verify_request request = { .keys = bytes };
	int r;

	while (commands->n_queued && !verifier_is_busy(&commands->verifier)) {
		struct announce_command refused = { 0 };

		request.n_keys = keys->n_keys;
		request.required = (uint32_t)commands->settings->require;
		request.envelope = commands->queue[0].data;
		request.envelope_size = commands->queue[0].size;
		for (size_t i = 0; i < request.n_keys; i++)
			memcpy(bytes + i * 32, keys->keys[i].public_key, 32);
		commands->verifying_generation = commands->generation;
		r = verifier_start(&commands->verifier, commands->program, &request);
		if (r == 0)
			return;
		commands_pop(commands);
		counter_add(&commands->counters.unread, 1);
		log_error("cannot start the verifier program=%s error=\"%s\"", commands->program,
			  log_errno(r));
		commands_refuse(commands, &refused, REFUSAL(HELD),
				"signatures cannot be checked: the verifier does not start");
	}
}

static void commands_refuse_unsigned(struct commands *commands, const struct verify_reply *reply)
{
	static const struct {
		uint32_t refusal;
		const char *detail;
	} rows[] = {
		{ 0, "" },
		{ REFUSAL(MALFORMED), "the envelope is not a SignedCommand" },
		{ REFUSAL(UNKNOWN_KEY), "no trusted key has signed it" },
		{ REFUSAL(BAD_SIGNATURE), "the signature does not fit" },
		{ REFUSAL(SIGNATURES_MISSING), "too few trusted keys have signed it" },
	};
	struct announce_command refused = {
		.id = reply->has_id ? reply->id : NULL,
		.verb = reply->verb,
		.key_id = reply->key_ids[0],
	};

	commands_refuse_forged(commands, &refused, rows[reply->outcome].refusal,
			       rows[reply->outcome].detail);
}

static void commands_take(struct commands *commands, const struct verify_request *request,
			  const struct verify_reply *reply)
{
	struct announce_command refused = { .key_id = reply->key_ids[0] };
	char key_ids[VERIFY_MAX_SIGNERS * KEYS_ID_SIZE] = "";
	struct active_context context = {
		.settings = commands->settings,
		.sha256 = reply->sha256,
		.keys = commands->keys->keys,
		.signers = reply->signers,
		.n_signers = reply->n_signers,
		.key_id = reply->key_ids[0],
		.key_ids = key_ids,
		.now_ms = commands_now_ms(),
	};
	struct errmsg err = { 0 };
	Pathbell__V1__Command *command;

	for (size_t i = 0; i < reply->n_signers; i++)
		snprintf(key_ids + strlen(key_ids), sizeof(key_ids) - strlen(key_ids), "%s%s",
			 i ? "," : "", reply->key_ids[i]);
	command = codec_unpack(&pathbell__v1__command__descriptor, &scan_limits_request, NULL,
			       request->envelope + reply->offset, reply->size, &err);
	if (!command) {
		refused.id = reply->has_id ? reply->id : NULL;
		commands_refuse(commands, &refused, REFUSAL(MALFORMED), err.text);
		return;
	}
	active_take(commands->active, &context, command);
}

static void commands_on_verified(void *data, const struct verify_request *request,
				 const struct verify_reply *reply, const char *why)
{
	struct commands *commands = data;
	struct announce_command refused = { 0 };

	if (commands->verifying_generation != commands->generation) {
		commands_next(commands); /* the keys have changed meanwhile: ask again */
		return;
	}
	commands_pop(commands);
	if (!reply) {
		counter_add(&commands->counters.unread, 1);
		commands_refuse(commands, &refused, REFUSAL(HELD), why);
	} else if (reply->outcome) {
		commands_refuse_unsigned(commands, reply);
	} else {
		commands_take(commands, request, reply);
	}
	commands_next(commands);
}

static void commands_audit_keys(struct commands *commands, const char *detail)
{
	struct buf body = { .max = AUDIT_LINE_MAX };

	if (buf_printf(&body, "keys") == 0 && audit_put_text(&body, "detail", detail, 1000) == 0 &&
	    buf_append(&body, "", 1) == 0)
		audit_note(commands->audit, commands_now_ms(), (const char *)body.data);
	buf_deinit(&body);
}

static void commands_tell_keys(struct commands *commands)
{
	struct announce_command changed = { .kind = KIND(COMMAND_KEYS_CHANGED) };
	uint64_t now_ms = commands_now_ms();
	char detail[700];

	snprintf(detail, sizeof(detail), "%zu keys count, %zu key ids are revoked%s%s",
		 keys_n_valid(commands->keys, now_ms), commands->keys->n_revoked,
		 commands->keys->error[0] ? "; not taken over: " : "", commands->keys->error);
	changed.detail = detail;
	log_notice("keys changed detail=\"%s\"", detail);
	commands_audit_keys(commands, detail);
	announce_command(&commands->options.announcer, &changed);
}

/* Answers on the way are for the old set: they are asked for again. */
static void commands_read_keys(struct commands *commands)
{
	struct keys *keys = calloc(1, sizeof(*keys));

	if (!keys)
		return;
	keys_read(commands->settings, commands->keys, keys);
	keys_watch_set(&commands->watch, commands->settings->keys_dir);
	if (keys_equal(keys, commands->keys)) {
		free(keys);
		return;
	}
	free(commands->keys);
	commands->keys = keys;
	commands->generation++;
	commands_tell_keys(commands);
}

static void commands_on_keys_changed(void *data)
{
	commands_read_keys(data);
}

static int commands_open_audit(struct commands *commands)
{
	const struct audit_options options = {
		.dir = commands->options.state_dir,
		.max_bytes = commands->settings->audit_bytes,
		.n_files = (unsigned)commands->settings->audit_files,
	};
	int r = audit_open(&commands->audit, commands->options.loop, &options, commands_now_ms());

	if (r == 0)
		commands->options.announcer.head = audit_head(commands->audit);
	return r;
}

int commands_open(struct commands **ret_commands, const struct commands_options *options,
		  const struct settings_commands *settings, const char *program, struct errmsg *err)
{
	struct commands *commands = calloc(1, sizeof(*commands));
	int r;

	if (!commands)
		return -ENOMEM;
	commands->options = *options;
	commands->settings = settings;
	commands->program = program;
	verifier_init(&commands->verifier, options->loop, commands, commands_on_verified);
	flood_init(&commands->crowd, options->loop, 1, commands, commands_tell_crowd);
	flood_init(&commands->forged, options->loop, COMMANDS_FORGED_TOLD, commands,
		   commands_tell_forged);
	keys_watch_init(&commands->watch, options->loop, commands, commands_on_keys_changed);
	commands->keys = calloc(1, sizeof(*commands->keys));
	r = commands->keys ? commands_open_audit(commands) : -ENOMEM;
	if (r == 0)
		r = active_open(&commands->active, &commands->options, &commands->counters,
				settings, commands->audit, err);
	if (r) {
		commands_close(commands);
		return r;
	}
	keys_watch_set(&commands->watch, settings->keys_dir);
	keys_read(settings, NULL, commands->keys);
	*ret_commands = commands;
	return 0;
}

void commands_start(struct commands *commands)
{
	if (commands->keys->error[0])
		commands_tell_keys(commands);
	active_recover(commands->active);
}

void commands_configure(struct commands *commands, const struct settings_commands *settings,
			const char *program)
{
	commands->settings = settings;
	commands->program = program;
	commands->generation++;
	audit_configure(commands->audit, settings->audit_bytes, (unsigned)settings->audit_files);
	commands_read_keys(commands);
	active_configure(commands->active, settings);
}

void commands_release(struct commands *commands)
{
	active_release(commands->active);
}

void commands_poke(struct commands *commands)
{
	active_poke(commands->active);
}

void commands_describe(const struct commands *commands, struct sheet *sheet)
{
	active_describe(commands->active, sheet);
}

struct commands *commands_close(struct commands *commands)
{
	if (!commands)
		return NULL;
	verifier_deinit(&commands->verifier);
	flood_deinit(&commands->crowd);
	flood_deinit(&commands->forged);
	keys_watch_deinit(&commands->watch);
	free(commands->keys);
	while (commands->n_queued)
		commands_pop(commands);
	active_close(commands->active);
	audit_close(commands->audit);
	free(commands);
	return NULL;
}

const char *commands_hold(struct commands *commands)
{
	if (!commands->settings->enabled)
		return "commands.enabled is false";
	if (keys_n_valid(commands->keys, commands_now_ms()) < commands->settings->require)
		return "too few keys are trusted: see commands.trusted_keys, commands.keys_dir";
	return active_hold(commands->active, commands_now_ms());
}

struct audit *commands_audit(const struct commands *commands)
{
	return commands->audit;
}

const struct keys *commands_keys(const struct commands *commands)
{
	return commands->keys;
}

const struct commands_counters *commands_counters(const struct commands *commands)
{
	return &commands->counters;
}

void commands_journal_stats(const struct commands *commands, struct journal_stats *ret_stats)
{
	active_journal_stats(commands->active, ret_stats);
}
