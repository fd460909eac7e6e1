/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fd.h"
#include "core/file.h"

/*
 * One certificate, in steps: check the names; lock the folder (two runs at once cannot overwrite
 * each other's files); make the key; fill the certificate; sign it with the CA's key, or with its
 * own; write the key, then the certificate, each by rename. A crash between the two leaves a key
 * without a certificate: the next run says that the file exists, and --force replaces it.
 */

struct certificate_issuer {
	X509 *certificate;
	EVP_PKEY *key;
	char trust_domain[256];
};

static const char *const certificate_role_names[] = { "ca", "aggregator", "host", "operator" };

static bool certificate_is_made_of(const char *text, const char *allowed, size_t max)
{
	size_t len = strlen(text);

	return len >= 1 && len <= max && strspn(text, allowed) == len && strcmp(text, ".") != 0 &&
	       strcmp(text, "..") != 0;
}

bool certificate_name_is_valid(const char *name)
{
	return certificate_is_made_of(
		name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-",
		CERTIFICATE_NAME_MAX);
}

bool certificate_trust_domain_is_valid(const char *name)
{
	return certificate_is_made_of(name, "abcdefghijklmnopqrstuvwxyz0123456789._-", 255);
}

/* "DNS:x" or "IP:x". Wildcards are refused: a certificate names machines, not patterns. */
static int certificate_san(const char *san, char *ret_text, size_t size, struct errmsg *err)
{
	unsigned char address[16];

	if (inet_pton(AF_INET, san, address) == 1 || inet_pton(AF_INET6, san, address) == 1)
		return snprintf(ret_text, size, "IP:%s", san) > 0 ? 0 : -EINVAL;
	if (certificate_name_is_valid(san) && !strchr(san, '_')) {
		snprintf(ret_text, size, "DNS:%s", san);
		return 0;
	}
	errmsg_set(err,
		   "--san '%.100s' is neither a DNS name (letters, digits, dots, hyphens; no "
		   "wildcard) nor an IP address",
		   san);
	return -EINVAL;
}

static int certificate_check(const struct certificate_request *request, struct errmsg *err)
{
	if (request->role == CERTIFICATE_CA && !certificate_trust_domain_is_valid(request->name)) {
		errmsg_set(
			err,
			"trust domain '%.60s': use 1 to 255 of a-z, 0-9, dot, hyphen, underscore",
			request->name);
		return -EINVAL;
	}
	if (request->role != CERTIFICATE_CA && !certificate_name_is_valid(request->name)) {
		errmsg_set(err,
			   "name '%.60s': use 1 to %d of A-Z, a-z, 0-9, dot, hyphen, underscore",
			   request->name, CERTIFICATE_NAME_MAX);
		return -EINVAL;
	}
	if (request->role == CERTIFICATE_AGGREGATOR && request->n_sans == 0) {
		errmsg_set(err,
			   "an aggregator needs --san: the DNS name or IP address that hosts dial");
		return -EINVAL;
	}
	if (request->n_sans > CERTIFICATE_SANS_MAX) {
		errmsg_set(err, "more than %d --san", CERTIFICATE_SANS_MAX);
		return -EINVAL;
	}
	return 0;
}

static int certificate_paths(const struct certificate_request *request, const char *trust_domain,
			     struct certificate_files *ret_files, struct errmsg *err)
{
	const char *role = certificate_role_names[request->role];
	size_t size = sizeof(ret_files->key);
	bool ca = request->role == CERTIFICATE_CA;
	int n = snprintf(ret_files->certificate, size, "%s/%s%s%s.pem", request->dir, role,
			 ca ? "" : "-", ca ? "" : request->name);

	snprintf(ret_files->key, size, "%s/%s%s%s.key", request->dir, role, ca ? "" : "-",
		 ca ? "" : request->name);
	if (n < 0 || (size_t)n >= size) {
		errmsg_set(err, "the path is longer than %zu bytes", size - 1);
		return -ENAMETOOLONG;
	}
	if (ca)
		snprintf(ret_files->uri, size, "spiffe://%s", trust_domain);
	else
		snprintf(ret_files->uri, size, "spiffe://%s/%s/%s", trust_domain, role,
			 request->name);
	return 0;
}

static int certificate_must_not_exist(const struct certificate_files *files, struct errmsg *err)
{
	const char *paths[] = { files->certificate, files->key };
	struct stat st;

	for (size_t i = 0; i < 2; i++) {
		if (lstat(paths[i], &st) != 0)
			continue;
		errmsg_at(err, paths[i], 0, 0, "exists already; --force replaces it");
		return -EEXIST;
	}
	return 0;
}

/* ---- reading ---- */

static int certificate_open(const char *path, BIO **ret_bio, struct errmsg *err)
{
	errno = 0;
	*ret_bio = BIO_new_file(path, "r");
	if (*ret_bio)
		return 0;
	int r = errno ? -errno : -EIO;

	errmsg_at(err, path, 0, 0, "%s", strerror(-r));
	return r;
}

static int certificate_load(const char *path, X509 **ret_certificate, struct errmsg *err)
{
	BIO *bio = NULL;
	int r = certificate_open(path, &bio, err);

	if (r < 0)
		return r;
	*ret_certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	BIO_free(bio);
	if (*ret_certificate)
		return 0;
	errmsg_at(err, path, 0, 0, "holds no PEM certificate");
	return -EBADMSG;
}

/* No prompt for a passphrase: pathbell runs in scripts. */
static int certificate_no_passphrase(char *buffer, int size, int writing, void *data)
{
	return -1;
}

static int certificate_load_key(const char *path, EVP_PKEY **ret_key, struct errmsg *err)
{
	BIO *bio = NULL;
	int r = certificate_open(path, &bio, err);

	if (r < 0)
		return r;
	*ret_key = PEM_read_bio_PrivateKey(bio, NULL, certificate_no_passphrase, NULL);
	BIO_free(bio);
	if (*ret_key)
		return 0;
	errmsg_at(err, path, 0, 0, "holds no private key in PEM without a passphrase");
	return -EBADMSG;
}

/* All SANs of one type joined by ", " (NULL type list); for URIs only when there is exactly one. */
static void certificate_sans_text(const X509 *certificate, bool uri, char *ret_text, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	size_t len = 0;
	int n_uris = 0;

	ret_text[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const unsigned char *data = ASN1_STRING_get0_data(name->d.ia5);
		int data_size = ASN1_STRING_length(name->d.ia5);
		char address[INET6_ADDRSTRLEN];

		if (name->type == GEN_URI)
			n_uris++;
		if (uri != (name->type == GEN_URI) || len >= size)
			continue;
		if (name->type == GEN_IPADD &&
		    inet_ntop(data_size == 4 ? AF_INET : AF_INET6, data, address, sizeof(address)))
			len += (size_t)snprintf(ret_text + len, size - len, "%sIP:%s",
						len ? ", " : "", address);
		else if (name->type == GEN_DNS || name->type == GEN_URI)
			len += (size_t)snprintf(ret_text + len, size - len, "%s%s%.*s",
						len ? ", " : "", uri ? "" : "DNS:", data_size,
						data);
	}
	GENERAL_NAMES_free(names);
	if (uri && n_uris != 1)
		ret_text[0] = '\0';
}

static uint64_t certificate_time(const ASN1_TIME *time)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1)
		return 0;
	time_t seconds = timegm(&tm);

	return seconds > 0 ? (uint64_t)seconds * CLOCK_NS_PER_S : 0;
}

static void certificate_issuer_free(struct certificate_issuer *issuer)
{
	X509_free(issuer->certificate);
	EVP_PKEY_free(issuer->key);
	*issuer = (struct certificate_issuer){ 0 };
}

static int certificate_issuer_load(const char *dir, struct certificate_issuer *ret_issuer,
				   struct errmsg *err)
{
	char path[512];
	char uri[512];
	int r;

	snprintf(path, sizeof(path), "%s/ca.pem", dir);
	r = certificate_load(path, &ret_issuer->certificate, err);
	if (r == -ENOENT)
		errmsg_set(err,
			   "no certificate authority here; make one with: pathbell pki init --dir "
			   "%.200s --trust-domain NAME",
			   dir);
	if (r < 0)
		return r;
	certificate_sans_text(ret_issuer->certificate, true, uri, sizeof(uri));
	if (strncmp(uri, "spiffe://", 9) != 0 || !certificate_trust_domain_is_valid(uri + 9)) {
		errmsg_at(err, path, 0, 0,
			  "names no trust domain (URI SAN spiffe://NAME); it was not made by "
			  "pathbell pki init");
		return -EBADMSG;
	}
	snprintf(ret_issuer->trust_domain, sizeof(ret_issuer->trust_domain), "%.255s", uri + 9);
	snprintf(path, sizeof(path), "%s/ca.key", dir);
	r = certificate_load_key(path, &ret_issuer->key, err);
	if (r == 0 && X509_check_private_key(ret_issuer->certificate, ret_issuer->key) != 1) {
		errmsg_at(err, path, 0, 0, "is not the key of ca.pem beside it");
		r = -EBADMSG;
	}
	return r;
}

/* ---- making ---- */

static bool certificate_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	int ok;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	if (!extension)
		return false;
	ok = X509_add_ext(certificate, extension, -1);
	X509_EXTENSION_free(extension);
	return ok == 1;
}

static bool certificate_add_sans(X509 *certificate, const struct certificate_request *request,
				 const char *uri)
{
	char text[512 + CERTIFICATE_SANS_MAX * (CERTIFICATE_NAME_MAX + 8)];
	size_t len = (size_t)snprintf(text, sizeof(text), "URI:%s", uri);

	for (size_t i = 0; i < request->n_sans; i++) {
		text[len++] = ',';
		if (certificate_san(request->sans[i], text + len, sizeof(text) - len, NULL) < 0)
			return false;
		len += strlen(text + len);
	}
	return certificate_extension(certificate, NULL, NID_subject_alt_name, text);
}

/* RFC 5280 section 4.2; SPIFFE X.509-SVID section 4: a leaf has digitalSignature and no CA bit. */
static bool certificate_add_extensions(X509 *certificate, X509 *issuer,
				       const struct certificate_request *request, const char *uri)
{
	bool ca = request->role == CERTIFICATE_CA;
	bool server = request->role == CERTIFICATE_AGGREGATOR;

	return certificate_extension(certificate, issuer, NID_basic_constraints,
				     ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") &&
	       certificate_extension(certificate, issuer, NID_key_usage,
				     ca ? "critical,keyCertSign,cRLSign"
					: "critical,digitalSignature") &&
	       (ca || certificate_extension(certificate, issuer, NID_ext_key_usage,
					    server ? "serverAuth,clientAuth" : "clientAuth")) &&
	       certificate_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
	       certificate_extension(certificate, issuer, NID_authority_key_identifier,
				     "keyid:always") &&
	       certificate_add_sans(certificate, request, uri);
}

/* 128 random bits; the top bit stays clear so that the number is positive in 16 bytes. */
static bool certificate_set_serial(X509 *certificate)
{
	BIGNUM *number = BN_new();
	bool ok = number && BN_rand(number, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
		  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;

	BN_free(number);
	return ok;
}

static bool certificate_set_times(X509 *certificate, const struct certificate_request *request)
{
	time_t from = (time_t)(request->now_ns / CLOCK_NS_PER_S) - CERTIFICATE_BACKDATE_S;
	time_t until = (time_t)(request->not_after_ns / CLOCK_NS_PER_S);

	if (until <= from)
		from = until - 86400; /* an expired certificate for a test */
	return ASN1_TIME_set(X509_getm_notBefore(certificate), from) &&
	       ASN1_TIME_set(X509_getm_notAfter(certificate), until);
}

static bool certificate_set_subject(X509 *certificate, const struct certificate_request *request)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	char common[65]; /* ub-common-name 64, RFC 5280 appendix A.1 */

	snprintf(common, sizeof(common), "%s%s", request->role == CERTIFICATE_CA ? "CA " : "",
		 request->name);
	return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
					  (const unsigned char *)"Pathbell", -1, -1, 0) == 1 &&
	       X509_NAME_add_entry_by_txt(
		       name, "OU", MBSTRING_ASC,
		       (const unsigned char *)certificate_role_names[request->role], -1, -1,
		       0) == 1 &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common,
					  -1, -1, 0) == 1;
}

static X509 *certificate_build(const struct certificate_request *request,
			       const struct certificate_issuer *issuer, EVP_PKEY *key,
			       const char *uri)
{
	X509 *certificate = X509_new();
	X509 *parent = issuer->certificate ? issuer->certificate : certificate;
	EVP_PKEY *signer = issuer->key ? issuer->key : key;

	if (certificate && X509_set_version(certificate, X509_VERSION_3) == 1 &&
	    certificate_set_serial(certificate) && certificate_set_times(certificate, request) &&
	    certificate_set_subject(certificate, request) &&
	    X509_set_issuer_name(certificate, X509_get_subject_name(parent)) == 1 &&
	    X509_set_pubkey(certificate, key) == 1 &&
	    certificate_add_extensions(certificate, parent, request, uri) &&
	    X509_sign(certificate, signer, EVP_sha256()) > 0)
		return certificate;
	X509_free(certificate);
	return NULL;
}

static int certificate_write(const char *path, BIO *bio, mode_t mode, struct errmsg *err)
{
	char *data = NULL;
	long size = BIO_get_mem_data(bio, &data);
	int r = file_replace(path, data, (size_t)size, mode);

	if (r < 0)
		errmsg_at(err, path, 0, 0, "cannot be written: %s", strerror(-r));
	return r;
}

static int certificate_save(X509 *certificate, EVP_PKEY *key, const struct certificate_files *files,
			    struct errmsg *err)
{
	BIO *key_bio = BIO_new(BIO_s_secmem()); /* cleared when freed */
	BIO *certificate_bio = BIO_new(BIO_s_mem());
	int r = -ENOMEM;

	if (key_bio && certificate_bio &&
	    PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) == 1 &&
	    PEM_write_bio_X509(certificate_bio, certificate) == 1)
		r = certificate_write(files->key, key_bio, 0600, err);
	else
		errmsg_set(err, "out of memory");
	if (r == 0)
		r = certificate_write(files->certificate, certificate_bio, 0644, err);
	BIO_free(key_bio);
	BIO_free(certificate_bio);
	return r;
}

static int certificate_make_locked(const struct certificate_request *request,
				   struct certificate_files *files, struct errmsg *err)
{
	struct certificate_issuer issuer = { 0 };
	EVP_PKEY *key = NULL;
	X509 *certificate = NULL;
	int r = request->role == CERTIFICATE_CA
			? 0
			: certificate_issuer_load(request->dir, &issuer, err);

	if (r == 0)
		r = certificate_paths(request,
				      issuer.certificate ? issuer.trust_domain : request->name,
				      files, err);
	if (r == 0 && !request->force)
		r = certificate_must_not_exist(files, err);
	if (r == 0 && issuer.certificate &&
	    request->not_after_ns > certificate_time(X509_get0_notAfter(issuer.certificate))) {
		errmsg_set(err, "would outlive the certificate authority; use fewer --days, or "
				"make a new authority");
		r = -EINVAL;
	}
	if (r == 0) {
		key = EVP_EC_gen("P-256");
		certificate = key ? certificate_build(request, &issuer, key, files->uri) : NULL;
		if (certificate)
			r = certificate_save(certificate, key, files, err);
		else
			r = -ENOMEM;
		if (!certificate)
			errmsg_set(err, "OpenSSL could not make the key or the certificate");
	}
	X509_free(certificate);
	EVP_PKEY_free(key);
	certificate_issuer_free(&issuer);
	return r;
}

int certificate_make(const struct certificate_request *request, struct certificate_files *ret_files,
		     struct errmsg *err)
{
	char san[CERTIFICATE_NAME_MAX + 8];
	_cleanup_fd_ int lock = -1;
	int r = certificate_check(request, err);

	for (size_t i = 0; r == 0 && i < request->n_sans; i++)
		r = certificate_san(request->sans[i], san, sizeof(san), err);
	if (r == 0 && request->role == CERTIFICATE_CA)
		r = file_mkdirs(request->dir, 0755);
	if (r < 0 && r != -EINVAL)
		errmsg_at(err, request->dir, 0, 0, "cannot be made: %s", strerror(-r));
	if (r < 0)
		return r;
	lock = open(request->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lock < 0 || flock(lock, LOCK_EX) != 0) {
		r = -errno;
		errmsg_at(err, request->dir, 0, 0, "%s%s", strerror(-r),
			  r == -ENOENT ? "; make it with pathbell pki init" : "");
		return r;
	}
	return certificate_make_locked(request, ret_files, err);
}

/* ---- showing ---- */

static void certificate_usage(X509 *certificate, char *ret_text, size_t size)
{
	uint32_t usage = X509_get_extended_key_usage(certificate);
	bool any = usage == UINT32_MAX; /* OpenSSL: no such extension */

	snprintf(ret_text, size, "%s%s%s",
		 any			  ? ""
		 : usage & XKU_SSL_SERVER ? "server"
					  : "",
		 !any && (usage & XKU_SSL_SERVER) && (usage & XKU_SSL_CLIENT) ? ", " : "",
		 any			  ? "any"
		 : usage & XKU_SSL_CLIENT ? "client"
					  : "");
}

static void certificate_key_text(const X509 *certificate, char *ret_text, size_t size)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	char group[40] = "";

	if (key && EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1)
		snprintf(ret_text, size, "EC %s",
			 strcmp(group, "prime256v1") == 0 ? "P-256" : group);
	else
		snprintf(ret_text, size, "%s, %d bits",
			 key ? EVP_PKEY_get0_type_name(key) : "unreadable",
			 key ? EVP_PKEY_get_bits(key) : 0);
}

static void certificate_fingerprint(const X509 *certificate, char *ret_text, size_t size)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_size = 0;

	ret_text[0] = '\0';
	if (X509_digest(certificate, EVP_sha256(), digest, &digest_size) != 1)
		return;
	for (unsigned i = 0; i < digest_size && 2 * i + 3 <= size; i++)
		snprintf(ret_text + 2 * i, 3, "%02x", digest[i]);
}

static void certificate_name_text(const X509_NAME *name, char *ret_text, size_t size)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;
	long len;

	ret_text[0] = '\0';
	if (!bio)
		return;
	X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
	len = BIO_get_mem_data(bio, &data);
	snprintf(ret_text, size, "%.*s", (int)len, data ? data : "");
	BIO_free(bio);
}

int certificate_read(const char *path, struct certificate_info *ret_info, struct errmsg *err)
{
	X509 *certificate = NULL;
	BIGNUM *serial;
	char *hex;
	int r = certificate_load(path, &certificate, err);

	if (r < 0)
		return r;
	*ret_info = (struct certificate_info){
		.not_before_ns = certificate_time(X509_get0_notBefore(certificate)),
		.not_after_ns = certificate_time(X509_get0_notAfter(certificate)),
		.ca = X509_check_ca(certificate) != 0,
	};
	certificate_name_text(X509_get_subject_name(certificate), ret_info->subject,
			      sizeof(ret_info->subject));
	certificate_name_text(X509_get_issuer_name(certificate), ret_info->issuer,
			      sizeof(ret_info->issuer));
	certificate_sans_text(certificate, true, ret_info->uri, sizeof(ret_info->uri));
	certificate_sans_text(certificate, false, ret_info->sans, sizeof(ret_info->sans));
	certificate_usage(certificate, ret_info->usage, sizeof(ret_info->usage));
	certificate_key_text(certificate, ret_info->key, sizeof(ret_info->key));
	certificate_fingerprint(certificate, ret_info->fingerprint, sizeof(ret_info->fingerprint));
	serial = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
	hex = serial ? BN_bn2hex(serial) : NULL;
	snprintf(ret_info->serial, sizeof(ret_info->serial), "%s", hex ? hex : "");
	OPENSSL_free(hex);
	BN_free(serial);
	X509_free(certificate);
	return 0;
}
