/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/errmsg.h"
#include "pathbell/v1/command.pb-c.h"

/*
 * Signed commands: Ed25519 (RFC 8032) by OpenSSL over
 *	"pathbell-command-v1" NUL || SignedCommand.command
 * (docs/formats/signature.md). The bytes are signed as they are; nothing re-encodes them.
 */
#define ENVELOPE_PUBLIC_KEY_SIZE 32
#define ENVELOPE_SIGNATURE_SIZE	 64
#define ENVELOPE_KEY_ID_SIZE	 32 /* "ed25519:" + 16 hex digits + NUL */
#define ENVELOPE_MAX_SIGNATURES	 4

struct envelope_key; /* a private key, from `pathbell key new` */

/* PEM (PKCS#8). A key file that group or others can read is refused (-EACCES with @err). */
int envelope_key_load(const char *path, struct envelope_key **ret_key, struct errmsg *err);
int envelope_key_new(struct envelope_key **ret_key, struct errmsg *err);
/* Writes the private key (0600, must not exist) and PATH.pub (PEM SubjectPublicKeyInfo). */
int envelope_key_save(const struct envelope_key *key, const char *path, struct errmsg *err);
struct envelope_key *envelope_key_free(struct envelope_key *key);
/* The primitive: Ed25519 over @data as it is, without context. 0 or -ENOMEM. */
int envelope_key_sign(const struct envelope_key *key, const void *data, size_t size,
		      uint8_t ret_signature[ENVELOPE_SIGNATURE_SIZE]);
void envelope_key_public(const struct envelope_key *key,
			 uint8_t ret_public[ENVELOPE_PUBLIC_KEY_SIZE]);

void envelope_key_id(const uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE],
		     char ret_id[ENVELOPE_KEY_ID_SIZE]);
/* A public key as users write it: base64 of the 32 bytes, or the path of a PEM file. 0 or -EINVAL
 * with @err. */
int envelope_public_parse(const char *text, uint8_t ret_public[ENVELOPE_PUBLIC_KEY_SIZE],
			  struct errmsg *err);
void envelope_public_format(const uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE],
			    char ret_text[64]); /* base64 */

/* Packs @command, signs it, appends a serialised SignedCommand to @out. 0 or -errno with @err. */
int envelope_sign(const struct envelope_key *key, const Pathbell__V1__Command *command,
		  struct buf *out, struct errmsg *err);
/* Adds one more signature to a serialised SignedCommand; result in @out. */
int envelope_cosign(const struct envelope_key *key, const void *envelope, size_t size,
		    struct buf *out, struct errmsg *err);

struct envelope_trusted {
	char key_id[ENVELOPE_KEY_ID_SIZE];
	uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE];
};

/*
 * 0: at least @required distinct trusted keys signed; ret_signers[i] are indices into @trusted.
 * Else a positive outcome: ENVELOPE_E_MALFORMED, ENVELOPE_E_UNKNOWN_KEY (no signature by a trusted
 * key), ENVELOPE_E_BAD_SIGNATURE (one that names a trusted key does not fit), ENVELOPE_E_TOO_FEW;
 * -ENOMEM. A key counts once. result.command points into @envelope. It is set on all positive
 * outcomes but MALFORMED, so that a refusal can name the command's id; only 0 says that these bytes
 * may be obeyed.
 */
#define ENVELOPE_E_MALFORMED	 1
#define ENVELOPE_E_UNKNOWN_KEY	 2
#define ENVELOPE_E_BAD_SIGNATURE 3
#define ENVELOPE_E_TOO_FEW	 4
struct envelope_result {
	const uint8_t *command;
	size_t command_size;
	size_t signers[ENVELOPE_MAX_SIGNATURES];
	size_t n_signers;
};
int envelope_verify(const void *envelope, size_t size, const struct envelope_trusted *trusted,
		    size_t n_trusted, unsigned required, struct envelope_result *ret_result);
