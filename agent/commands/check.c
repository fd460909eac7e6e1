/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "actions/action.h"
#include "agent/commands/journal.h"
#include "proto/kind.h"

#define VERB(name)    PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_##name
#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name

static bool check_refuse(struct check_result *result, unsigned refusal, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static bool check_refuse(struct check_result *result, unsigned refusal, const char *format, ...)
{
	va_list args;

	result->verdict = CHECK_REFUSED;
	result->refusal = refusal;
	va_start(args, format);
	vsnprintf(result->detail, sizeof(result->detail), format, args);
	va_end(args);
	return false;
}

uint64_t check_issued_ms(const Pathbell__V1__Command *command)
{
	uint64_t ms = 0;

	if (command->id.len != 16 || command->id.data[6] >> 4 != 7)
		return command->not_before_unix_ms;
	for (size_t i = 0; i < 6; i++)
		ms = ms << 8 | command->id.data[i];
	return ms;
}

bool check_is_expired(uint64_t expires_ms, uint64_t now_ms)
{
	return now_ms >= expires_ms;
}

/* A good signature on nonsense: still refused, whoever signed. */
static bool check_form(const Pathbell__V1__Command *command, struct check_result *result)
{
	if (command->id.len != 16)
		return check_refuse(result, REFUSAL(MALFORMED), "the id has %zu bytes, not 16",
				    command->id.len);
	if (command->expires_unix_ms == 0)
		return check_refuse(result, REFUSAL(MALFORMED), "it has no expiry");
	if (command->expires_unix_ms <= command->not_before_unix_ms)
		return check_refuse(result, REFUSAL(MALFORMED), "it expires before it begins");
	if (command->expires_unix_ms - command->not_before_unix_ms > JOURNAL_MAX_LIFETIME_MS)
		return check_refuse(result, REFUSAL(MALFORMED),
				    "it lives longer than 24 h: not_before %" PRIu64
				    " ms, expires %" PRIu64 " ms",
				    command->not_before_unix_ms, command->expires_unix_ms);
	return true;
}

static bool check_host(const struct check_context *context, const Pathbell__V1__Command *command,
		       struct check_result *result)
{
	for (size_t i = 0; context->host_id && i < command->n_host_ids; i++)
		if (strcmp(command->host_ids[i], context->host_id) == 0)
			return true;
	return check_refuse(result, REFUSAL(NOT_FOR_THIS_HOST), "it names %zu hosts, not this one",
			    command->n_host_ids);
}

static bool check_known(const struct check_context *context, struct check_result *result)
{
	if (!context->known)
		return true;
	if (memcmp(context->known->sha256, context->sha256, 32) != 0)
		return check_refuse(result, REFUSAL(REPLAYED),
				    "another command with this id came before");
	result->verdict = CHECK_KNOWN;
	return false;
}

static bool check_window(const struct check_context *context, const Pathbell__V1__Command *command,
			 struct check_result *result)
{
	const struct settings_commands *settings = context->settings;
	uint64_t error_ms = settings->max_clock_error_ns / 1000000;
	bool is_halt = command->verb == VERB(HALT); /* only takes away action: by any clock */

	if (context->clock_step_ms && !is_halt)
		return check_refuse(result, REFUSAL(CLOCK),
				    "this host's clock was set by %" PRId64
				    " ms since the agent started and is not synchronised: mend it, "
				    "then reload pathbelld",
				    context->clock_step_ms);
	if (settings->require_synchronised_clock && !context->clock_synchronised && !is_halt)
		return check_refuse(result, REFUSAL(CLOCK),
				    "this host's clock is not synchronised and "
				    "commands.require_synchronised_clock is true");
	if (check_is_expired(command->expires_unix_ms, context->now_ms))
		return check_refuse(result, REFUSAL(EXPIRED), "it expired %" PRIu64 " ms ago",
				    context->now_ms - command->expires_unix_ms);
	if (command->not_before_unix_ms > context->now_ms + error_ms)
		return check_refuse(result, REFUSAL(NOT_YET_VALID), "it begins in %" PRIu64 " ms",
				    command->not_before_unix_ms - context->now_ms);
	return true;
}

static bool check_args(const Pathbell__V1__Command *command, struct check_result *result)
{
	static const struct {
		unsigned verb;
		int args;
	} rows[] = {
		{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE,
		  PATHBELL__V1__COMMAND__ARGS_PROBE },
		{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESYNC,
		  PATHBELL__V1__COMMAND__ARGS_RESYNC },
		{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_UPLINK_RECONNECT,
		  PATHBELL__V1__COMMAND__ARGS_UPLINK_RECONNECT },
		{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_CONNECT,
		  PATHBELL__V1__COMMAND__ARGS_NVME_CONNECT },
		{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_DISCOVER,
		  PATHBELL__V1__COMMAND__ARGS_NVME_DISCOVER },
		{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_SWITCH_GROUP,
		  PATHBELL__V1__COMMAND__ARGS_MULTIPATH_SWITCH_GROUP },
		{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_SCSI_RESCAN,
		  PATHBELL__V1__COMMAND__ARGS_SCSI_RESCAN },
		{ PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_DIAG, PATHBELL__V1__COMMAND__ARGS_DIAG },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].verb != command->verb)
			continue;
		if (command->args_case == PATHBELL__V1__COMMAND__ARGS__NOT_SET ||
		    (int)command->args_case == rows[i].args)
			return true;
		return check_refuse(result, REFUSAL(MALFORMED),
				    "its arguments belong to another verb");
	}
	return true;
}

static bool check_verb(const Pathbell__V1__Command *command, struct check_result *result)
{
	const char *name = command_verb_name(command->verb);

	if (command->verb == 0 || strcmp(name, "unknown") == 0)
		return check_refuse(result, REFUSAL(UNKNOWN_VERB), "verb number %u is not known",
				    (unsigned)command->verb);
	if (!action_find(command->verb))
		return check_refuse(result, REFUSAL(UNSUPPORTED), "this agent does not have %s",
				    name);
	return check_args(command, result);
}

static bool check_list_has(const struct config_strings *verbs, const char *name)
{
	for (size_t i = 0; i < verbs->n_items; i++)
		if (strcmp(verbs->items[i], name) == 0)
			return true;
	return false;
}

/* The most that `require` and the policies ask for. */
static uint64_t check_required(const struct check_context *context,
			       const Pathbell__V1__Command *command, const char *verb)
{
	const struct settings_policy *policies = context->settings->policies.items;
	uint64_t required = context->settings->require;

	for (size_t i = 0; i < context->settings->policies.n_items; i++) {
		const struct settings_policy *policy = &policies[i];

		if (command->n_host_ids <= policy->hosts_above ||
		    (policy->verbs.n_items && !check_list_has(&policy->verbs, verb)))
			continue;
		if (policy->require > required)
			required = policy->require;
	}
	return required;
}

static bool check_signers(const struct check_context *context, const Pathbell__V1__Command *command,
			  struct check_result *result)
{
	const char *verb = command_verb_name(command->verb);
	uint64_t required = check_required(context, command, verb);
	const struct key *bad = NULL;
	size_t n_may = 0, n_valid = 0;

	for (size_t i = 0; i < context->n_signers; i++) {
		const struct key *key = &context->keys[context->signers[i]];

		if (keys_is_valid(key, context->now_ms))
			n_valid++;
		else
			bad = key;
		n_may += keys_may(key, command->verb, command->override_last_path, context->now_ms);
	}
	if (n_may >= required)
		return true;
	if (bad)
		return check_refuse(result, REFUSAL(KEY_REVOKED), "the key of %s (%s) %s",
				    bad->name, bad->key_id,
				    bad->revoked ? "is revoked" : "is past its end");
	if (n_valid < required)
		return check_refuse(result, REFUSAL(SIGNATURES_MISSING),
				    "%zu trusted keys have signed it, %" PRIu64
				    " are needed for %s",
				    n_valid, required, verb);
	return check_refuse(result, REFUSAL(POLICY),
			    "%zu of its signers may ask for %s%s, %" PRIu64 " are needed", n_may,
			    verb, command->override_last_path ? " without the last-path guard" : "",
			    required);
}

static bool check_policy(const struct check_context *context, const Pathbell__V1__Command *command,
			 struct check_result *result)
{
	const char *name = command_verb_name(command->verb);

	if (!context->settings->enabled)
		return check_refuse(result, REFUSAL(POLICY), "commands.enabled is false");
	if (!check_list_has(&context->settings->verbs, name))
		return check_refuse(result, REFUSAL(POLICY), "%s is not in commands.verbs", name);
	return check_signers(context, command, result);
}

bool check_start(const struct check_context *context, unsigned verb,
		 struct check_result *ret_result)
{
	memset(ret_result, 0, sizeof(*ret_result));
	if (context->hold && verb != VERB(HALT))
		return check_refuse(ret_result, REFUSAL(HELD), "%s", context->hold);
	if (context->halted && !role_is_free_of_halt(verb))
		return check_refuse(ret_result, REFUSAL(HALTED), "%s", context->halted);
	if (context->audit_error && role_of_verb(verb) > ROLE_VIEWER && verb != VERB(HALT))
		return check_refuse(ret_result, REFUSAL(HELD), "the audit cannot be written: %s",
				    context->audit_error);
	return true;
}

static bool check_floor(const struct check_context *context, const Pathbell__V1__Command *command,
			struct check_result *result)
{
	if (check_issued_ms(command) > context->floor_ms || command->verb == VERB(HALT))
		return true;
	return check_refuse(
		result, REFUSAL(HELD),
		"it was issued before this host's command journal begins: it may have been "
		"executed already; issue it anew");
}

void check_command(const struct check_context *context, const Pathbell__V1__Command *command,
		   struct check_result *ret_result)
{
	struct check_result *result = ret_result;

	memset(result, 0, sizeof(*result));
	/* Not final: what these refuse is refused for ever anyway, or nothing could keep it. */
	if (!check_form(command, result) || !check_host(context, command, result) ||
	    !check_known(context, result))
		return;
	if (check_is_expired(command->expires_unix_ms, context->now_ms)) {
		check_window(context, command, result);
		return;
	}
	if (!check_window(context, command, result) || !check_verb(command, result) ||
	    !check_policy(context, command, result) ||
	    !check_start(context, command->verb, result) ||
	    !check_floor(context, command, result)) {
		result->final = true;
		return;
	}
	result->verdict = CHECK_ACCEPTED;
}

bool check_rate_take(struct check_rate *rate, uint64_t per_minute, uint64_t now_ns)
{
	if (!rate->last_ns)
		rate->tokens = (double)per_minute;
	else
		rate->tokens += (double)(now_ns - rate->last_ns) * (double)per_minute / 60e9;
	if (rate->tokens > (double)per_minute)
		rate->tokens = (double)per_minute;
	rate->last_ns = now_ns ? now_ns : 1;
	if (rate->tokens < 1)
		return false;
	rate->tokens -= 1;
	return true;
}
