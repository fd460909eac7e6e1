/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/keys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/file.h"
#include "core/id.h"
#include "core/log.h"
#include "core/sha256.h"
#include "pathbell/v1/command.pb-c.h"

/*
 * One set from three places
 *
 * 1. commands.trusted_keys, checked with the rest of the configuration.
 * 2. KEYS_DIR/NAME.yaml in the order of their names. One key under two names counts once: the first
 *    wins, so that no one gives himself a second signature by a second file.
 * 3. Revocations: commands.revoked and KEYS_DIR/NAME.revoked. They mark keys of 1 and 2; a
 *    revoked key stays in the list, because its signature must be recognised to be refused by name.
 *
 * A file counts only when root or the agent's own user owns it and nobody else can write it. Where
 * one is bad, what it was good for before stays in effect (from the last set), and the error names
 * it; the other files count as they are. A bad revocation file still revokes by its good lines.
 */
void keys_id(const uint8_t public_key[32], char ret_id[KEYS_ID_SIZE])
{
	struct sha256 sha256;
	uint8_t hash[SHA256_SIZE];

	sha256_init(&sha256);
	sha256_add(&sha256, public_key, 32);
	sha256_end(&sha256, hash);
	memcpy(ret_id, "ed25519:", 8); // NOLINT(bugprone-not-null-terminated-result)
	id_hex(hash, 8, ret_id + 8);
}

bool keys_is_valid(const struct key *key, uint64_t now_ms)
{
	return !key->revoked && (!key->not_after_ms || now_ms < key->not_after_ms);
}

bool keys_may(const struct key *key, unsigned verb, bool strict, uint64_t now_ms)
{
	if (!keys_is_valid(key, now_ms) || key->role < role_of_verb(verb) ||
	    (strict && key->role < ROLE_ADMIN))
		return false;
	for (size_t i = 0; i < key->n_verbs; i++)
		if (key->verbs[i] == verb)
			return true;
	return key->n_verbs == 0;
}

size_t keys_n_valid(const struct keys *keys, uint64_t now_ms)
{
	size_t n = 0;

	for (size_t i = 0; i < keys->n_keys; i++)
		n += keys_is_valid(&keys->keys[i], now_ms);
	return n;
}

bool keys_equal(const struct keys *a, const struct keys *b)
{
	/* both were zeroed before they were filled: equal sets have equal bytes */
	// NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c)
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void keys_complain(struct keys *keys, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The first complaint stays: it is the one to mend first. */
static void keys_complain(struct keys *keys, const char *format, ...)
{
	va_list args;

	if (keys->error[0])
		return;
	va_start(args, format);
	vsnprintf(keys->error, sizeof(keys->error), format, args);
	va_end(args);
}

static void keys_complain_err(struct keys *keys, const struct errmsg *err)
{
	char text[512];

	errmsg_format(err, text, sizeof(text));
	keys_complain(keys, "%s", text);
}

static void keys_add(struct keys *keys, const struct key *key)
{
	for (size_t i = 0; i < keys->n_keys; i++) {
		if (memcmp(keys->keys[i].public_key, key->public_key, 32) != 0)
			continue;
		keys_complain(keys, "%s: \"%s\" has the same key as \"%s\": it counts once",
			      key->file[0] ? key->file : "commands.trusted_keys", key->name,
			      keys->keys[i].name);
		return;
	}
	if (keys->n_keys == KEYS_MAX) {
		keys_complain(keys, "%s: more than %d keys", key->file, KEYS_MAX);
		return;
	}
	keys->keys[keys->n_keys++] = *key;
}

static void keys_add_settings(const struct settings_commands *settings, struct keys *keys)
{
	const struct settings_key *items = settings->trusted_keys.items;

	for (size_t i = 0; i < settings->trusted_keys.n_items; i++) {
		struct key key = { 0 };

		if (keys_from_settings(&items[i], &key) == 0)
			keys_add(keys, &key);
	}
	for (size_t i = 0; i < settings->revoked.n_items && keys->n_revoked < KEYS_MAX_REVOKED; i++)
		snprintf(keys->revoked[keys->n_revoked++], KEYS_ID_SIZE, "%s",
			 settings->revoked.items[i]);
}

/* What only root and the agent's user can have written. For free(). */
static int keys_read_file(const char *path, char **ret_text, struct errmsg *err)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;
	char *text;

	errmsg_at(err, path, 0, 0, "%s", "");
	if (fd < 0 || fstat(fd, &st)) {
		errmsg_set(err, "cannot be read: %s", log_errno(errno));
		return CONFIG_E_INVALID;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > KEYS_FILE_MAX)
		errmsg_set(err, "is no file of at most %d bytes", KEYS_FILE_MAX);
	else if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))
		errmsg_set(err, "others than root can write it: it is not trusted");
	else if (!(text = calloc(1, (size_t)st.st_size + 1)))
		errmsg_set(err, "out of memory");
	else if ((n = fd_read_all(fd, text, (size_t)st.st_size)) < 0) {
		errmsg_set(err, "cannot be read: %s", log_errno((int)n));
		free(text);
	} else {
		*ret_text = text;
		return 0;
	}
	return CONFIG_E_INVALID;
}

static void keys_keep(const struct keys *last, const char *file, struct keys *keys)
{
	for (size_t i = 0; last && i < last->n_keys; i++)
		if (strcmp(last->keys[i].file, file) == 0) {
			struct key key = last->keys[i];

			key.revoked = false; /* decided anew */
			keys_add(keys, &key);
		}
}

static void keys_add_file(const char *path, const struct keys *last, struct keys *keys)
{
	_cleanup_free_ char *text = NULL;
	struct errmsg err = { 0 };
	struct key key = { 0 };

	if (keys_read_file(path, &text, &err) || keys_parse(path, text, &key, &err)) {
		keys_complain_err(keys, &err);
		keys_keep(last, path, keys);
		return;
	}
	snprintf(key.file, sizeof(key.file), "%s", path);
	keys_add(keys, &key);
}

static void keys_add_revoked(const char *path, const struct keys *last, struct keys *keys)
{
	_cleanup_free_ char *text = NULL;
	struct errmsg err = { 0 };

	if (keys_read_file(path, &text, &err) == 0) {
		if (keys_parse_revoked(path, text, keys, &err))
			keys_complain_err(keys, &err);
		return;
	}
	keys_complain_err(keys, &err);
	/* it cannot be read now: whatever was revoked stays so */
	for (size_t i = 0; last && i < last->n_revoked && keys->n_revoked < KEYS_MAX_REVOKED; i++)
		memcpy(keys->revoked[keys->n_revoked++], last->revoked[i], KEYS_ID_SIZE);
}

static int keys_select(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot &&
	       (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".revoked") == 0);
}

static void keys_add_dir(const char *dir, const struct keys *last, struct keys *keys)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, keys_select, alphasort);
	char path[256];

	if (n < 0 && errno != ENOENT)
		keys_complain(keys, "%s: cannot be read: %s", dir, log_errno(errno));
	for (int i = 0; i < n; i++) {
		if (i >= KEYS_MAX_FILES)
			keys_complain(keys, "%s: more than %d files", dir, KEYS_MAX_FILES);
		else if (snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name) >=
			 (int)sizeof(path))
			keys_complain(keys, "%s: a name is too long", dir);
		else if (strcmp(strrchr(path, '.'), ".yaml") == 0)
			keys_add_file(path, last, keys);
		else
			keys_add_revoked(path, last, keys);
		free(entries[i]);
	}
	free(entries);
}

void keys_read(const struct settings_commands *settings, const struct keys *last,
	       struct keys *ret_keys)
{
	struct keys *keys = ret_keys;

	memset(keys, 0, sizeof(*keys));
	keys_add_settings(settings, keys);
	if (settings->keys_dir)
		keys_add_dir(settings->keys_dir, last, keys);
	for (size_t i = 0; i < keys->n_keys; i++)
		for (size_t k = 0; k < keys->n_revoked; k++)
			if (strcmp(keys->keys[i].key_id, keys->revoked[k]) == 0)
				keys->keys[i].revoked = true;
}
