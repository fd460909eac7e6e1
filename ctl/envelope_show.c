/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/clock.h"
#include "core/id.h"
#include "ctl/campaign.h"
#include "ctl/command.h"
#include "ctl/envelope_file.h"
#include "ctl/when.h"
#include "proto/json.h"
#include "proto/kind.h"

/* A second signer answers for what he signs: nothing of the command is left out. */

#define SHOW_LABEL  "%-14s "
#define SHOW_COLUMN 76 /* hosts are folded there */

static void show_hosts(struct cli *cli, const Pathbell__V1__Command *command)
{
	struct buf line = { .max = 1 << 16 };
	char label[32];

	snprintf(label, sizeof(label), "hosts (%zu)", command->n_host_ids);
	for (size_t i = 0; i < command->n_host_ids; i++) {
		const char *host = command->host_ids[i];

		if (line.size && line.size + strlen(host) > SHOW_COLUMN) {
			output_line(&cli->out, SHOW_LABEL "%.*s", label, (int)line.size,
				    (char *)line.data);
			buf_reset(&line);
			label[0] = '\0';
		}
		if (buf_printf(&line, "%s%s", line.size ? " " : "", host) != 0)
			break;
	}
	if (line.size)
		output_line(&cli->out, SHOW_LABEL "%.*s", label, (int)line.size, (char *)line.data);
	buf_deinit(&line);
}

static void show_time(struct cli *cli, const Pathbell__V1__Command *command)
{
	char from[WHEN_TEXT_SIZE];
	char until[WHEN_TEXT_SIZE];
	char age[WHEN_TEXT_SIZE];
	uint64_t until_ns = command->expires_unix_ms * CLOCK_NS_PER_MS;
	uint64_t now_ns = clock_realtime_ns();

	when_format(command->not_before_unix_ms * CLOCK_NS_PER_MS, cli->out.utc, from);
	when_format(until_ns, cli->out.utc, until);
	when_format_age(until_ns, now_ns, age);
	output_line(&cli->out, SHOW_LABEL "from %s until %s (%s%s)", "valid", from, until,
		    until_ns <= now_ns ? "EXPIRED " : "", age);
	if (command->timeout_ms)
		output_line(&cli->out, SHOW_LABEL "%.3g s for the action", "timeout",
			    command->timeout_ms / 1000.0);
}

/* The verb's own arguments: few enough to be shown as the schema names them. */
static void show_args(struct cli *cli, const Pathbell__V1__Command *command)
{
	const ProtobufCMessage *args = NULL;
	struct json_object *object;

	if (command->args_case != PATHBELL__V1__COMMAND__ARGS__NOT_SET)
		args = &command->probe->base; /* any member of the union: all are messages */
	object = args ? json_from_message(args) : NULL;
	if (!object)
		return;
	json_object_object_del(object, "target"); /* shown, and the same */
	if (json_object_object_length(object) > 0)
		output_line(
			&cli->out, SHOW_LABEL "%s", "arguments",
			json_object_to_json_string_ext(object, JSON_C_TO_STRING_NOSLASHESCAPE |
								       JSON_C_TO_STRING_SPACED));
	json_object_put(object);
}

static void show_campaign(struct cli *cli, const Pathbell__V1__CommandCampaign *campaign)
{
	char id[ID_TEXT_SIZE] = "?";

	if (!campaign)
		return;
	if (campaign->id.len == ID_SIZE)
		id_format(campaign->id.data, id);
	output_line(&cli->out, SHOW_LABEL "%s%s%s", "campaign", id, *campaign->name ? " " : "",
		    campaign->name);
	campaign_show_policy(cli, campaign);
}

static void show_signatures(struct cli *cli, const Pathbell__V1__SignedCommand *envelope)
{
	for (size_t i = 0; i < envelope->n_signatures; i++)
		output_line(&cli->out, SHOW_LABEL "%s", i ? "" : "signed by",
			    envelope->signatures[i]->key_id);
}

static void show_command(struct cli *cli, const struct envelope_item *item)
{
	const Pathbell__V1__Command *command = item->command;
	char id[ID_TEXT_SIZE];
	char target[1024];

	id_format(command->id.data, id);
	command_target_text(command->target, target, sizeof(target));
	output_line(&cli->out, SHOW_LABEL "%s", "command", id);
	output_line(&cli->out, SHOW_LABEL "%s%s", "verb", command_verb_name(command->verb),
		    command->dry_run ? " (dry run: nothing is changed)" : "");
	output_line(&cli->out, SHOW_LABEL "%s", "target", *target ? target : "-");
	show_args(cli, command);
	if (command->override_last_path)
		output_line(&cli->out, SHOW_LABEL "YES: the target may lose its last usable path",
			    "last path");
	show_hosts(cli, command);
	output_line(&cli->out, SHOW_LABEL "%s", "reason", command->reason);
	output_line(&cli->out, SHOW_LABEL "%s", "issuer", command->issuer);
	show_time(cli, command);
	show_campaign(cli, command->campaign);
	show_signatures(cli, item->envelope);
}

static int show_json(struct cli *cli, const struct envelope_item *item)
{
	struct json_object *object = json_object_new_object();
	struct json_object *ids = json_object_new_array();

	if (!object || !ids) {
		json_object_put(object);
		json_object_put(ids);
		return cli_fail(CLI_FAILED, "out of memory");
	}
	for (size_t i = 0; i < item->envelope->n_signatures; i++)
		json_object_array_add(
			ids, json_object_new_string(item->envelope->signatures[i]->key_id));
	json_object_object_add(object, "command", json_from_message(&item->command->base));
	json_object_object_add(object, "key_ids", ids);
	return output_json(&cli->out, object) == 0 ? CLI_OK : CLI_FAILED;
}

int envelope_show(struct cli *cli, const struct envelope_file *file)
{
	int code = CLI_OK;

	for (size_t i = 0; code == CLI_OK && i < file->n; i++) {
		if (cli->out.json)
			code = show_json(cli, &file->items[i]);
		else
			show_command(cli, &file->items[i]);
		if (!cli->out.json && i + 1 < file->n)
			output_line(&cli->out, "%s", "");
	}
	if (code == CLI_OK && !cli->out.json && file->n > 1)
		output_line(&cli->out, "%zu commands for %zu hosts", file->n,
			    envelope_file_n_hosts(file));
	return code;
}
