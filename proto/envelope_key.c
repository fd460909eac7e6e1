/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/envelope.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "core/fd.h"
#include "core/id.h"
#include "core/log.h"

#define ENVELOPE_MAX_PEM 4096

struct envelope_key {
	EVP_PKEY *pkey;
	uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE];
};

/* Takes @pkey over, also on failure. */
static int envelope_key_wrap(EVP_PKEY *pkey, struct envelope_key **ret_key)
{
	struct envelope_key *key = calloc(1, sizeof(*key));
	size_t size = sizeof(key->public_key);

	if (!key || EVP_PKEY_get_raw_public_key(pkey, key->public_key, &size) != 1) {
		free(key);
		EVP_PKEY_free(pkey);
		return -ENOMEM;
	}
	key->pkey = pkey;
	*ret_key = key;
	return 0;
}

struct envelope_key *envelope_key_free(struct envelope_key *key)
{
	if (!key)
		return NULL;
	EVP_PKEY_free(key->pkey);
	free(key);
	return NULL;
}

int envelope_key_sign(const struct envelope_key *key, const void *data, size_t size,
		      uint8_t ret_signature[ENVELOPE_SIGNATURE_SIZE])
{
	size_t signature_size = ENVELOPE_SIGNATURE_SIZE;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool done;

	done = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key->pkey) == 1 &&
	       EVP_DigestSign(context, ret_signature, &signature_size, data, size) == 1;
	EVP_MD_CTX_free(context);
	return done ? 0 : -ENOMEM;
}

int envelope_key_new(struct envelope_key **ret_key, struct errmsg *err)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	int r = pkey ? envelope_key_wrap(pkey, ret_key) : -ENOMEM;

	if (r < 0)
		errmsg_set(err, "cannot make an Ed25519 key");
	return r;
}

void envelope_key_public(const struct envelope_key *key,
			 uint8_t ret_public[ENVELOPE_PUBLIC_KEY_SIZE])
{
	memcpy(ret_public, key->public_key, ENVELOPE_PUBLIC_KEY_SIZE);
}

/*
 * A regular file, not a large one, without the mode bits of @forbidden. Checked is the file that
 * was opened; O_NONBLOCK so that a FIFO in its place cannot hold us.
 */
static int envelope_open(const char *path, mode_t forbidden, FILE **ret_file, struct errmsg *err)
{
	struct stat st;
	int fd, r;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		errmsg_at(err, path, 0, 0, "%s", log_errno(r));
		fd_close(fd);
		return r;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > ENVELOPE_MAX_PEM) {
		errmsg_at(err, path, 0, 0, "not a key file (a regular file of at most %d bytes)",
			  ENVELOPE_MAX_PEM);
		r = -EINVAL;
	} else if (st.st_mode & forbidden) {
		errmsg_at(err, path, 0, 0,
			  "others than its owner can use this private key (mode %04o); "
			  "chmod 600 it",
			  (unsigned)st.st_mode & 07777);
		r = -EACCES;
	} else {
		*ret_file = fdopen(fd, "r");
		r = *ret_file ? 0 : -ENOMEM;
	}
	if (r < 0)
		fd_close(fd);
	return r;
}

/* An encrypted key would make OpenSSL ask on the terminal; an empty answer makes it fail instead.
 */
static int envelope_on_password(char *buf, int size, int rwflag, void *u)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)u;
	return 0;
}

int envelope_key_load(const char *path, struct envelope_key **ret_key, struct errmsg *err)
{
	EVP_PKEY *pkey;
	FILE *file = NULL;
	int r;

	r = envelope_open(path, S_IRWXG | S_IRWXO, &file, err);
	if (r < 0)
		return r;
	pkey = PEM_read_PrivateKey(file, NULL, envelope_on_password, NULL);
	fclose(file);
	if (!pkey || !EVP_PKEY_is_a(pkey, "ED25519")) {
		EVP_PKEY_free(pkey);
		errmsg_at(err, path, 0, 0, "not an unencrypted Ed25519 private key (PEM, PKCS#8)");
		return -EINVAL;
	}
	r = envelope_key_wrap(pkey, ret_key);
	if (r < 0)
		errmsg_at(err, path, 0, 0, "out of memory");
	return r;
}

/* Creates @path, which must not exist, from a memory BIO; nothing stays after a failure. */
static int envelope_write(const char *path, mode_t mode, BIO *pem, struct errmsg *err)
{
	char *data;
	long size = BIO_get_mem_data(pem, &data);
	int fd, r;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0) {
		r = -errno;
		errmsg_at(err, path, 0, 0, "%s", log_errno(r));
		return r;
	}
	/* The umask may only take rights away from a public key, and must not leave the private one
	 * odd. */
	r = fchmod(fd, mode) < 0 ? -errno : fd_write_all(fd, data, (size_t)size);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	fd_close(fd);
	if (r < 0) {
		errmsg_at(err, path, 0, 0, "%s", log_errno(r));
		unlink(path);
	}
	return r;
}

int envelope_key_save(const struct envelope_key *key, const char *path, struct errmsg *err)
{
	BIO *secret = BIO_new(BIO_s_secmem()), *public = BIO_new(BIO_s_mem());
	char *public_path = NULL;
	int r = -ENOMEM;

	if (!secret || !public || asprintf(&public_path, "%s.pub", path) < 0 ||
	    PEM_write_bio_PKCS8PrivateKey(secret, key->pkey, NULL, NULL, 0, NULL, NULL) != 1 ||
	    PEM_write_bio_PUBKEY(public, key->pkey) != 1) {
		errmsg_set(err, "out of memory");
		goto out;
	}
	r = envelope_write(path, 0600, secret, err);
	if (r < 0)
		goto out;
	r = envelope_write(public_path, 0644, public, err);
	if (r < 0)
		unlink(path);
out:
	free(public_path);
	BIO_free(secret);
	BIO_free(public);
	return r;
}

void envelope_key_id(const uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE],
		     char ret_id[ENVELOPE_KEY_ID_SIZE])
{
	static const char prefix[] = "ed25519:";
	uint8_t digest[SHA256_DIGEST_LENGTH];

	SHA256(public_key, ENVELOPE_PUBLIC_KEY_SIZE, digest);
	memcpy(ret_id, prefix, sizeof(prefix));
	id_hex(digest, 8, ret_id + sizeof(prefix) - 1);
}

void envelope_public_format(const uint8_t public_key[ENVELOPE_PUBLIC_KEY_SIZE], char ret_text[64])
{
	EVP_EncodeBlock((unsigned char *)ret_text, public_key, ENVELOPE_PUBLIC_KEY_SIZE);
}

/* Exactly the canonical text of 32 bytes: 43 characters, one '=', no unused bits set. */
static bool envelope_from_base64(const char *text, uint8_t ret_public[ENVELOPE_PUBLIC_KEY_SIZE])
{
	unsigned char raw[36];
	char again[64];

	if (strlen(text) != 44 || text[43] != '=' ||
	    EVP_DecodeBlock(raw, (const unsigned char *)text, 44) != 33)
		return false;
	envelope_public_format(raw, again);
	if (strcmp(again, text) != 0)
		return false;
	memcpy(ret_public, raw, ENVELOPE_PUBLIC_KEY_SIZE);
	return true;
}

static int envelope_from_file(const char *path, uint8_t ret_public[ENVELOPE_PUBLIC_KEY_SIZE],
			      struct errmsg *err)
{
	uint8_t raw[ENVELOPE_PUBLIC_KEY_SIZE];
	size_t size = sizeof(raw);
	EVP_PKEY *pkey;
	FILE *file = NULL;
	int r;

	if (envelope_open(path, 0, &file, err) < 0)
		return -EINVAL;
	pkey = PEM_read_PUBKEY(file, NULL, envelope_on_password, NULL);
	fclose(file);
	r = pkey && EVP_PKEY_is_a(pkey, "ED25519") &&
			    EVP_PKEY_get_raw_public_key(pkey, raw, &size) == 1
		    ? 0
		    : -EINVAL;
	EVP_PKEY_free(pkey);
	if (r < 0)
		errmsg_at(err, path, 0, 0, "not an Ed25519 public key (PEM, SubjectPublicKeyInfo)");
	else
		memcpy(ret_public, raw, sizeof(raw));
	return r;
}

int envelope_public_parse(const char *text, uint8_t ret_public[ENVELOPE_PUBLIC_KEY_SIZE],
			  struct errmsg *err)
{
	if (envelope_from_base64(text, ret_public))
		return 0;
	if (access(text, F_OK) == 0)
		return envelope_from_file(text, ret_public, err);
	errmsg_set(err, "\"%.80s\" is neither a public key (base64 of 32 bytes) nor a file", text);
	return -EINVAL;
}
