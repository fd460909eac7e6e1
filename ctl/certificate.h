/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/errmsg.h"

/*
 * The fleet's own small certificate authority: EC P-256, ECDSA with SHA-256, identity as one URI
 * SAN of SPIFFE's form (SPIFFE X.509-SVID section 2). The trust domain is kept in the CA
 * certificate.
 */
#define CERTIFICATE_NAME_MAX   128
#define CERTIFICATE_SANS_MAX   32
#define CERTIFICATE_LEAF_DAYS  30
#define CERTIFICATE_CA_DAYS    3650
#define CERTIFICATE_BACKDATE_S 60 /* clocks of hosts differ */

enum certificate_role {
	CERTIFICATE_CA,
	CERTIFICATE_AGGREGATOR,
	CERTIFICATE_HOST,
	CERTIFICATE_OPERATOR
};

struct certificate_request {
	enum certificate_role role;
	const char *dir;
	const char *name; /* of host, operator, aggregator; of a CA its trust domain */
	const char *const
		*sans; /* DNS names and IP addresses; only for an aggregator, which needs one */
	size_t n_sans;
	uint64_t now_ns, not_after_ns;
	bool force; /* replace files that exist */
};

struct certificate_files {
	char certificate[512], key[512], uri[512];
};

/* 1 to 128 of [A-Za-z0-9._-], not "." or "..". Pure. */
bool certificate_name_is_valid(const char *name);
/* Lower case as in SPIFFE ID section 2.1: 1 to 255 of [a-z0-9._-]. Pure. */
bool certificate_trust_domain_is_valid(const char *name);

/*
 * Makes a key and a certificate for it: a CA (self-signed), else one signed by DIR/ca.pem and
 * DIR/ca.key. Files are written whole or not at all; keys 0600, certificates 0644. 0; -EEXIST,
 * -ENOENT (no CA), -EINVAL (name, SAN, time), -EACCES, other -errno; all with @err.
 */
int certificate_make(const struct certificate_request *request, struct certificate_files *ret_files,
		     struct errmsg *err);

struct certificate_info {
	char subject[256], issuer[256], uri[512], sans[1024], key[64], serial[64], fingerprint[96],
		usage[128];
	uint64_t not_before_ns, not_after_ns;
	bool ca;
};
/* What a PEM file holds. 0, -ENOENT, -EACCES, -EBADMSG; with @err. */
int certificate_read(const char *path, struct certificate_info *ret_info, struct errmsg *err);
