/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/key_dir.h"

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/config.h"
#include "core/file.h"
#include "proto/kind.h"

#define KEY_DIR_MAX_FILES 512

static const char *const key_roles[] = { "viewer", "operator", "admin", NULL };

struct key_record {
	char *name, *key, *not_after;
	int role;
	struct config_strings verbs;
};

#define RECORD(field) offsetof(struct key_record, field)
static const struct config_option key_options[] = {
	{ .name = "name",
	  .type = CONFIG_STRING,
	  .offset = RECORD(name),
	  .min = 1,
	  .max = 64,
	  .required = true,
	  .help = "Whose key it is." },
	{ .name = "key",
	  .type = CONFIG_STRING,
	  .offset = RECORD(key),
	  .min = 43,
	  .max = 44,
	  .required = true,
	  .help = "Ed25519 public key, base64." },
	{ .name = "role",
	  .type = CONFIG_ENUM,
	  .offset = RECORD(role),
	  .initial = "viewer",
	  .names = key_roles,
	  .help = "viewer, operator or admin." },
	{ .name = "verbs",
	  .type = CONFIG_STRINGS,
	  .offset = RECORD(verbs),
	  .max = KEY_DIR_MAX_VERBS,
	  .help = "Of what its role may ask for, only these." },
	{ .name = "not_after",
	  .type = CONFIG_STRING,
	  .offset = RECORD(not_after),
	  .max = 32,
	  .help = "UTC, 2027-01-31 or 2027-01-31T12:00:00Z." },
};
static const struct config_table key_table = { key_options,
					       sizeof(key_options) / sizeof(key_options[0]),
					       sizeof(struct key_record) };

bool key_id_is_valid(const char *text)
{
	return strncmp(text, "ed25519:", 8) == 0 && strlen(text) == 24 &&
	       strspn(text + 8, "0123456789abcdef") == 16;
}

static int key_entry_time(const char *text, uint64_t *ret_ms)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	time_t seconds;

	if (!end || *end) {
		tm = (struct tm){ 0 };
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

static int key_entry_take(const struct key_record *record, struct key_entry *entry,
			  struct errmsg *err)
{
	snprintf(entry->name, sizeof(entry->name), "%s", record->name);
	entry->role = key_roles[record->role];
	for (size_t i = 0; i < record->verbs.n_items; i++) {
		unsigned verb = command_verb_from_name(record->verbs.items[i]);

		if (!verb) {
			errmsg_set(err, "verbs: there is no verb \"%s\"", record->verbs.items[i]);
			return -EINVAL;
		}
		entry->verbs[entry->n_verbs++] = command_verb_name(verb);
	}
	if (envelope_public_parse(record->key, entry->public_key, NULL) != 0) {
		errmsg_set(err, "key: not the base64 of 32 bytes");
		return -EINVAL;
	}
	envelope_key_id(entry->public_key, entry->key_id);
	if (!record->not_after || key_entry_time(record->not_after, &entry->not_after_unix_ms) == 0)
		return 0;
	errmsg_set(err, "not_after: \"%s\" is neither 2027-01-31 nor 2027-01-31T12:00:00Z",
		   record->not_after);
	return -EINVAL;
}

int key_entry_parse(const char *file, const char *text, struct key_entry *ret_entry,
		    struct errmsg *err)
{
	struct key_record record;
	struct key_entry entry = { 0 };
	int r;

	if (config_parse(&key_table, file, text, strlen(text), &record, err) != 0)
		return -EINVAL;
	errmsg_at(err, file, 1, 0, "%s", "");
	snprintf(entry.file, sizeof(entry.file), "%s", file);
	r = key_entry_take(&record, &entry, err);
	config_free(&key_table, &record);
	if (r == 0)
		*ret_entry = entry;
	return r;
}

/* A double-quoted scalar of YAML (1.2, section 7.3.1). */
static int key_quote(struct buf *out, const char *text)
{
	int r = buf_append(out, "\"", 1);

	for (; r == 0 && *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			r = buf_printf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			r = buf_printf(out, "\\x%02x", c);
		else
			r = buf_append(out, text, 1);
	}
	return r ?: buf_append(out, "\"", 1);
}

static int key_entry_print_verbs(const struct key_entry *entry, struct buf *out)
{
	int r = entry->n_verbs ? buf_printf(out, "verbs: [") : 0;

	for (size_t i = 0; r == 0 && i < entry->n_verbs; i++)
		r = buf_printf(out, "%s%s", i ? ", " : "", entry->verbs[i]);
	return r ?: (entry->n_verbs ? buf_printf(out, "]\n") : 0);
}

int key_entry_print(const struct key_entry *entry, struct buf *out)
{
	time_t seconds = (time_t)(entry->not_after_unix_ms / 1000);
	char text[64];
	struct tm tm;
	int r;

	envelope_public_format(entry->public_key, text);
	r = buf_printf(out, "# %s; made by: pathbell key authorize\nname: ", entry->key_id)
		    ?: key_quote(out, entry->name)
		    ?: buf_printf(out, "\nkey: \"%s\"\nrole: %s\n", text, entry->role)
		    ?: key_entry_print_verbs(entry, out);
	if (r != 0 || !entry->not_after_unix_ms)
		return r;
	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return buf_printf(out, "not_after: \"%s\"\n", text);
}

/* ---- revocations ---- */

static bool key_dir_add_revoked(struct key_dir *dir, const char *line, size_t len)
{
	char id[ENVELOPE_KEY_ID_SIZE];
	size_t start = strspn(line, " \t");
	size_t end = start;

	if (start >= len)
		return true;
	while (end < len && !strchr(" \t\r#", line[end]))
		end++;
	if (end == start)
		return true;
	if (end - start >= sizeof(id))
		return false;
	memcpy(id, line + start, end - start);
	id[end - start] = '\0';
	if (!key_id_is_valid(id) || dir->n_revoked == KEY_DIR_MAX_REVOKED)
		return false;
	memcpy(dir->revoked[dir->n_revoked++], id, sizeof(id));
	return true;
}

size_t key_dir_parse_revoked(const char *text, struct key_dir *dir)
{
	size_t bad = 0;

	while (*text) {
		size_t len = strcspn(text, "\n");

		bad += !key_dir_add_revoked(dir, text, len);
		text += len + (text[len] == '\n');
	}
	return bad;
}

bool key_dir_is_revoked(const struct key_dir *dir, const char *key_id)
{
	for (size_t i = 0; i < dir->n_revoked; i++) {
		if (strcmp(dir->revoked[i], key_id) == 0)
			return true;
	}
	return false;
}

/* ---- the folder ---- */

static bool key_dir_has_suffix(const char *name, const char *suffix)
{
	size_t len = strlen(name);
	size_t n = strlen(suffix);

	return name[0] != '.' && len > n && strcmp(name + len - n, suffix) == 0;
}

static void key_dir_take(struct key_dir *dir, const char *path, const char *name)
{
	char full[4096];
	char *text = NULL;
	size_t size = 0;
	struct errmsg err = { 0 };
	int r;

	snprintf(full, sizeof(full), "%s/%s", path, name);
	r = file_read(full, KEY_DIR_MAX_FILE, &text, &size);
	if (r < 0 || !text) {
		cli_fail(CLI_OK, "%s: %s", full, strerror(-r));
		dir->n_bad++;
	} else if (key_dir_has_suffix(name, ".revoked")) {
		size_t bad = key_dir_parse_revoked(text, dir);

		if (bad)
			cli_fail(CLI_OK, "%s: %zu lines are no key id (ed25519: and 16 digits)",
				 full, bad);
		dir->n_bad += bad != 0;
	} else if (key_entry_parse(name, text, &dir->entries[dir->n_entries], &err) == 0) {
		dir->n_entries++;
	} else {
		cli_fail_errmsg(CLI_OK, &err);
		dir->n_bad++;
	}
	free(text);
}

static int key_dir_filter(const struct dirent *entry)
{
	return key_dir_has_suffix(entry->d_name, ".yaml") ||
	       key_dir_has_suffix(entry->d_name, ".revoked");
}

int key_dir_read(const char *path, struct key_dir *ret_dir)
{
	struct dirent **list = NULL;
	int n = scandir(path, &list, key_dir_filter, alphasort);

	*ret_dir = (struct key_dir){ 0 };
	if (n < 0)
		return errno == ENOENT ? CLI_OK
				       : cli_fail(errno == EACCES ? CLI_PERMISSION : CLI_FAILED,
						  "%s: %s", path, strerror(errno));
	ret_dir->entries = calloc(KEY_DIR_MAX_FILES, sizeof(*ret_dir->entries));
	for (int i = 0; i < n; i++) {
		if (ret_dir->entries && i < KEY_DIR_MAX_FILES)
			key_dir_take(ret_dir, path, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	if (!ret_dir->entries)
		return cli_fail(CLI_FAILED, "out of memory");
	for (size_t i = 0; i < ret_dir->n_entries; i++)
		ret_dir->entries[i].revoked =
			key_dir_is_revoked(ret_dir, ret_dir->entries[i].key_id);
	return n <= KEY_DIR_MAX_FILES
		       ? CLI_OK
		       : cli_fail(CLI_FAILED, "%s: more than %d files", path, KEY_DIR_MAX_FILES);
}

void key_dir_deinit(struct key_dir *dir)
{
	free(dir->entries);
	*dir = (struct key_dir){ 0 };
}
