/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "core/errmsg.h"
#include "ctl/cli.h"
#include "pathbell/v1/local.pb-c.h"
#include "proto/envelope.h"

/*
 * The agent's drop-in folder of keys (docs/formats/signature.md): NAME.yaml trusts one key,
 * NAME.revoked holds one revoked key id a line. The agent reads it whenever a file changes.
 */
#define KEY_DIR_DEFAULT	    "/etc/pathbell/keys.d"
#define KEY_DIR_MAX_FILE    (64 * 1024)
#define KEY_DIR_MAX_VERBS   32
#define KEY_DIR_MAX_REVOKED 256

/* What one file of the folder says, or what is to be written. */
struct key_entry {
	char name[65];
	char key_id[ENVELOPE_KEY_ID_SIZE];
	uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE];
	const char *role;		      /* viewer, operator, admin */
	const char *verbs[KEY_DIR_MAX_VERBS]; /* dotted names; none = all of the role */
	size_t n_verbs;
	uint64_t not_after_unix_ms; /* 0 = none */
	char file[256];		    /* name in the folder */
	bool revoked;
};

struct key_dir {
	struct key_entry *entries;
	size_t n_entries;
	char revoked[KEY_DIR_MAX_REVOKED][ENVELOPE_KEY_ID_SIZE];
	size_t n_revoked;
	size_t n_bad; /* files that cannot be read; each was said on standard error */
};

/* CLI_OK or printed; a folder that does not exist is empty. key_dir_deinit in every case. */
int key_dir_read(const char *path, struct key_dir *ret_dir);
void key_dir_deinit(struct key_dir *dir);
bool key_dir_is_revoked(const struct key_dir *dir, const char *key_id);

/* One drop-in. 0 or -EINVAL with @err (file:line). Pure. */
int key_entry_parse(const char *file, const char *text, struct key_entry *ret_entry,
		    struct errmsg *err);
/* YAML that key_entry_parse reads back; pure. 0 or the error of buf_append. */
int key_entry_print(const struct key_entry *entry, struct buf *out);
/* Key ids of a revocation file; blank lines and # comments are skipped. Returns how many bad lines
 * there are. */
size_t key_dir_parse_revoked(const char *text, struct key_dir *dir);

/* "ed25519:" and 16 lower-case hexadecimal digits. */
bool key_id_is_valid(const char *text);
/* key.c: the public half of what a person names: base64, PEM file (private or public). CLI_OK or
 * printed. */
int key_public(const char *text, uint8_t ret_public[ENVELOPE_PUBLIC_KEY_SIZE]);
/* "alice" of /home/alice/alice.key.pub */
void key_name_of(const char *path, char *ret_name, size_t size);
