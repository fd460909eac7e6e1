/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/errmsg.h"
#include "core/id.h"
#include "ctl/command.h"
#include "ctl/confirm.h"
#include "ctl/envelope_file.h"
#include "ctl/registry.h"
#include "proto/envelope.h"

/*
 * The second signature: show everything, ask, sign the same bytes. What this program cannot show
 * (fields of a newer schema) it does not sign.
 */

static bool sign_is_known(const ProtobufCMessage *message)
{
	return !message || message->n_unknown_fields == 0;
}

static int sign_check(const char *path, const Pathbell__V1__Command *command)
{
	const ProtobufCMessage *args = NULL;

	if (command->args_case != PATHBELL__V1__COMMAND__ARGS__NOT_SET)
		args = &command->probe->base; /* any member of the union: all are messages */
	if (sign_is_known(&command->base) && sign_is_known(args) &&
	    sign_is_known(command->target ? &command->target->base : NULL) &&
	    sign_is_known(command->campaign ? &command->campaign->base : NULL))
		return CLI_OK;
	return cli_fail(CLI_FAILED,
			"%s: the command has fields that this program does not know and cannot "
			"show; it was made by a newer one: sign with that",
			path);
}

static int sign_item(struct envelope_file *file, size_t index, const struct envelope_key *key)
{
	struct envelope_item *item = &file->items[index];
	struct buf out = { .max = 1 << 20 };
	struct errmsg err = { 0 };
	int code = CLI_OK;

	if (envelope_cosign(key, item->data, item->size, &out, &err) != 0)
		code = cli_fail_errmsg(CLI_FAILED, &err);
	else
		code = envelope_file_set(file, index, &out);
	buf_deinit(&out);
	return code;
}

static int sign_all(struct cli *cli, struct envelope_file *file, const struct envelope_key *key)
{
	const char *path = cli->operands[0];
	const char *out = cli_get(cli, "envelope-out") ?: path;
	uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE];
	char id[ENVELOPE_KEY_ID_SIZE];
	int code = CLI_OK;

	for (size_t i = 0; code == CLI_OK && i < file->n; i++)
		code = sign_item(file, i, key);
	if (code == CLI_OK)
		code = envelope_file_write(file, out);
	if (code != CLI_OK || cli->out.json)
		return code;
	envelope_key_public(key, public_key);
	envelope_key_id(public_key, id);
	output_line(&cli->out,
		    "signed by %s and written to %s; send it with: pathbell %s submit %s", id, out,
		    file->campaign ? "campaign" : "command", out);
	return CLI_OK;
}

static int sign_ask(struct cli *cli, const struct envelope_file *file)
{
	char question[160];

	snprintf(question, sizeof(question), "Your signature will stand under %s for %zu host%s.",
		 file->campaign ? "this campaign" : "this command", envelope_file_n_hosts(file),
		 envelope_file_n_hosts(file) == 1 ? "" : "s");
	return confirm(cli, question, "yes");
}

static int command_sign_run(struct cli *cli)
{
	struct envelope_file file = { 0 };
	struct envelope_key *key = NULL;
	struct settings settings;
	int code = settings_load(cli, &settings);

	if (code == CLI_OK)
		code = command_signing_key(&settings, &key);
	if (code == CLI_OK)
		code = envelope_file_read(cli->operands[0], &file);
	for (size_t i = 0; code == CLI_OK && i < file.n; i++)
		code = sign_check(cli->operands[0], file.items[i].command);
	if (code == CLI_OK)
		code = envelope_show(cli, &file);
	if (code == CLI_OK)
		code = sign_ask(cli, &file);
	if (code == CLI_OK)
		code = sign_all(cli, &file, key);
	envelope_file_deinit(&file);
	envelope_key_free(key);
	settings_deinit(&settings);
	return code;
}

/* ---- command cancel ---- */

static int command_cancel_call(struct cli *cli, struct client *client, uint8_t id[ID_SIZE])
{
	Pathbell__V1__CancelCommandRequest request = PATHBELL__V1__CANCEL_COMMAND_REQUEST__INIT;
	Pathbell__V1__CancelCommandResponse *response = NULL;
	int code;

	request.command_id = (ProtobufCBinaryData){ ID_SIZE, id };
	request.reason = (char *)(cli_get(cli, "reason") ?: "");
	code = client_call(client, "/pathbell.v1.Fleet/CancelCommand", &request.base,
			   &pathbell__v1__cancel_command_response__descriptor, (void **)&response);
	if (code != CLI_OK)
		return code;
	if (cli->out.json)
		code = output_message(&cli->out, &response->base) == 0 ? CLI_OK : CLI_FAILED;
	else
		output_line(&cli->out, "cancelled on %u host%s, too late for %u",
			    response->cancelled, response->cancelled == 1 ? "" : "s",
			    response->too_late);
	if (code == CLI_OK && response->too_late)
		code = CLI_UNSUCCESSFUL;
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return code;
}

static int command_cancel_run(struct cli *cli)
{
	const char *reason = cli_get(cli, "reason");
	struct request request;
	uint8_t id[ID_SIZE];
	int code;

	if (!id_parse(cli->operands[0], id))
		return cli_fail(CLI_USAGE, "'%s' is not a command id (a UUID)", cli->operands[0]);
	if (reason && strlen(reason) > COMMAND_MAX_REASON)
		return cli_fail(CLI_USAGE, "--reason is longer than %d bytes", COMMAND_MAX_REASON);
	code = request_begin(cli, &request);
	if (code == CLI_OK)
		code = command_cancel_call(cli, request.client, id);
	request_end(&request);
	return code;
}

static const struct cli_option command_sign_options[] = {
	{ "signing-key", "FILE", "Ed25519 key that signs", 0, false },
	{ "envelope-out", "FILE", "write the result there (default: to FILE itself)", 0, false },
	{ "yes", NULL, "do not ask", 'y', false },
	{ NULL, NULL, NULL, 0, false },
};

static const struct cli_option command_cancel_options[] = {
	{ "reason", "TEXT", "why, for the audit; at most 512 bytes", 'r', false },
	{ NULL, NULL, NULL, 0, false },
};

const struct cli_command command_sign_command = {
	.path = "command sign",
	.summary = "Add your signature to a command or campaign that is in a file",
	.operands = "FILE",
	.min_operands = 1,
	.max_operands = 1,
	.options = command_sign_options,
	.help = "Shows everything that is being signed and asks. FILE comes of --envelope-out.",
	.run = command_sign_run,
};

const struct cli_command command_cancel_command = {
	.path = "command cancel",
	.summary = "Withdraw a command from the hosts that have not received it",
	.operands = "ID",
	.min_operands = 1,
	.max_operands = 1,
	.options = command_cancel_options,
	.help = "Exit status 6 where it was too late for a host.",
	.run = command_cancel_run,
};
