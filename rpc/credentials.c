/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key pairs in files. A server looks at its files at every handshake and takes a new pair as soon
 * as it is complete and right; live streams stay. Files that are replaced one after the other do
 * not fit together for a moment: the old pair stays in use and the files are read again when they
 * change next (facts: delivery T3). Looking is three calls of stat(2), no timer and no thread
 * (grpc-core pitfall 20).
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <grpc/support/alloc.h>
#include <grpc/support/string_util.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/clock.h"
#include "core/file.h"
#include "rpc/internal.h"

#define CREDENTIALS_MAX_FILE (1024 * 1024)

/* ---- reading and checking ---- */

static int pem_read(const char *path, const char *what, char **ret_text, struct errmsg *err)
{
	size_t size;
	int r;

	if (!path || !*path) {
		errmsg_set(err, "no file for the %s", what);
		return -EINVAL;
	}
	r = file_read(path, CREDENTIALS_MAX_FILE, ret_text, &size);
	if (r < 0)
		errmsg_at(err, path, 0, 0, "cannot read the %s: %s", what, log_errno(r));
	return r;
}

/* A key for all to read is no secret: refused, as ssh does. */
static int pem_check_mode(const char *path, struct errmsg *err)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		errmsg_at(err, path, 0, 0, "cannot look at the private key: %s", log_errno(errno));
		return -EACCES;
	}
	if (st.st_mode & S_IROTH) {
		errmsg_at(err, path, 0, 0,
			  "the private key can be read by everybody (chmod o-rwx)");
		return -EACCES;
	}
	return 0;
}

/* Never ask a terminal for a password. */
static int pem_no_password(char *buffer, int size, int writing, void *data)
{
	(void)buffer;
	(void)size;
	(void)writing;
	(void)data;
	return 0;
}

static X509 *pem_x509(const char *text)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	X509 *x509 = bio ? PEM_read_bio_X509(bio, NULL, pem_no_password, NULL) : NULL;

	BIO_free(bio);
	return x509;
}

static EVP_PKEY *pem_key(const char *text)
{
	BIO *bio = BIO_new_mem_buf(text, -1);
	EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, pem_no_password, NULL) : NULL;

	BIO_free(bio);
	return key;
}

static int pem_check_pair(const struct rpc_credentials *files, const struct rpc_pem *pem,
			  struct errmsg *err)
{
	struct rpc_certificate leaf;
	X509 *x509 = pem_x509(pem->certificate);
	EVP_PKEY *key = pem_key(pem->key);
	int r = -EBADMSG;

	if (!x509)
		errmsg_at(err, files->certificate_file, 0, 0, "not a certificate in PEM form");
	else if (!key)
		errmsg_at(err, files->key_file, 0, 0,
			  "not a private key in PEM form without password");
	else if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
		errmsg_at(err, files->key_file, 0, 0, "the key is RSA; ECDSA P-256 is required");
	else if (!rpc_certificate_parse(pem->certificate, strlen(pem->certificate), &leaf) ||
		 !leaf.is_ecdsa_p256)
		errmsg_at(err, files->certificate_file, 0, 0,
			  "the certificate's key is not ECDSA P-256");
	else if (X509_check_private_key(x509, key) != 1)
		errmsg_at(err, files->certificate_file, 0, 0,
			  "certificate and private key do not belong together");
	else
		r = 0;
	X509_free(x509);
	EVP_PKEY_free(key);
	return r;
}

static int pem_check_ca(const char *path, const char *text, struct errmsg *err)
{
	X509 *x509 = pem_x509(text);

	X509_free(x509);
	if (x509)
		return 0;
	errmsg_at(err, path, 0, 0, "no CA certificate in PEM form");
	return -EBADMSG;
}

void rpc_pem_deinit(struct rpc_pem *pem)
{
	if (pem->key)
		explicit_bzero(pem->key, strlen(pem->key));
	free(pem->ca);
	free(pem->certificate);
	free(pem->key);
	memset(pem, 0, sizeof(*pem));
}

int rpc_pem_load(const struct rpc_credentials *files, struct rpc_pem *ret_pem, struct errmsg *err)
{
	struct rpc_pem pem = { .ca = NULL };
	int r;

	r = pem_read(files->ca_file, "CA certificates", &pem.ca, err);
	if (r == 0)
		r = pem_read(files->certificate_file, "certificate", &pem.certificate, err);
	if (r == 0)
		r = pem_read(files->key_file, "private key", &pem.key, err);
	if (r == 0)
		r = pem_check_mode(files->key_file, err);
	if (r == 0)
		r = pem_check_ca(files->ca_file, pem.ca, err);
	if (r == 0)
		r = pem_check_pair(files, &pem, err);
	if (r < 0) {
		rpc_pem_deinit(&pem);
		return r;
	}
	*ret_pem = pem;
	return 0;
}

int rpc_credentials_check(const struct rpc_credentials *credentials, struct errmsg *err)
{
	struct rpc_pem pem;
	int r = rpc_pem_load(credentials, &pem, err);

	if (r == 0)
		rpc_pem_deinit(&pem);
	return r;
}

/* ---- a server's pair that follows the files ---- */

struct rpc_files_stamp {
	struct {
		struct timespec mtime, ctime;
		off_t size;
		ino_t ino;
		dev_t dev;
	} of[3];
};

struct rpc_files {
	struct rpc_files *next;	      /* of rpc->files */
	char *ca, *certificate, *key; /* paths */
	void (*report)(void *data, char *error);
	void *data;
	pthread_mutex_t lock; /* handshakes run on several of gRPC's threads */
	struct rpc_files_stamp stamp;
	bool loaded, failing;
	uint64_t not_after_unix_ns;
	bool expiry_reported;
};

static void rpc_files_free(struct rpc_files *files)
{
	pthread_mutex_destroy(&files->lock);
	gpr_free(files->ca);
	gpr_free(files->certificate);
	gpr_free(files->key);
	gpr_free(files);
}

struct rpc_files *rpc_files_new(struct rpc *rpc, const struct rpc_credentials *files,
				void (*report)(void *data, char *error), void *data)
{
	struct rpc_files *watched = gpr_zalloc(sizeof(*watched));

	watched->ca = gpr_strdup(files->ca_file);
	watched->certificate = gpr_strdup(files->certificate_file);
	watched->key = gpr_strdup(files->key_file);
	watched->report = report;
	watched->data = data;
	pthread_mutex_init(&watched->lock, NULL);
	pthread_mutex_lock(&rpc->post_lock);
	watched->next = rpc->files;
	rpc->files = watched;
	pthread_mutex_unlock(&rpc->post_lock);
	return watched;
}

void rpc_files_mute(struct rpc_files *files)
{
	pthread_mutex_lock(&files->lock);
	files->report = NULL;
	pthread_mutex_unlock(&files->lock);
}

void rpc_files_free_all(struct rpc_files *files)
{
	struct rpc_files *next;

	for (; files; files = next) {
		next = files->next;
		rpc_files_free(files);
	}
}

static void rpc_files_look(const struct rpc_files *files, struct rpc_files_stamp *ret_stamp)
{
	const char *paths[3] = { files->ca, files->certificate, files->key };
	struct stat st;

	memset(ret_stamp, 0, sizeof(*ret_stamp)); /* compared as bytes */
	for (size_t i = 0; i < 3; i++) {
		if (stat(paths[i], &st) < 0)
			continue;
		ret_stamp->of[i].mtime = st.st_mtim;
		ret_stamp->of[i].ctime = st.st_ctim;
		ret_stamp->of[i].size = st.st_size;
		ret_stamp->of[i].ino = st.st_ino;
		ret_stamp->of[i].dev = st.st_dev;
	}
}

static void rpc_files_report(struct rpc_files *files, const struct errmsg *err)
{
	char text[1024];

	if (!files->report)
		return;
	if (!err) {
		files->report(files->data, NULL);
		return;
	}
	errmsg_format(err, text, sizeof(text));
	files->report(files->data, gpr_strdup(text));
}

/* An expired certificate is served on (clients refuse it and say so), but not in silence. */
static void rpc_files_check_expiry(struct rpc_files *files)
{
	struct errmsg err = { .line = 0 };

	if (files->expiry_reported || clock_realtime_ns() < files->not_after_unix_ns)
		return;
	files->expiry_reported = true;
	errmsg_at(&err, files->certificate, 0, 0, "the server's certificate has expired");
	rpc_files_report(files, &err);
}

static grpc_ssl_certificate_config_reload_status
rpc_files_load(struct rpc_files *files, grpc_ssl_server_certificate_config **ret_config)
{
	const struct rpc_credentials paths = { files->ca, files->certificate, files->key };
	struct rpc_certificate leaf;
	struct rpc_pem pem;
	struct errmsg err = { .line = 0 };

	if (rpc_pem_load(&paths, &pem, &err) < 0) {
		files->failing = true;
		rpc_files_report(files, &err);
		return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL;
	}
	*ret_config = grpc_ssl_server_certificate_config_create(
		pem.ca,
		&(grpc_ssl_pem_key_cert_pair){ .private_key = pem.key,
					       .cert_chain = pem.certificate },
		1);
	if (rpc_certificate_parse(pem.certificate, strlen(pem.certificate), &leaf))
		files->not_after_unix_ns = leaf.not_after_unix_ns;
	rpc_pem_deinit(&pem);
	if (files->failing || files->expiry_reported)
		rpc_files_report(files, NULL);
	files->failing = false;
	files->expiry_reported = false;
	files->loaded = true;
	return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
}

static grpc_ssl_certificate_config_reload_status
rpc_files_fetch(void *data, grpc_ssl_server_certificate_config **ret_config)
{
	grpc_ssl_certificate_config_reload_status status =
		GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
	struct rpc_files *files = data;
	struct rpc_files_stamp stamp;

	pthread_mutex_lock(&files->lock);
	rpc_files_look(files, &stamp); /* before reading: a change in between is seen next time */
	if (!files->loaded || memcmp(&stamp, &files->stamp, sizeof(stamp)) != 0) {
		files->stamp = stamp;
		status = rpc_files_load(files, ret_config);
	}
	rpc_files_check_expiry(files);
	pthread_mutex_unlock(&files->lock);
	return status;
}

grpc_server_credentials *rpc_files_server(struct rpc_files *files)
{
	return grpc_ssl_server_credentials_create_with_options(
		grpc_ssl_server_credentials_create_options_using_config_fetcher(
			GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, rpc_files_fetch,
			files));
}
