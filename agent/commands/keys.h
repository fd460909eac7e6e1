/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/commands/roles.h"
#include "agent/settings.h"
#include "agent/verify/verify.h"

/*
 * The keys whose commands this host executes: commands.trusted_keys, then the files of
 * commands.keys_dir (docs/formats/signature.md): NAME.yaml, one key each; NAME.revoked, one key id
 * a line. keys.c opens with the rules of merging. Pure but for keys_read.
 */
#define KEYS_MAX	 VERIFY_MAX_KEYS
#define KEYS_MAX_REVOKED 256
#define KEYS_MAX_FILES	 512
#define KEYS_FILE_MAX	 (64 * 1024)
#define KEYS_ID_SIZE	 32 /* "ed25519:", 16 hexadecimal digits, NUL */

struct key {
	char name[65], key_id[KEYS_ID_SIZE];
	char file[256]; /* "" = trusted_keys */
	uint8_t public_key[32];
	enum role role;
	uint32_t verbs[SETTINGS_MAX_VERBS]; /* none: all of its role */
	size_t n_verbs;
	uint64_t not_after_ms; /* 0 = none */
	bool revoked;
};

struct keys {
	struct key keys[KEYS_MAX];
	size_t n_keys;
	char revoked[KEYS_MAX_REVOKED][KEYS_ID_SIZE];
	size_t n_revoked;
	char error[512]; /* what of the files was not taken over, with file:line; "" = all was */
};

/*
 * Reads everything anew. @last: the set in effect; where a key file is bad, its keys stay as they
 * are there (NULL: the good files alone count). Revocations always count, also those beside a bad
 * file. Never fails: ret_keys->error says what was left out. Reads small files of /etc, as a reload
 * does.
 */
void keys_read(const struct settings_commands *settings, const struct keys *last,
	       struct keys *ret_keys);
/* The same set, file errors included. */
bool keys_equal(const struct keys *a, const struct keys *b);

/* May this key ask for the verb now? @strict: also what only an admin may (override_last_path). */
bool keys_may(const struct key *key, unsigned verb, bool strict, uint64_t now_ms);
/* Neither revoked nor past its end. */
bool keys_is_valid(const struct key *key, uint64_t now_ms);
/* Keys that count now. */
size_t keys_n_valid(const struct keys *keys, uint64_t now_ms);

/* "ed25519:" and the first 16 hexadecimal digits of SHA-256 over the key. */
void keys_id(const uint8_t public_key[32], char ret_id[KEYS_ID_SIZE]);
/* An entry of trusted_keys. 0, -EINVAL (the key) or -ENOENT (verb number ret_key->n_verbs). */
int keys_from_settings(const struct settings_key *settings, struct key *ret_key);
/* One key file. 0 or CONFIG_E_INVALID with @err (file:line). */
int keys_parse(const char *name, const char *text, struct key *ret_key, struct errmsg *err);
/* Lines of a revocation file; blank lines and # comments are skipped. Adds to @keys; what does not
 * fit the form is CONFIG_E_INVALID with @err, after the rest was read. */
int keys_parse_revoked(const char *name, const char *text, struct keys *keys, struct errmsg *err);
/* "2027-01-31" or "2027-01-31T12:00:00Z", in UTC. 0 or -EINVAL. */
int keys_parse_time(const char *text, uint64_t *ret_ms);
