/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "agent/commands/keys.h"
#include "core/config.h"
#include "proto/kind.h"

/* The files of commands.keys_dir: their content, without the file system. */
struct keys_record {
	struct settings_key key;
	char *not_after;
};

#define RECORD(field) offsetof(struct keys_record, field)
static const struct config_option keys_options[] = {
	{ .name = "name",
	  .type = CONFIG_STRING,
	  .offset = RECORD(key.name),
	  .min = 1,
	  .max = 64,
	  .required = true,
	  .help = "Whose key it is." },
	{ .name = "key",
	  .type = CONFIG_STRING,
	  .offset = RECORD(key.key),
	  .min = 43,
	  .max = 44,
	  .required = true,
	  .help = "Ed25519 public key, base64." },
	{ .name = "role",
	  .type = CONFIG_ENUM,
	  .offset = RECORD(key.role),
	  .names = role_names,
	  .initial = "viewer",
	  .help = "viewer, operator or admin." },
	{ .name = "verbs",
	  .type = CONFIG_STRINGS,
	  .offset = RECORD(key.verbs),
	  .max = SETTINGS_MAX_VERBS,
	  .help = "Of what its role may ask for, only these. Default: all." },
	{ .name = "not_after",
	  .type = CONFIG_STRING,
	  .offset = RECORD(not_after),
	  .max = 32,
	  .help = "UTC, 2027-01-31 or 2027-01-31T12:00:00Z. Default: no end." },
};
static const struct config_table keys_table = { keys_options,
						sizeof(keys_options) / sizeof(keys_options[0]),
						sizeof(struct keys_record) };

int keys_parse_time(const char *text, uint64_t *ret_ms)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	time_t seconds;

	if (!end || *end) {
		memset(&tm, 0, sizeof(tm));
		end = strptime(text, "%Y-%m-%d", &tm);
	}
	if (!end || *end)
		return -EINVAL;
	seconds = timegm(&tm);
	if (seconds <= 0)
		return -EINVAL;
	*ret_ms = (uint64_t)seconds * 1000;
	return 0;
}

int keys_from_settings(const struct settings_key *settings, struct key *ret_key)
{
	if (settings_key_bytes(settings->key, ret_key->public_key))
		return -EINVAL;
	keys_id(ret_key->public_key, ret_key->key_id);
	snprintf(ret_key->name, sizeof(ret_key->name), "%s", settings->name);
	ret_key->role = (enum role)(ROLE_VIEWER + settings->role);
	for (size_t i = 0; i < settings->verbs.n_items && i < SETTINGS_MAX_VERBS; i++) {
		ret_key->verbs[i] = command_verb_from_name(settings->verbs.items[i]);
		if (!ret_key->verbs[i])
			return -ENOENT;
		ret_key->n_verbs++;
	}
	return 0;
}

static int keys_take(const struct keys_record *record, struct key *key, struct errmsg *err)
{
	switch (keys_from_settings(&record->key, key)) {
	case 0:
		break;
	case -ENOENT:
		errmsg_set(err, "verbs: there is no verb \"%s\"",
			   record->key.verbs.items[key->n_verbs]);
		return CONFIG_E_INVALID;
	default:
		errmsg_set(err, "key: is not the base64 of 32 bytes");
		return CONFIG_E_INVALID;
	}
	if (!record->not_after || keys_parse_time(record->not_after, &key->not_after_ms) == 0)
		return 0;
	errmsg_set(err, "not_after: \"%s\" is neither 2027-01-31 nor 2027-01-31T12:00:00Z",
		   record->not_after);
	return CONFIG_E_INVALID;
}

int keys_parse(const char *name, const char *text, struct key *ret_key, struct errmsg *err)
{
	struct keys_record record;
	struct key key = { 0 };
	int r = config_parse(&keys_table, name, text, strlen(text), &record, err);

	if (r)
		return CONFIG_E_INVALID;
	errmsg_at(err, name, 1, 0, "%s", "");
	r = keys_take(&record, &key, err);
	config_free(&keys_table, &record);
	if (r == 0)
		*ret_key = key;
	return r;
}

/* One line, without its end. True if it is blank, a comment or a key id. */
static bool keys_take_revoked(const char *line, size_t len, struct keys *keys)
{
	char id[KEYS_ID_SIZE];
	size_t start = 0, end;

	while (start < len && (line[start] == ' ' || line[start] == '\t'))
		start++;
	for (end = start; end < len && !strchr(" \t\r#", line[end]); end++)
		;
	if (end == start)
		return end == len || line[end] == '#' || line[end] == '\r';
	if (end - start >= sizeof(id))
		return false;
	memcpy(id, line + start, end - start);
	id[end - start] = 0;
	if (!settings_key_id_is_valid(id) || keys->n_revoked == KEYS_MAX_REVOKED)
		return false;
	memcpy(keys->revoked[keys->n_revoked], id, end - start + 1);
	keys->n_revoked++;
	return true;
}

int keys_parse_revoked(const char *name, const char *text, struct keys *keys, struct errmsg *err)
{
	unsigned number = 0;
	int r = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");

		number++;
		if (!keys_take_revoked(text, len, keys) && r == 0) {
			errmsg_at(err, name, number, 0,
				  "is no key id (ed25519: and 16 hexadecimal digits), or one too "
				  "many");
			r = CONFIG_E_INVALID;
		}
		text += len + (text[len] == '\n');
	}
	return r;
}
