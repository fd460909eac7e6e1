/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "core/id.h"
#include "ctl/command.h"
#include "ctl/envelope_file.h"
#include "ctl/registry.h"
#include "ctl/table.h"
#include "ctl/when.h"
#include "proto/kind.h"

#define COMMANDS_PAGE  100
#define COMMANDS_LIMIT 50
#define COMMANDS_WHOLE 0x2 /* COMMAND */

static const char *const commands_titles[] = { "SUBMITTED", "COMMAND", "VERB", "TARGET",
					       "HOSTS",	    "STATE",   "BY",   "REASON" };

/* clang-format off */
void command_show_transition(struct cli *cli, const char *host, const Pathbell__V1__CommandTransition *transition)
/* clang-format on */
{
	enum output_colour colour = output_life_colour(transition->life);
	struct buf line = { .max = 1 << 16 };
	char when[WHEN_TEXT_SIZE];
	int r;

	when_format(transition->unix_ns, cli->out.utc, when);
	r = buf_printf(&line, "%s ", when) ?: output_escape(&line, host, strlen(host));
	r = r
		    ?: buf_printf(&line, " %s%s%s", output_colour_on(&cli->out, colour),
				  command_life_name(transition->life),
				  output_colour_off(&cli->out, colour));
	if (r == 0 && transition->refusal)
		r = buf_printf(&line, " (%s)", command_refusal_name(transition->refusal));
	if (r == 0 && *transition->detail)
		r = buf_append(&line, ": ", 2)
			    ?: output_escape(&line, transition->detail, strlen(transition->detail));
	if (r == 0)
		output_raw_line(&cli->out, &line);
	buf_deinit(&line);
}

static void commands_id(const Pathbell__V1__CommandRecord *record, char ret_text[ID_TEXT_SIZE])
{
	snprintf(ret_text, ID_TEXT_SIZE, "?");
	if (record->command_id.len == ID_SIZE)
		id_format(record->command_id.data, ret_text);
}

static const char *commands_host_name(const Pathbell__V1__CommandRecord *record)
{
	return record->n_hosts ? record->hosts[0]->host_id : "-";
}

/* One host: its life. Several: how many succeeded, and whether all have ended. */
static void commands_state(const Pathbell__V1__CommandRecord *record, char *ret_text, size_t size)
{
	size_t succeeded = 0;

	for (size_t i = 0; i < record->n_hosts; i++)
		succeeded += record->hosts[i]->life ==
			     PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED;
	if (record->n_hosts == 1)
		snprintf(ret_text, size, "%s", command_life_name(record->hosts[0]->life));
	else
		snprintf(ret_text, size, "%zu/%zu SUCCEEDED%s", succeeded, record->n_hosts,
			 record->finished ? "" : ", running");
}

int command_show_record(struct cli *cli, const Pathbell__V1__CommandRecord *record)
{
	char id[ID_TEXT_SIZE];
	char submitted[WHEN_TEXT_SIZE];
	char expires[WHEN_TEXT_SIZE];

	if (cli->out.json)
		return output_message(&cli->out, &record->base) == 0 ? CLI_OK : CLI_FAILED;
	commands_id(record, id);
	when_format(record->submitted_unix_ns, cli->out.utc, submitted);
	when_format(record->expires_unix_ns, cli->out.utc, expires);
	output_line(&cli->out, "%-12s %s", "command", id);
	output_line(&cli->out, "%-12s %s%s%s", "verb", record->verb, *record->target ? " " : "",
		    record->target);
	output_line(&cli->out, "%-12s %s", "reason", record->reason);
	output_line(&cli->out, "%-12s %s, sent by %s", "issuer", record->issuer,
		    record->submitted_by);
	output_line(&cli->out, "%-12s %s, expires %s", "submitted", submitted, expires);
	output_line(&cli->out, "%-12s %s", "finished", record->finished ? "yes" : "no");
	for (size_t i = 0; i < record->n_hosts; i++) {
		const Pathbell__V1__CommandHostState *host = record->hosts[i];

		for (size_t j = 0; j < host->n_transitions; j++)
			command_show_transition(cli, host->host_id, host->transitions[j]);
		if (host->n_transitions == 0)
			output_line(&cli->out, "%s %s", host->host_id,
				    command_life_name(host->life));
	}
	return CLI_OK;
}

static void commands_row(struct cli *cli, struct table *table,
			 const Pathbell__V1__CommandRecord *record)
{
	char id[ID_TEXT_SIZE];
	char when[WHEN_TEXT_SIZE];
	char state[64];

	commands_id(record, id);
	when_format(record->submitted_unix_ns, cli->out.utc, when);
	commands_state(record, state, sizeof(state));
	table_cell(table, "%s", when);
	table_cell(table, "%s", id);
	table_cell(table, "%s", record->verb);
	table_cell(table, "%s", record->target);
	if (record->n_hosts > 1)
		table_cell(table, "%zu", record->n_hosts);
	else
		table_cell(table, "%s", commands_host_name(record));
	table_cell(table, "%s", state);
	table_cell(table, "%s", record->submitted_by);
	table_cell(table, "%s", record->reason);
}

static int commands_list(struct cli *cli, struct client *client, size_t limit, struct table *table)
{
	Pathbell__V1__ListCommandsRequest request = PATHBELL__V1__LIST_COMMANDS_REQUEST__INIT;
	char token[1024] = "";
	size_t shown = 0;
	int code;

	request.host_id = (char *)(cli_get(cli, "host") ?: "");
	do {
		Pathbell__V1__ListCommandsResponse *page = NULL;

		request.page_token = token;
		request.page_size =
			(uint32_t)(limit - shown < COMMANDS_PAGE ? limit - shown : COMMANDS_PAGE);
		code = client_call(client, "/pathbell.v1.Fleet/ListCommands", &request.base,
				   &pathbell__v1__list_commands_response__descriptor,
				   (void **)&page);
		if (code != CLI_OK)
			return code;
		for (size_t i = 0; i < page->n_commands && shown < limit; i++, shown++) {
			if (cli->out.json)
				output_message(&cli->out, &page->commands[i]->base);
			else
				commands_row(cli, table, page->commands[i]);
		}
		snprintf(token, sizeof(token), "%s", page->next_page_token);
		protobuf_c_message_free_unpacked(&page->base, NULL);
	} while (*token && shown < limit);
	return CLI_OK;
}

/* One line for each change. The stream begins with the unfinished ones. */
static void commands_follow_show(struct cli *cli, const Pathbell__V1__CommandRecord *record)
{
	char id[ID_TEXT_SIZE];
	const char *only = cli_get(cli, "host");

	commands_id(record, id);
	if (cli->out.json) {
		output_message(&cli->out, &record->base);
		return;
	}
	for (size_t i = 0; i < record->n_hosts; i++) {
		const Pathbell__V1__CommandHostState *host = record->hosts[i];
		char when[WHEN_TEXT_SIZE];

		if (only && strcmp(only, host->host_id) != 0)
			continue;
		when_format(host->changed_unix_ns, cli->out.utc, when);
		output_line(&cli->out, "%s %s %s %s %s%s%s", when, id, record->verb, host->host_id,
			    command_life_name(host->life), *host->detail ? ": " : "", host->detail);
	}
}

static int commands_follow(struct cli *cli, struct client *client)
{
	Pathbell__V1__WatchCommandsRequest request = PATHBELL__V1__WATCH_COMMANDS_REQUEST__INIT;
	Pathbell__V1__CommandRecord *record = NULL;
	struct client_stream *stream;
	int code = client_catch_interrupts(client);
	int r;

	if (code != CLI_OK)
		return code;
	stream = client_stream_open(client, "/pathbell.v1.Fleet/WatchCommands", &request.base,
				    &pathbell__v1__command_record__descriptor);
	if (!stream)
		return cli_fail(CLI_FAILED, "out of memory");
	while ((r = client_stream_next(stream, 0, (void **)&record)) == 0) {
		commands_follow_show(cli, record);
		protobuf_c_message_free_unpacked(&record->base, NULL);
	}
	if (r != CLIENT_E_INTERRUPTED)
		code = r == CLIENT_E_END ? client_stream_fail(stream) : CLI_FAILED;
	client_stream_close(stream);
	return code;
}

static int commands_run(struct cli *cli)
{
	struct request request;
	struct table table;
	size_t limit = 0;
	int code;

	if (!cli_get_number(cli, "limit", COMMANDS_LIMIT, 1, 100000, &limit))
		return CLI_USAGE;
	code = request_begin(cli, &request);
	table_init(&table, commands_titles, sizeof(commands_titles) / sizeof(commands_titles[0]));
	table.whole = COMMANDS_WHOLE;
	if (code == CLI_OK && cli_has(cli, "follow")) {
		code = commands_follow(cli, request.client);
	} else if (code == CLI_OK) {
		code = commands_list(cli, request.client, limit, &table);
		if (code == CLI_OK && !cli->out.json)
			table_print(&table, &cli->out);
	}
	table_deinit(&table);
	request_end(&request);
	return code;
}

/* A signed command or campaign that has not been sent. */
static int commands_show_file(struct cli *cli)
{
	struct envelope_file file = { 0 };
	int code;

	if (access(cli->operands[0], F_OK) != 0)
		return cli_fail(CLI_USAGE,
				"'%s' is neither a command id (a UUID, as pathbell commands lists "
				"them) nor a file of --envelope-out",
				cli->operands[0]);
	code = envelope_file_read(cli->operands[0], &file);
	if (code == CLI_OK)
		code = envelope_show(cli, &file);
	envelope_file_deinit(&file);
	return code;
}

static int commands_show_run(struct cli *cli)
{
	Pathbell__V1__GetCommandRequest get = PATHBELL__V1__GET_COMMAND_REQUEST__INIT;
	Pathbell__V1__CommandRecord *record = NULL;
	struct request request;
	uint8_t id[ID_SIZE];
	int code;

	if (!id_parse(cli->operands[0], id))
		return commands_show_file(cli);
	code = request_begin(cli, &request);
	get.command_id = (ProtobufCBinaryData){ ID_SIZE, id };
	if (code == CLI_OK)
		code = client_call(request.client, "/pathbell.v1.Fleet/GetCommand", &get.base,
				   &pathbell__v1__command_record__descriptor, (void **)&record);
	if (code == CLI_OK)
		code = command_show_record(cli, record);
	if (record)
		protobuf_c_message_free_unpacked(&record->base, NULL);
	request_end(&request);
	return code;
}

static const struct cli_option commands_options[] = {
	{ "host", "ID", "only commands for this host", 'H', false },
	{ "limit", "N", "the newest N (default 50)", 'n', false },
	{ "follow", NULL, "print changes as they come, until interrupted", 'f', false },
	{ NULL, NULL, NULL, 0, false },
};

const struct cli_command commands_command = {
	.path = "commands",
	.summary = "List commands, newest first",
	.operands = "",
	.options = commands_options,
	.run = commands_run,
};

const struct cli_command commands_show_command = {
	.path = "command show",
	.summary = "Show a command with its states on each host, or what a signed file holds",
	.operands = "ID|FILE",
	.min_operands = 1,
	.max_operands = 1,
	.run = commands_show_run,
};
