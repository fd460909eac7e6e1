/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/commands/active.h"
#include "core/clock.h"
#include "core/log.h"
#include "proto/codec.h"
#include "proto/kind.h"

/*
 * The life of a command on this host
 *
 * 1. commands_deliver: a bucket limits how many envelopes are looked at, a short queue holds them.
 * 2. pathbell-verify, an unprivileged child, checks the signatures (verifier.c). What it does not
 * vouch for is refused with an event that names the id which the envelope claims.
 * 3. check_command (check.c, pure): target, window, verb, the host's and the key's allowed verbs,
 * the journal's memory, the hold. REJECTED or
 * 4. ACCEPTED: the entry goes to the journal (journal.c); once durable the forwarder sends the
 * receipt and RECEIVED and ACCEPTED become events.
 * 5. STARTED goes to the journal; once durable, and if the command has not expired meanwhile, the
 * action runs (active.c, runner.c).
 * 6. The result goes to the journal, then becomes an event; once that event is durable in the spool
 * the entry is marked as reported.
 *
 * What may go wrong
 * - The same command again: its id is in the journal; the recorded result is told again, nothing
 * runs. The same id over other bytes: REPLAYED.
 * - Crash before 4 is durable: no receipt was sent, the command comes again.
 * - Crash between 4 and 5: nothing was done; CANCELLED at the next start.
 * - Crash after 5: INDETERMINATE at the next start, then RESOLVED by looking at the real state.
 * - Crash between 6's journal and its event: entry not marked, the event is told again at the next
 * start.
 * - The journal cannot be written: nothing is done and nothing is acknowledged; the refusal says
 * why.
 */
#define COMMANDS_MAX_QUEUED	  16
#define COMMANDS_MAX_QUEUED_BYTES (256 * 1024)

#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name
#define KIND(name)    PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name

struct commands_envelope {
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
	struct check_rate rate;
	struct log_limit rate_limit;
	uint64_t rate_event_ns; /* next event about the rate */
	uint64_t rate_suppressed;
	struct commands_counters counters;
};

static void commands_next(struct commands *commands);

static uint64_t commands_now_ms(void)
{
	return clock_realtime_ns() / CLOCK_NS_PER_MS;
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
}

/* A flood must not become a flood of events: one in 10 s says how many. */
static void commands_refuse_rate(struct commands *commands, const char *why)
{
	struct announce_command refused = { 0 };
	uint64_t now = clock_monotonic_ns();
	char detail[128];

	counter_add(&commands->counters.rate_limited, 1);
	commands->rate_suppressed++;
	if (now < commands->rate_event_ns)
		return;
	snprintf(detail, sizeof(detail), "%llu commands were not looked at: %s",
		 (unsigned long long)commands->rate_suppressed, why);
	commands->rate_event_ns = now + 10 * CLOCK_NS_PER_S;
	commands->rate_suppressed = 0;
	commands_refuse(commands, &refused, REFUSAL(RATE), detail);
}

void commands_deliver(struct commands *commands, const void *envelope, size_t size)
{
	struct announce_command refused = { 0 };
	struct commands_envelope *slot = &commands->queue[commands->n_queued];

	counter_add(&commands->counters.delivered, 1);
	if (!check_rate_take(&commands->rate, commands->settings->max_per_minute,
			     clock_monotonic_ns())) {
		commands_refuse_rate(commands, "more than commands.max_per_minute");
		return;
	}
	if (size == 0 || size > VERIFY_MAX_ENVELOPE) {
		counter_add(&commands->counters.unread, 1);
		commands_refuse(commands, &refused, REFUSAL(MALFORMED),
				"the envelope has a bad size");
		return;
	}
	if (commands->n_queued == COMMANDS_MAX_QUEUED ||
	    commands->queued_bytes + size > COMMANDS_MAX_QUEUED_BYTES ||
	    !(slot->data = malloc(size))) {
		commands_refuse_rate(commands, "too many wait for their signatures to be checked");
		return;
	}
	memcpy(slot->data, envelope, size);
	slot->size = size;
	commands->n_queued++;
	commands->queued_bytes += size;
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
	const struct settings_key *keys = commands->settings->trusted_keys.items;
	uint8_t bytes[SETTINGS_MAX_KEYS * 32];
	struct verify_request request = { .keys = bytes };
	int r;

	while (commands->n_queued && !verifier_is_busy(&commands->verifier)) {
		struct announce_command refused = { 0 };

		request.n_keys = commands->settings->trusted_keys.n_items;
		request.required = (uint32_t)commands->settings->require;
		request.envelope = commands->queue[0].data;
		request.envelope_size = commands->queue[0].size;
		for (size_t i = 0; i < request.n_keys; i++)
			settings_key_bytes(keys[i].key, bytes + i * 32);
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

	commands_refuse(commands, &refused, rows[reply->outcome].refusal,
			rows[reply->outcome].detail);
}

static void commands_take(struct commands *commands, const struct verify_request *request,
			  const struct verify_reply *reply)
{
	struct announce_command refused = { .key_id = reply->key_ids[0] };
	struct active_context context = {
		.settings = commands->settings,
		.sha256 = reply->sha256,
		.signers = reply->signers,
		.n_signers = reply->n_signers,
		.key_id = reply->key_ids[0],
		.now_ms = commands_now_ms(),
	};
	struct errmsg err = { 0 };
	Pathbell__V1__Command *command;

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
	r = active_open(&commands->active, &commands->options, &commands->counters, settings, err);
	if (r) {
		commands_close(commands);
		return r;
	}
	*ret_commands = commands;
	return 0;
}

void commands_start(struct commands *commands)
{
	active_recover(commands->active);
}

void commands_configure(struct commands *commands, const struct settings_commands *settings,
			const char *program)
{
	commands->settings = settings;
	commands->program = program;
	commands->generation++;
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

struct commands *commands_close(struct commands *commands)
{
	if (!commands)
		return NULL;
	verifier_deinit(&commands->verifier);
	while (commands->n_queued)
		commands_pop(commands);
	active_close(commands->active);
	free(commands);
	return NULL;
}

const char *commands_hold(struct commands *commands)
{
	if (!commands->settings->enabled)
		return "commands.enabled is false";
	if (!commands->settings->trusted_keys.n_items)
		return "commands.trusted_keys is empty";
	return active_hold(commands->active, commands_now_ms());
}

const struct commands_counters *commands_counters(const struct commands *commands)
{
	return &commands->counters;
}

void commands_journal_stats(const struct commands *commands, struct journal_stats *ret_stats)
{
	active_journal_stats(commands->active, ret_stats);
}
