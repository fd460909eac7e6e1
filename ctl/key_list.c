/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "ctl/key_dir.h"
#include "ctl/local.h"
#include "ctl/registry.h"
#include "ctl/table.h"
#include "ctl/when.h"

static const char *const key_list_titles[] = { "NAME", "KEY ID", "ROLE", "STATE", "VERBS", "FILE" };

/* "valid", "REVOKED", "EXPIRED 2d ago", "ends in 30d" */
static void key_list_state(bool revoked, uint64_t not_after_ms, char *ret_text, size_t size)
{
	uint64_t now_ns = clock_realtime_ns();
	uint64_t end_ns = not_after_ms * CLOCK_NS_PER_MS;
	char age[WHEN_TEXT_SIZE];

	when_format_age(end_ns, now_ns, age);
	if (revoked)
		snprintf(ret_text, size, "REVOKED");
	else if (!not_after_ms)
		snprintf(ret_text, size, "valid");
	else
		snprintf(ret_text, size, "%s %s", end_ns <= now_ns ? "EXPIRED" : "valid, ends",
			 age);
}

static void key_list_row(struct table *table, const Pathbell__V1__LocalKey *key)
{
	char state[80];
	char verbs[1024] = "";
	size_t len = 0;

	key_list_state(key->revoked, key->not_after_unix_ms, state, sizeof(state));
	for (size_t i = 0; i < key->n_verbs && len < sizeof(verbs); i++)
		len += (size_t)snprintf(verbs + len, sizeof(verbs) - len, "%s%s", i ? " " : "",
					key->verbs[i]);
	table_cell(table, "%s", key->name);
	table_cell(table, "%s", key->key_id);
	table_cell(table, "%s", key->role);
	table_cell(table, "%s", state);
	table_cell(table, "%s", *verbs ? verbs : "all of the role");
	table_cell(table, "%s", *key->file ? key->file : "-");
}

static void key_list_show(struct cli *cli, Pathbell__V1__LocalKey *const *keys, size_t n)
{
	struct table table;

	table_init(&table, key_list_titles, sizeof(key_list_titles) / sizeof(key_list_titles[0]));
	for (size_t i = 0; i < n; i++) {
		if (cli->out.json)
			output_message(&cli->out, &keys[i]->base);
		else
			key_list_row(&table, keys[i]);
	}
	if (!cli->out.json)
		table_print(&table, &cli->out);
	table_deinit(&table);
}

/* What the agent of this host trusts. */
static int key_list_local(struct cli *cli)
{
	Pathbell__V1__LocalRequest request = PATHBELL__V1__LOCAL_REQUEST__INIT;
	Pathbell__V1__LocalKeysRequest keys = PATHBELL__V1__LOCAL_KEYS_REQUEST__INIT;
	Pathbell__V1__LocalResponse *response = NULL;
	int code;

	request.request_case = PATHBELL__V1__LOCAL_REQUEST__REQUEST_KEYS;
	request.keys = &keys;
	code = local_ask(cli, &request, PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_KEYS, &response);
	if (!response)
		return code;
	key_list_show(cli, response->keys->keys, response->keys->n_keys);
	if (*response->keys->error)
		code = cli_fail(CLI_FAILED, "the agent did not take everything over: %s",
				response->keys->error);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return code;
}

static void key_list_fill(Pathbell__V1__LocalKey *key, const struct key_entry *entry)
{
	pathbell__v1__local_key__init(key);
	key->name = (char *)entry->name;
	key->key_id = (char *)entry->key_id;
	key->role = (char *)entry->role;
	key->verbs = (char **)entry->verbs;
	key->n_verbs = entry->n_verbs;
	key->file = (char *)entry->file;
	key->revoked = entry->revoked;
	key->not_after_unix_ms = entry->not_after_unix_ms;
}

/* Revoked ids that no file of the folder trusts: they may be in pathbelld.yaml. */
static void key_list_revoked(struct cli *cli, const struct key_dir *dir)
{
	for (size_t i = 0; i < dir->n_revoked && !cli->out.json; i++) {
		bool shown = false;

		for (size_t j = 0; j < dir->n_entries; j++)
			shown |= strcmp(dir->entries[j].key_id, dir->revoked[i]) == 0;
		if (!shown)
			output_line(&cli->out, "also revoked: %s", dir->revoked[i]);
	}
}

static int key_list_entries(struct cli *cli, const struct key_dir *dir)
{
	Pathbell__V1__LocalKey *keys = calloc(dir->n_entries + 1, sizeof(*keys));
	Pathbell__V1__LocalKey **list = calloc(dir->n_entries + 1, sizeof(*list));

	if (!keys || !list) {
		free(keys);
		free(list);
		return cli_fail(CLI_FAILED, "out of memory");
	}
	for (size_t i = 0; i < dir->n_entries; i++) {
		key_list_fill(&keys[i], &dir->entries[i]);
		list[i] = &keys[i];
	}
	key_list_show(cli, list, dir->n_entries);
	free(keys);
	free(list);
	return CLI_OK;
}

static int key_list_dir(struct cli *cli, const char *path)
{
	struct key_dir dir;
	int code = key_dir_read(path, &dir);

	if (code == CLI_OK)
		code = key_list_entries(cli, &dir);
	if (code == CLI_OK)
		key_list_revoked(cli, &dir);
	if (code == CLI_OK && dir.n_bad)
		code = CLI_FAILED;
	key_dir_deinit(&dir);
	return code;
}

static int key_list_run(struct cli *cli)
{
	const char *path = cli_get(cli, "dir");

	return path ? key_list_dir(cli, path) : key_list_local(cli);
}

static const struct cli_option key_list_options[] = {
	{ "dir", "DIR", "the files of this folder, instead of asking the agent of this host", 'd',
	  false },
	{ "socket", "SOCKET", "the agent's control socket (default /run/pathbell/agent.sock)", 0,
	  false },
	{ NULL, NULL, NULL, 0, false },
};

const struct cli_command key_list_command = {
	.path = "key list",
	.summary = "Show whose commands this host executes",
	.operands = "",
	.options = key_list_options,
	.help = "Exit status 1 when a file could not be taken over.",
	.run = key_list_run,
};
