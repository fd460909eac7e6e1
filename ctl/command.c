/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/file.h"
#include "ctl/bundle.h"
#include "ctl/confirm.h"
#include "ctl/envelope_file.h"
#include "ctl/events.h"
#include "ctl/registry.h"
#include "ctl/verb.h"
#include "proto/envelope.h"
#include "proto/kind.h"
#include "rpc/rpc.h"

#define COMMAND_MAX_ENVELOPE 131072 /* CommandDelivery.envelope */

/* A command from the command line to its last state: build, sign, then write to a file or submit
 * and wait. */

const char *command_issuer(const struct settings *settings, struct rpc_spiffe *ret_id)
{
	struct rpc_certificate certificate;

	if (!settings->certificate_file ||
	    rpc_certificate_read(settings->certificate_file, &certificate, NULL) != 0 ||
	    !rpc_spiffe_parse(certificate.uri, ret_id))
		return NULL;
	return ret_id->name;
}

int command_signing_key(const struct settings *settings, struct envelope_key **ret_key)
{
	struct errmsg err = { 0 };
	int r;

	if (!settings->signing_key || !*settings->signing_key)
		return cli_fail(CLI_CONFIG, "no signing key: set signing_key in pathbell.yaml or "
					    "give --signing-key FILE; make "
					    "one with: pathbell key new FILE");
	r = envelope_key_load(settings->signing_key, ret_key, &err);
	if (r == 0)
		return CLI_OK;
	return cli_fail_errmsg(r == -ENOENT   ? CLI_NOT_FOUND
			       : r == -EACCES ? CLI_PERMISSION
					      : CLI_FAILED,
			       &err);
}

static int command_sign(const struct settings *settings, const struct command_plan *plan,
			struct buf *envelope)
{
	struct envelope_key *key = NULL;
	struct errmsg err = { 0 };
	int code = command_signing_key(settings, &key);

	if (code == CLI_OK && envelope_sign(key, &plan->command, envelope, &err) != 0)
		code = cli_fail_errmsg(CLI_FAILED, &err);
	envelope_key_free(key);
	return code;
}

static int command_write(struct cli *cli, const struct command_plan *plan,
			 const struct buf *envelope, const char *path)
{
	char id[ID_TEXT_SIZE];
	int r = file_replace(path, envelope->data, envelope->size, 0644);

	id_format(plan->id, id);
	if (r < 0)
		return cli_fail(CLI_FAILED, "%s: %s", path, strerror(-r));
	if (!cli->out.json)
		output_line(&cli->out,
			    "command %s written to %s; a second signer: pathbell command sign %s; "
			    "send it with: pathbell command submit %s",
			    id, path, path, path);
	return CLI_OK;
}

/* The whole wait: --timeout where it was given, else until the command expires and the host had
 * time to say so. */
static uint64_t command_wait_ns(const struct cli *cli, const struct settings *settings,
				uint64_t expires_unix_ms)
{
	uint64_t now_ms = clock_realtime_ns() / CLOCK_NS_PER_MS;
	uint64_t left_ms = expires_unix_ms > now_ms ? expires_unix_ms - now_ms : 0;

	if (cli_has(cli, "timeout"))
		return settings->timeout_ns;
	return (left_ms + 15000) * CLOCK_NS_PER_MS;
}

static int command_submit_envelope(struct cli *cli, struct client *client, const void *envelope,
				   size_t size)
{
	Pathbell__V1__SubmitCommandRequest request = PATHBELL__V1__SUBMIT_COMMAND_REQUEST__INIT;
	Pathbell__V1__SubmitCommandResponse *response = NULL;
	int code;

	request.envelope = (ProtobufCBinaryData){ size, (uint8_t *)envelope };
	code = client_call(client, "/pathbell.v1.Fleet/SubmitCommand", &request.base,
			   &pathbell__v1__submit_command_response__descriptor, (void **)&response);
	if (code != CLI_OK)
		return code;
	if (cli_has(cli, "no-wait") && response->command && cli->out.json)
		code = output_message(&cli->out, &response->command->base) == 0 ? CLI_OK
										: CLI_FAILED;
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return code;
}

static void command_wait_for(const struct cli *cli, const struct settings *settings,
			     const Pathbell__V1__Command *command, struct command_wait *ret_wait)
{
	const Pathbell__V1__CommandTarget *target = command->target;

	*ret_wait = (struct command_wait){
		.probe = command->verb == PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE,
		.quiet = bundle_takes_output(cli, command),
	};
	memcpy(ret_wait->id, command->id.data, ID_SIZE);
	if (target && *target->name)
		ret_wait->device = target->name;
	if (target && *target->id)
		ret_wait->subject = target->id;
	ret_wait->timeout_ns = command_wait_ns(cli, settings, command->expires_unix_ms);
}

static int command_wait_and_show(struct cli *cli, struct client *client,
				 const Pathbell__V1__Command *command, struct command_wait *wait)
{
	int code = command_wait(cli, client, wait);
	int shown = CLI_OK;

	if (command->verb == PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_DIAG && !command->dry_run &&
	    (code == CLI_OK || code == CLI_UNSUCCESSFUL))
		shown = bundle_fetch(cli, client, command, wait->after_id);
	return code == CLI_OK ? shown : code;
}

int command_send(struct cli *cli, const struct settings *settings,
		 const Pathbell__V1__Command *command, const void *envelope, size_t size)
{
	struct command_wait wait;
	struct client *client = NULL;
	char id[ID_TEXT_SIZE];
	int code = client_open(settings, &client);

	command_wait_for(cli, settings, command, &wait);
	id_format(wait.id, id);
	if (code == CLI_OK)
		code = events_tail(client, &wait.after_id);
	if (code == CLI_OK)
		code = command_submit_envelope(cli, client, envelope, size);
	if (code == CLI_OK && !cli->out.json && !wait.quiet)
		output_line(&cli->out, "command %s: %s on %zu host%s", id,
			    command_verb_name(command->verb), command->n_host_ids,
			    command->n_host_ids == 1 ? "" : "s");
	if (code == CLI_OK && !cli_has(cli, "no-wait"))
		code = command_wait_and_show(cli, client, command, &wait);
	client_close(client);
	return code;
}

/* What cannot be taken back is asked about before it is signed. */
static int command_confirm(const struct cli *cli, const struct command_plan *plan)
{
	char target[1024];
	char question[1280];

	if (!plan->command.override_last_path || plan->command.dry_run)
		return CLI_OK;
	command_target_text(plan->command.target, target, sizeof(target));
	snprintf(question, sizeof(question),
		 "%s of %s may take the last usable path from %zu host%s, and the data with it.",
		 command_verb_name(plan->command.verb), target, plan->command.n_host_ids,
		 plan->command.n_host_ids == 1 ? "" : "s");
	return confirm(cli, question, "yes");
}

int command_verb_run(struct cli *cli)
{
	const struct verb *verb = cli->command->data;
	const char *path = cli_get(cli, "envelope-out");
	struct buf envelope = { .max = COMMAND_MAX_ENVELOPE };
	struct command_plan plan;
	struct settings settings;
	struct rpc_spiffe operator_id;
	int code = settings_load(cli, &settings);

	if (code == CLI_OK)
		code = command_build(cli, verb->number, command_issuer(&settings, &operator_id),
				     clock_realtime_ns(), &plan);
	if (code == CLI_OK)
		code = command_confirm(cli, &plan);
	if (code == CLI_OK)
		code = command_sign(&settings, &plan, &envelope);
	if (code == CLI_OK && path)
		code = command_write(cli, &plan, &envelope, path);
	else if (code == CLI_OK)
		code = command_send(cli, &settings, &plan.command, envelope.data, envelope.size);
	buf_deinit(&envelope);
	settings_deinit(&settings);
	return code;
}

/* ---- command submit ---- */

static int command_submit_run(struct cli *cli)
{
	const char *path = cli->operands[0];
	struct envelope_file file = { 0 };
	struct settings settings = { 0 };
	int code = envelope_file_read(path, &file);

	if (code == CLI_OK && file.campaign)
		code = cli_fail(CLI_USAGE, "%s holds a campaign: pathbell campaign submit %s", path,
				path);
	if (code == CLI_OK)
		code = settings_load(cli, &settings);
	if (code == CLI_OK)
		code = command_send(cli, &settings, file.items[0].command, file.items[0].data,
				    file.items[0].size);
	envelope_file_deinit(&file);
	settings_deinit(&settings);
	return code;
}

/* clang-format off */
const struct cli_option command_options[] = {
	{ "signing-key", "FILE", "Ed25519 key that signs the command", 0, false },
	{ "reason", "TEXT", "why, for the journal and the audit; at most 512 bytes", 'r', false },
	{ "issuer", "NAME", "who asks (default: the name in the operator certificate)", 0, false },
	{ "expires", "DURATION", "a host that hears of it later refuses it (default 5m, of a campaign 1h; at most 23h)", 0, false },
	{ "action-timeout", "DURATION", "longest time for the action on the host (default: the host's)", 0, false },
	{ "dry-run", NULL, "only say what would be done", 'N', false },
	{ "yes", NULL, "do not ask", 'y', false },
	{ "wait", NULL, "wait for the end and print the states (default)", 0, false },
	{ "no-wait", NULL, "return as soon as the aggregator has stored it", 0, false },
	{ "envelope-out", "FILE", "write what was signed to FILE instead of sending it", 0, false },
	{ NULL, NULL, NULL, 0, false },
};
/* clang-format on */

static const struct cli_option command_submit_options[] = {
	{ "wait", NULL, "wait for the end and print the states (default)", 0, false },
	{ "no-wait", NULL, "return as soon as the aggregator has stored the command", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

const struct cli_command command_submit = {
	.path = "command submit",
	.summary = "Send a command that was signed elsewhere (--envelope-out)",
	.operands = "FILE",
	.min_operands = 1,
	.max_operands = 1,
	.options = command_submit_options,
	.help = COMMAND_HELP,
	.run = command_submit_run,
};
