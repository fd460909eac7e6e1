/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <grpc/support/alloc.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/id.h"
#include "rpc/internal.h"

#define CERTIFICATE_MAX_FILE (1024 * 1024)

static uint64_t certificate_time(const ASN1_TIME *time)
{
	struct tm tm;
	time_t seconds;

	if (!time || ASN1_TIME_to_tm(time, &tm) != 1)
		return 0;
	seconds = timegm(&tm);
	if (seconds < 0)
		return 0;
	if ((uint64_t)seconds > UINT64_MAX / CLOCK_NS_PER_S) /* the year 2554 */
		return UINT64_MAX;
	return (uint64_t)seconds * CLOCK_NS_PER_S;
}

/* Exactly one URI, or none counts: which of several would be the identity is anybody's guess. */
static void certificate_uri(const X509 *x509, char *ret_uri, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x509, NID_subject_alt_name, NULL, NULL);
	const ASN1_STRING *uri = NULL;
	int n_uris = 0;
	size_t len;

	ret_uri[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_URI)
			continue;
		uri = name->d.uniformResourceIdentifier;
		n_uris++;
	}
	if (n_uris == 1) {
		len = (size_t)ASN1_STRING_length(uri);
		if (len < size && !memchr(ASN1_STRING_get0_data(uri), '\0', len)) {
			memcpy(ret_uri, ASN1_STRING_get0_data(uri), len);
			ret_uri[len] = '\0';
		}
	}
	GENERAL_NAMES_free(names);
}

static bool certificate_key_is_p256(const X509 *x509)
{
	EVP_PKEY *key = X509_get0_pubkey(x509);
	char group[64];

	return key && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
	       EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
	       strcmp(group, "prime256v1") == 0;
}

static void certificate_fingerprint(const X509 *x509, char ret_text[RPC_FINGERPRINT_SIZE])
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	ret_text[0] = '\0';
	if (X509_digest(x509, EVP_sha256(), digest, &size) && size == 32)
		id_hex(digest, size, ret_text);
}

bool rpc_certificate_parse(const char *pem, size_t size, struct rpc_certificate *ret_certificate)
{
	BIO *text = BIO_new_mem_buf(pem, (int)size);
	X509 *x509 = text ? PEM_read_bio_X509(text, NULL, NULL, NULL) : NULL;

	BIO_free(text);
	if (!x509)
		return false;
	certificate_uri(x509, ret_certificate->uri, sizeof(ret_certificate->uri));
	ret_certificate->not_before_unix_ns = certificate_time(X509_get0_notBefore(x509));
	ret_certificate->not_after_unix_ns = certificate_time(X509_get0_notAfter(x509));
	ret_certificate->is_ecdsa_p256 = certificate_key_is_p256(x509);
	certificate_fingerprint(x509, ret_certificate->fingerprint);
	X509_free(x509);
	return true;
}

int rpc_certificate_read(const char *path, struct rpc_certificate *ret_certificate,
			 struct errmsg *err)
{
	_cleanup_free_ char *pem = NULL;
	size_t size;
	int r;

	r = file_read(path, CERTIFICATE_MAX_FILE, &pem, &size);
	if (r < 0) {
		errmsg_at(err, path, 0, 0, "cannot read the certificate: %s", log_errno(r));
		return r;
	}
	if (!rpc_certificate_parse(pem, size, ret_certificate)) {
		errmsg_at(err, path, 0, 0, "not a certificate in PEM form");
		return -EBADMSG;
	}
	return 0;
}

/* ---- SPIFFE identifiers (the SPIFFE ID standard, section 2) ---- */

static bool spiffe_part(const char **pos, char end, const char *allowed, char *ret_part,
			size_t size)
{
	size_t len = strspn(*pos, allowed);

	if (len == 0 || len >= size || (*pos)[len] != end)
		return false;
	memcpy(ret_part, *pos, len);
	ret_part[len] = '\0';
	*pos += len + (end != '\0');
	return true;
}

#define SPIFFE_LOWER "abcdefghijklmnopqrstuvwxyz0123456789._-"
#define SPIFFE_NAME  "ABCDEFGHIJKLMNOPQRSTUVWXYZ" SPIFFE_LOWER

bool rpc_spiffe_parse(const char *uri, struct rpc_spiffe *ret_id)
{
	struct rpc_spiffe id;

	if (strncmp(uri, "spiffe://", 9) != 0)
		return false;
	uri += 9;
	if (!spiffe_part(&uri, '/', SPIFFE_LOWER, id.trust_domain, sizeof(id.trust_domain)) ||
	    !spiffe_part(&uri, '/', SPIFFE_NAME, id.kind, sizeof(id.kind)) ||
	    !spiffe_part(&uri, '\0', SPIFFE_NAME, id.name, sizeof(id.name)))
		return false;
	/* Path segments "." and ".." are not allowed (section 2.2). */
	if (strcmp(id.name, ".") == 0 || strcmp(id.name, "..") == 0)
		return false;
	*ret_id = id;
	return true;
}

/* ---- the peer of a call ---- */

void rpc_call_read_peer(struct rpc_call *call, struct rpc_certificate *ret_certificate)
{
	grpc_auth_context *context = grpc_call_auth_context(call->call);
	char *address = grpc_call_get_peer(call->call);
	grpc_auth_property_iterator it;
	const grpc_auth_property *pem;

	memset(ret_certificate, 0, sizeof(*ret_certificate));
	if (address)
		snprintf(call->peer.address, sizeof(call->peer.address), "%s", address);
	gpr_free(address);
	if (!context)
		return;
	it = grpc_auth_context_find_properties_by_name(context, GRPC_X509_PEM_CERT_PROPERTY_NAME);
	pem = grpc_auth_property_iterator_next(&it);
	if (pem && rpc_certificate_parse(pem->value, pem->value_length, ret_certificate)) {
		memcpy(call->peer.uri, ret_certificate->uri, sizeof(call->peer.uri));
		call->peer.not_after_unix_ns = ret_certificate->not_after_unix_ns;
		memcpy(call->peer.fingerprint, ret_certificate->fingerprint,
		       sizeof(call->peer.fingerprint));
	}
	grpc_auth_context_release(context);
}
