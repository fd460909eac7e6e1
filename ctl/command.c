/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/file.h"
#include "ctl/events.h"
#include "ctl/registry.h"
#include "proto/codec.h"
#include "proto/envelope.h"
#include "proto/kind.h"
#include "rpc/rpc.h"

#define COMMAND_MAX_ENVELOPE 131072 /* CommandDelivery.envelope */

/* A command from the command line to its last state: build, sign, then write to a file or submit
 * and wait. */

/* The operator's name in the certificate; NULL where it cannot be read. */
static const char *command_issuer(const struct settings *settings, struct rpc_spiffe *ret_id)
{
	struct rpc_certificate certificate;

	if (!settings->certificate_file ||
	    rpc_certificate_read(settings->certificate_file, &certificate, NULL) != 0 ||
	    !rpc_spiffe_parse(certificate.uri, ret_id))
		return NULL;
	return ret_id->name;
}

static int command_sign(const struct settings *settings, const struct command_plan *plan,
			struct buf *envelope)
{
	struct envelope_key *key = NULL;
	struct errmsg err = { 0 };
	int r;

	if (!settings->signing_key || !*settings->signing_key)
		return cli_fail(CLI_CONFIG, "no signing key: set signing_key in pathbell.yaml or "
					    "give --signing-key FILE; make "
					    "one with: pathbell key new FILE");
	r = envelope_key_load(settings->signing_key, &key, &err);
	if (r == 0)
		r = envelope_sign(key, &plan->command, envelope, &err);
	envelope_key_free(key);
	if (r == 0)
		return CLI_OK;
	return cli_fail_errmsg(r == -ENOENT   ? CLI_NOT_FOUND
			       : r == -EACCES ? CLI_PERMISSION
					      : CLI_FAILED,
			       &err);
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
			    "command %s written to %s; send it with: pathbell command submit %s",
			    id, path, path);
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

/* @command is what the envelope holds. */
static int command_send(struct cli *cli, const struct settings *settings,
			const Pathbell__V1__Command *command, const void *envelope, size_t size)
{
	struct command_wait wait = { .probe = command->verb ==
					      PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE };
	const Pathbell__V1__CommandTarget *target = command->target;
	struct client *client = NULL;
	char id[ID_TEXT_SIZE];
	int code = client_open(settings, &client);

	memcpy(wait.id, command->id.data, ID_SIZE);
	id_format(wait.id, id);
	if (target && *target->name)
		wait.device = target->name;
	if (target && *target->id)
		wait.subject = target->id;
	wait.timeout_ns = command_wait_ns(cli, settings, command->expires_unix_ms);
	if (code == CLI_OK && wait.probe)
		code = events_tail(client, &wait.after_id);
	if (code == CLI_OK)
		code = command_submit_envelope(cli, client, envelope, size);
	if (code == CLI_OK && !cli->out.json)
		output_line(&cli->out, "command %s: %s on %zu host%s", id,
			    command_verb_name(command->verb), command->n_host_ids,
			    command->n_host_ids == 1 ? "" : "s");
	if (code == CLI_OK && !cli_has(cli, "no-wait"))
		code = command_wait(cli, client, &wait);
	client_close(client);
	return code;
}

static int command_run(struct cli *cli, unsigned verb)
{
	const char *path = cli_get(cli, "envelope-out");
	struct buf envelope = { .max = COMMAND_MAX_ENVELOPE };
	struct command_plan plan;
	struct settings settings;
	struct rpc_spiffe operator_id;
	int code = settings_load(cli, &settings);

	if (code == CLI_OK)
		code = command_build(cli, verb, command_issuer(&settings, &operator_id),
				     clock_realtime_ns(), &plan);
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

static int command_probe_run(struct cli *cli)
{
	return command_run(cli, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE);
}

static int command_resync_run(struct cli *cli)
{
	return command_run(cli, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESYNC);
}

static int command_uplink_reconnect_run(struct cli *cli)
{
	return command_run(cli, PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_UPLINK_RECONNECT);
}

/* ---- command submit ---- */

static Pathbell__V1__Command *command_unpack(const void *data, size_t size, struct errmsg *err)
{
	Pathbell__V1__SignedCommand *signed_command =
		codec_unpack(&pathbell__v1__signed_command__descriptor, &scan_limits_request, NULL,
			     data, size, err);
	Pathbell__V1__Command *command;

	if (!signed_command)
		return NULL;
	command = codec_unpack(&pathbell__v1__command__descriptor, &scan_limits_request, NULL,
			       signed_command->command.data, signed_command->command.len, err);
	protobuf_c_message_free_unpacked(&signed_command->base, NULL);
	if (command && command->id.len != ID_SIZE) {
		errmsg_set(err, "the command has no id of 16 bytes");
		protobuf_c_message_free_unpacked(&command->base, NULL);
		return NULL;
	}
	return command;
}

static int command_submit_run(struct cli *cli)
{
	const char *path = cli->operands[0];
	Pathbell__V1__Command *command = NULL;
	struct settings settings = { 0 };
	struct errmsg err = { 0 };
	char *data = NULL;
	size_t size = 0;
	int code = CLI_OK;
	int r = file_read(path, COMMAND_MAX_ENVELOPE, &data, &size);

	if (r < 0)
		return cli_fail(r == -ENOENT ? CLI_NOT_FOUND : CLI_FAILED, "%s: %s", path,
				strerror(-r));
	command = command_unpack(data, size, &err);
	if (!command)
		code = cli_fail(CLI_FAILED, "%s: not a signed command: %s", path, err.text);
	if (code == CLI_OK)
		code = settings_load(cli, &settings);
	if (code == CLI_OK)
		code = command_send(cli, &settings, command, data, size);
	if (command)
		protobuf_c_message_free_unpacked(&command->base, NULL);
	settings_deinit(&settings);
	free(data);
	return code;
}

/* clang-format off */
#define COMMAND_OPTIONS \
	{ "signing-key", "FILE", "Ed25519 key that signs the command", 0, false }, \
	{ "reason", "TEXT", "why, for the journal and the audit; at most 512 bytes", 'r', false }, \
	{ "issuer", "NAME", "who asks (default: the name in the operator certificate)", 0, false }, \
	{ "expires", "DURATION", "a host that hears of it later refuses it (default 5m, at most 23h)", 0, false }, \
	{ "action-timeout", "DURATION", "longest time for the action on the host (default: the host's)", 0, false }, \
	{ "dry-run", NULL, "only say what would be done", 'N', false }, \
	{ "wait", NULL, "wait for the end and print the states (default)", 0, false }, \
	{ "no-wait", NULL, "return as soon as the aggregator has stored the command", 0, false }, \
	{ "envelope-out", "FILE", "write the signed command to FILE instead of sending it", 0, false }, \
	{ NULL, NULL, NULL, 0, false }
/* clang-format on */

static const struct cli_option command_probe_options[] = {
	{ "device", "NAME", "kernel name of the device: sda, dm-3, nvme0n1", 'D', false },
	{ "id", "SUBJECT_ID", "stable identity of the device: wwid:..., serial:..., dev:7:0", 0,
	  false },
	{ "read", NULL, "also read one sector with O_DIRECT", 0, false },
	COMMAND_OPTIONS,
};

static const struct cli_option command_resync_options[] = {
	{ "collector", "NAME", "only this collector; may be repeated (default: all)", 'C', false },
	COMMAND_OPTIONS,
};

static const struct cli_option command_uplink_reconnect_options[] = {
	{ "address", "HOST:PORT",
	  "which of the host's configured addresses (default: the next one)", 0, false },
	COMMAND_OPTIONS,
};

static const struct cli_option command_submit_options[] = {
	{ "wait", NULL, "wait for the end and print the states (default)", 0, false },
	{ "no-wait", NULL, "return as soon as the aggregator has stored the command", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

#define COMMAND_HELP \
	"Exit status 0 only when the command SUCCEEDED on every host; 6 when it ended otherwise."

const struct cli_command command_probe = {
	.path = "command probe",
	.summary = "Have hosts read the state of a device again and report it",
	.operands = "HOST...",
	.min_operands = 1,
	.max_operands = COMMAND_MAX_HOSTS,
	.options = command_probe_options,
	.help = COMMAND_HELP,
	.run = command_probe_run,
};

const struct cli_command command_resync = {
	.path = "command resync",
	.summary = "Have hosts publish a snapshot of what they watch",
	.operands = "HOST...",
	.min_operands = 1,
	.max_operands = COMMAND_MAX_HOSTS,
	.options = command_resync_options,
	.help = COMMAND_HELP,
	.run = command_resync_run,
};

const struct cli_command command_uplink_reconnect = {
	.path = "command uplink-reconnect",
	.summary = "Have hosts drain their connection and connect again",
	.operands = "HOST...",
	.min_operands = 1,
	.max_operands = COMMAND_MAX_HOSTS,
	.options = command_uplink_reconnect_options,
	.help = COMMAND_HELP,
	.run = command_uplink_reconnect_run,
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
