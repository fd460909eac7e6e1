/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/file.h"
#include "ctl/key_dir.h"
#include "ctl/registry.h"
#include "ctl/verb.h"
#include "ctl/when.h"
#include "proto/kind.h"

/*
 * Files for the agent's folder of keys. Each is written whole or not at all (file_replace), with
 * mode 0644: there is nothing secret in them, and whoever may write to the folder may command the
 * host.
 */
#define AUTHORIZE_MODE 0644

static const char *authorize_dir(const struct cli *cli)
{
	return cli_get(cli, "dir") ?: KEY_DIR_DEFAULT;
}

/* A file name: nothing that leaves the folder or hides there. */
static bool authorize_is_file_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= 64 && name[0] != '.' &&
	       strspn(name,
		      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@+") == len;
}

/* nvme.reset or, as the command line says it, nvme-reset. */
static const char *authorize_verb(const char *text)
{
	unsigned number = command_verb_from_name(text);

	for (size_t i = 0; i < VERB_COUNT && !number; i++) {
		if (strcmp(verbs[i].word, text) == 0)
			number = verbs[i].number;
	}
	return number ? command_verb_name(number) : NULL;
}

static int authorize_verbs(const struct cli *cli, struct key_entry *entry)
{
	const char *values[KEY_DIR_MAX_VERBS];
	size_t n = cli_get_all(cli, "verbs", values, KEY_DIR_MAX_VERBS);
	char list[1024];

	for (size_t i = 0; i < n && i < KEY_DIR_MAX_VERBS; i++) {
		char *at = NULL;

		snprintf(list, sizeof(list), "%s", values[i]);
		for (char *word = strtok_r(list, ", ", &at); word;
		     word = strtok_r(NULL, ", ", &at)) {
			const char *verb = authorize_verb(word);

			if (!verb)
				return cli_fail(CLI_USAGE, "--verbs: there is no verb '%s'", word);
			if (entry->n_verbs == KEY_DIR_MAX_VERBS)
				return cli_fail(CLI_USAGE, "--verbs: more than %d",
						KEY_DIR_MAX_VERBS);
			entry->verbs[entry->n_verbs++] = verb;
		}
	}
	if (n && !entry->n_verbs)
		return cli_fail(CLI_USAGE, "--verbs: none is named");
	return CLI_OK;
}

static int authorize_role(const struct cli *cli, struct key_entry *entry)
{
	static const char *const roles[] = { "viewer", "operator", "admin" };
	const char *role = cli_get(cli, "role") ?: "";

	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		if (strcmp(role, roles[i]) == 0)
			entry->role = roles[i];
	}
	return entry->role ? CLI_OK : cli_fail(CLI_USAGE, "give --role viewer, operator or admin");
}

static int authorize_end(const struct cli *cli, struct key_entry *entry)
{
	const char *text = cli_get(cli, "not-after");
	uint64_t now_ns = clock_realtime_ns();
	struct errmsg err = { 0 };
	uint64_t ns = 0;

	if (!text)
		return CLI_OK;
	if (when_parse(text, now_ns, &ns, &err) != 0)
		return cli_fail(CLI_USAGE, "--not-after: %s", err.text);
	if (ns <= now_ns)
		return cli_fail(CLI_USAGE, "--not-after: '%s' is not in the future", text);
	entry->not_after_unix_ms = ns / CLOCK_NS_PER_S * 1000;
	return CLI_OK;
}

static int authorize_name(const struct cli *cli, struct key_entry *entry)
{
	const char *given = cli_get(cli, "name");

	if (given)
		snprintf(entry->name, sizeof(entry->name), "%s", given);
	else if (!strchr(cli->operands[0], '=')) /* base64 of 32 bytes ends so */
		key_name_of(cli->operands[0], entry->name, sizeof(entry->name));
	if (given && strlen(given) >= sizeof(entry->name))
		return cli_fail(CLI_USAGE, "--name is longer than 64 bytes");
	if (!authorize_is_file_name(entry->name))
		return cli_fail(CLI_USAGE, "give --name NAME: letters, digits and ._-@+, not more "
					   "than 64; it names the file too");
	snprintf(entry->file, sizeof(entry->file), "%s.yaml", entry->name);
	return CLI_OK;
}

/* Nothing is trusted twice, or again after it was revoked. */
static int authorize_check(const struct cli *cli, const char *path, const struct key_entry *entry)
{
	struct key_dir dir;
	int code = key_dir_read(path, &dir);

	if (code == CLI_OK && key_dir_is_revoked(&dir, entry->key_id))
		code = cli_fail(CLI_FAILED, "%s is revoked in %s; make a new key", entry->key_id,
				path);
	for (size_t i = 0; code == CLI_OK && i < dir.n_entries; i++) {
		bool same_file = strcmp(dir.entries[i].file, entry->file) == 0;
		bool same_key = strcmp(dir.entries[i].key_id, entry->key_id) == 0;

		if (same_key && !same_file)
			code = cli_fail(CLI_FAILED, "%s/%s has this key already", path,
					dir.entries[i].file);
		else if (same_file && !cli_has(cli, "force"))
			code = cli_fail(CLI_FAILED, "%s/%s exists (key %s); --force replaces it",
					path, entry->file, dir.entries[i].key_id);
	}
	key_dir_deinit(&dir);
	return code;
}

static int authorize_write(const char *dir, const char *file, const struct buf *text)
{
	char path[4096];
	int r = file_mkdirs(dir, 0755);

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	if (r == 0)
		r = file_replace(path, text->data, text->size, AUTHORIZE_MODE);
	if (r == 0)
		return CLI_OK;
	return cli_fail(r == -EACCES || r == -EPERM ? CLI_PERMISSION : CLI_FAILED, "%s: %s", path,
			strerror(-r));
}

static int key_authorize_run(struct cli *cli)
{
	const char *dir = authorize_dir(cli);
	struct key_entry entry = { 0 };
	struct buf text = { .max = KEY_DIR_MAX_FILE };
	int code = authorize_role(cli, &entry);

	if (code == CLI_OK)
		code = authorize_name(cli, &entry);
	if (code == CLI_OK)
		code = authorize_verbs(cli, &entry);
	if (code == CLI_OK)
		code = authorize_end(cli, &entry);
	if (code == CLI_OK)
		code = key_public(cli->operands[0], entry.public_key);
	if (code != CLI_OK)
		return code;
	envelope_key_id(entry.public_key, entry.key_id);
	code = authorize_check(cli, dir, &entry);
	if (code == CLI_OK && key_entry_print(&entry, &text) != 0)
		code = cli_fail(CLI_FAILED, "out of memory");
	if (code == CLI_OK)
		code = authorize_write(dir, entry.file, &text);
	buf_deinit(&text);
	if (code == CLI_OK && !cli->out.json)
		output_line(&cli->out, "%s is trusted as %s (%s) by %s/%s", entry.key_id,
			    entry.name, entry.role, dir, entry.file);
	return code;
}

/* ---- revoke ---- */

/* A key id, or anything that holds the public half: also a drop-in of `key authorize`. */
static int revoke_id(const char *text, char ret_id[ENVELOPE_KEY_ID_SIZE])
{
	uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE];
	struct key_entry entry;
	struct errmsg err = { 0 };
	char *yaml = NULL;
	size_t size = 0;
	int code = CLI_OK;

	if (key_id_is_valid(text)) {
		snprintf(ret_id, ENVELOPE_KEY_ID_SIZE, "%s", text);
		return CLI_OK;
	}
	if (strncmp(text, "ed25519:", 8) == 0)
		return cli_fail(CLI_USAGE, "'%s' is not ed25519: and 16 hexadecimal digits", text);
	if (file_read(text, KEY_DIR_MAX_FILE, &yaml, &size) == 0 &&
	    key_entry_parse(text, yaml, &entry, &err) == 0)
		memcpy(ret_id, entry.key_id, ENVELOPE_KEY_ID_SIZE);
	else if ((code = key_public(text, public_key)) == CLI_OK)
		envelope_key_id(public_key, ret_id);
	free(yaml);
	return code;
}

/* The reason is a comment: one line, whatever it holds. */
static int revoke_print(const struct cli *cli, const char *id, struct buf *out)
{
	const char *reason = cli_get(cli, "reason") ?: "no reason given";
	char when[WHEN_TEXT_SIZE];

	when_format(clock_realtime_ns(), true, when);
	return buf_printf(out, "# revoked %s: ", when)
		       ?: output_escape(out, reason, strlen(reason))
		       ?: buf_printf(out, "\n%s\n", id);
}

static int key_revoke_run(struct cli *cli)
{
	const char *dir = authorize_dir(cli);
	struct buf text = { .max = KEY_DIR_MAX_FILE };
	char id[ENVELOPE_KEY_ID_SIZE];
	char file[64];
	struct key_dir known = { 0 };
	int code = revoke_id(cli->operands[0], id);

	if (code == CLI_OK)
		code = key_dir_read(dir, &known);
	if (code == CLI_OK && key_dir_is_revoked(&known, id)) {
		output_line(&cli->out, "%s is revoked already", id);
		key_dir_deinit(&known);
		return CLI_OK;
	}
	key_dir_deinit(&known);
	if (code == CLI_OK && revoke_print(cli, id, &text) != 0)
		code = cli_fail(CLI_FAILED, "out of memory");
	snprintf(file, sizeof(file), "%s.revoked", code == CLI_OK ? id + 8 : "");
	if (code == CLI_OK)
		code = authorize_write(dir, file, &text);
	buf_deinit(&text);
	if (code == CLI_OK && !cli->out.json)
		output_line(&cli->out, "%s is revoked by %s/%s; the file belongs on every host", id,
			    dir, file);
	return code;
}

static const struct cli_option key_authorize_options[] = {
	{ "role", "ROLE", "viewer, operator or admin", 0, false },
	{ "name", "NAME", "whose key it is (default: of the file's name)", 0, false },
	{ "verbs", "LIST", "of what the role may ask for, only these; commas between", 0, false },
	{ "not-after", "TIME", "the key counts until then", 0, false },
	{ "dir", "DIR", "folder to write to (default /etc/pathbell/keys.d)", 'd', false },
	{ "force", NULL, "replace a file of that name", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

static const struct cli_option key_revoke_options[] = {
	{ "reason", "TEXT", "why, as a comment in the file", 'r', false },
	{ "dir", "DIR", "folder to write to (default /etc/pathbell/keys.d)", 'd', false },
	{ NULL, NULL, NULL, 0, false },
};

const struct cli_command key_authorize_command = {
	.path = "key authorize",
	.summary = "Have a host trust a key (writes a drop-in file for its agent)",
	.operands = "PUBKEY|KEYFILE",
	.min_operands = 1,
	.max_operands = 1,
	.options = key_authorize_options,
	.help = "PUBKEY is base64, as `pathbell key show` prints it. The agent reads the folder "
		"anew by itself.",
	.run = key_authorize_run,
};

const struct cli_command key_revoke_command = {
	.path = "key revoke",
	.summary = "Have a host trust a key no more, wherever it is listed",
	.operands = "KEY_ID|PUBKEY|FILE",
	.min_operands = 1,
	.max_operands = 1,
	.options = key_revoke_options,
	.run = key_revoke_run,
};
