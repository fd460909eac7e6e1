/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/errmsg.h"

/* PEM files. ECDSA P-256 expected; RSA is refused. Verification cannot be switched off. */
struct rpc_credentials {
	const char *ca_file, *certificate_file, *key_file;
};

/* Splits spiffe://TRUST-DOMAIN/KIND/NAME; false if it is not of that form (name: 1 to 128 of
 * [A-Za-z0-9._-]). Pure. */
struct rpc_spiffe {
	char trust_domain[256], kind[32], name[129];
};
bool rpc_spiffe_parse(const char *uri, struct rpc_spiffe *ret_id);

/* SHA-256 over the certificate's DER form, lower-case hexadecimal, and NUL. */
#define RPC_FINGERPRINT_SIZE 65

/* Reads the leaf of a PEM file: URI SAN, notBefore, notAfter, key type. For checks before use and
 * for alarms. 0 or -errno/-EBADMSG with @err. [any thread] */
struct rpc_certificate {
	char uri[512];
	uint64_t not_before_unix_ns, not_after_unix_ns;
	bool is_ecdsa_p256;
	char fingerprint[RPC_FINGERPRINT_SIZE];
};
int rpc_certificate_read(const char *path, struct rpc_certificate *ret_certificate,
			 struct errmsg *err);
/* Certificate and key belong together and both can be read. 0 or -errno with @err. [any thread] */
int rpc_credentials_check(const struct rpc_credentials *credentials, struct errmsg *err);
