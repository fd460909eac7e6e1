/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <json-c/json.h>
#include <string.h>
#include <sys/stat.h>

#include "core/errmsg.h"
#include "ctl/key_dir.h"
#include "ctl/registry.h"
#include "proto/envelope.h"

static int key_exit_code(int r)
{
	if (r == -ENOENT)
		return CLI_NOT_FOUND;
	return r == -EACCES || r == -EPERM ? CLI_PERMISSION : CLI_FAILED;
}

/* "alice" of /home/alice/alice.key: the name in the snippet. */
void key_name_of(const char *path, char *ret_name, size_t size)
{
	const char *base = strrchr(path, '/');

	snprintf(ret_name, size, "%s", base ? base + 1 : path);
	ret_name[strcspn(ret_name, ".")] = '\0';
}

static int key_print(struct cli *cli, const char *path,
		     const uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE])
{
	char id[ENVELOPE_KEY_ID_SIZE];
	char text[64];
	char name[64];
	struct json_object *object;

	envelope_key_id(public_key, id);
	envelope_public_format(public_key, text);
	key_name_of(path, name, sizeof(name));
	if (cli->out.json) {
		object = json_object_new_object();
		if (!object)
			return cli_fail(CLI_FAILED, "out of memory");
		json_object_object_add(object, "key_id", json_object_new_string(id));
		json_object_object_add(object, "public_key", json_object_new_string(text));
		return output_json(&cli->out, object) == 0 ? CLI_OK : CLI_FAILED;
	}
	output_line(&cli->out, "key id      %s", id);
	output_line(&cli->out, "public key  %s", text);
	output_line(&cli->out, "%s", "");
	output_line(&cli->out,
		    "# on every host that this key may command (or in its pathbelld.yaml, below):");
	output_line(&cli->out, "# pathbell key authorize %s --name %s --role operator", text, name);
	output_line(&cli->out, "commands:");
	output_line(&cli->out, "  trusted_keys:");
	output_line(&cli->out, "    - name: \"%s\"", name);
	output_line(&cli->out, "      key: \"%s\"", text);
	return CLI_OK;
}

static int key_new_run(struct cli *cli)
{
	const char *path = cli->operands[0];
	uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE];
	struct envelope_key *key = NULL;
	struct errmsg err = { 0 };
	int r = envelope_key_new(&key, &err);

	if (r == 0)
		r = envelope_key_save(key, path, &err);
	if (r == 0)
		envelope_key_public(key, public_key);
	envelope_key_free(key);
	if (r != 0)
		return cli_fail_errmsg(key_exit_code(r), &err);
	return key_print(cli, path, public_key);
}

/* A private key's public half too. */
int key_public(const char *text, uint8_t ret_public[ENVELOPE_PUBLIC_KEY_SIZE])
{
	struct envelope_key *key = NULL;
	struct errmsg err = { 0 };
	int r;

	/* first: a public key's file may be read by everybody */
	if (envelope_public_parse(text, ret_public, &err) == 0)
		return CLI_OK;
	err = (struct errmsg){ 0 };
	r = envelope_key_load(text, &key, &err);
	if (r == 0)
		envelope_key_public(key, ret_public);
	envelope_key_free(key);
	return r == 0 ? CLI_OK : cli_fail_errmsg(key_exit_code(r), &err);
}

static int key_show_run(struct cli *cli)
{
	const char *path = cli->operands[0];
	uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE];
	int code = key_public(path, public_key);

	return code == CLI_OK ? key_print(cli, path, public_key) : code;
}

const struct cli_command key_new_command = {
	.path = "key new",
	.summary = "Make a key that signs commands",
	.operands = "FILE",
	.min_operands = 1,
	.max_operands = 1,
	.help = "Writes the private key to FILE (mode 0600; must not exist) and the public one to "
		"FILE.pub.",
	.run = key_new_run,
};

const struct cli_command key_show_command = {
	.path = "key show",
	.summary = "Show a signing key's id and public half, as hosts want it",
	.operands = "FILE|PUBKEY",
	.min_operands = 1,
	.max_operands = 1,
	.run = key_show_run,
};
