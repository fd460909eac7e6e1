/* SPDX-License-Identifier: Apache-2.0 */
#include "pki.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

const char *pki_path(const struct pki *pki, const char *name, const char *suffix)
{
	static _Thread_local char paths[8][160];
	static _Thread_local unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s%s", pki->dir, name, suffix);
	return path;
}

void pki_init(struct pki *pki)
{
	strcpy(pki->dir, "/tmp/pathbell-pki-XXXXXX");
	assert_non_null(mkdtemp(pki->dir));
}

static int pki_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void pki_deinit(struct pki *pki)
{
	nftw(pki->dir, pki_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static void pki_write_key(const struct pki *pki, const char *name, EVP_PKEY *key)
{
	char temporary[200];
	FILE *file;

	snprintf(temporary, sizeof(temporary), "%s/%s.key.new", pki->dir, name);
	file = fdopen(open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600), "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
	assert_int_equal(rename(temporary, pki_path(pki, name, ".key")), 0);
}

static void pki_write_certificate(const struct pki *pki, const char *name, X509 *x509)
{
	char temporary[200];
	FILE *file;

	snprintf(temporary, sizeof(temporary), "%s/%s.pem.new", pki->dir, name);
	file = fopen(temporary, "w");
	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, x509), 1);
	fclose(file);
	assert_int_equal(rename(temporary, pki_path(pki, name, ".pem")), 0);
}

static EVP_PKEY *pki_read_key(const struct pki *pki, const char *name)
{
	FILE *file = fopen(pki_path(pki, name, ".key"), "r");
	EVP_PKEY *key;

	assert_non_null(file);
	key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	fclose(file);
	assert_non_null(key);
	return key;
}

static X509 *pki_read_certificate(const struct pki *pki, const char *name)
{
	FILE *file = fopen(pki_path(pki, name, ".pem"), "r");
	X509 *x509;

	assert_non_null(file);
	x509 = PEM_read_X509(file, NULL, NULL, NULL);
	fclose(file);
	assert_non_null(x509);
	return x509;
}

static void pki_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(extension);
	assert_int_equal(X509_add_ext(x509, extension, -1), 1);
	X509_EXTENSION_free(extension);
}

static X509 *pki_x509(const char *name, EVP_PKEY *key, int from_s, int to_s)
{
	X509 *x509 = X509_new();
	uint64_t serial;

	assert_int_equal(RAND_bytes((unsigned char *)&serial, sizeof(serial)), 1);
	X509_set_version(x509, X509_VERSION_3);
	ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial >> 1);
	X509_gmtime_adj(X509_getm_notBefore(x509), from_s);
	X509_gmtime_adj(X509_getm_notAfter(x509), to_s);
	X509_set_pubkey(x509, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	return x509;
}

void pki_ca(const struct pki *pki, const char *name)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x509 = pki_x509(name, key, -7200, 7 * 86400);

	X509_set_issuer_name(x509, X509_get_subject_name(x509));
	pki_extension(x509, x509, NID_basic_constraints, "critical,CA:TRUE");
	pki_extension(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign");
	pki_extension(x509, x509, NID_subject_key_identifier, "hash");
	assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
	pki_write_certificate(pki, name, x509);
	pki_write_key(pki, name, key);
	X509_free(x509);
	EVP_PKEY_free(key);
}

static void pki_sign(const struct pki *pki, const struct pki_leaf *leaf, EVP_PKEY *key)
{
	bool is_default = leaf->from_s == 0 && leaf->to_s == 0;
	X509 *x509 = pki_x509(leaf->name, key, is_default ? -3600 : leaf->from_s,
			      is_default ? 86400 : leaf->to_s);
	X509 *issuer = pki_read_certificate(pki, leaf->ca);
	EVP_PKEY *ca_key = pki_read_key(pki, leaf->ca);
	char names[512];

	snprintf(names, sizeof(names), "DNS:localhost,IP:127.0.0.1%s%s%s%s",
		 leaf->uri ? ",URI:" : "", leaf->uri ? leaf->uri : "", leaf->uri2 ? ",URI:" : "",
		 leaf->uri2 ? leaf->uri2 : "");
	X509_set_issuer_name(x509, X509_get_subject_name(issuer));
	pki_extension(x509, issuer, NID_basic_constraints, "critical,CA:FALSE");
	pki_extension(x509, issuer, NID_ext_key_usage, "serverAuth,clientAuth");
	pki_extension(x509, issuer, NID_subject_alt_name, names);
	assert_true(X509_sign(x509, ca_key, EVP_sha256()) > 0);
	pki_write_certificate(pki, leaf->name, x509);
	EVP_PKEY_free(ca_key);
	X509_free(issuer);
	X509_free(x509);
}

void pki_issue(const struct pki *pki, const struct pki_leaf *leaf)
{
	EVP_PKEY *key = leaf->rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");

	assert_non_null(key);
	if (!leaf->only_key_of)
		pki_sign(pki, leaf, key);
	pki_write_key(pki, leaf->name, key);
	EVP_PKEY_free(key);
}
