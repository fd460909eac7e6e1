/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/*
 * A throw-away PKI for tests, in a temporary folder: real certificates, made in milliseconds with
 * OpenSSL. Every function asserts (cmocka) instead of returning an error.
 */
struct pki {
	char dir[64];
};

struct pki_leaf {
	const char *ca;	  /* name of the CA that signs */
	const char *name; /* NAME.pem and NAME.key in the folder */
	const char *uri,
		*uri2; /* URI SANs, may be NULL; DNS:localhost and IP:127.0.0.1 are always there */
	int from_s, to_s; /* validity, seconds relative to now; 0, 0 = an hour ago to in a day */
	bool rsa;
	bool only_key_of; /* the certificate file is left as it is: a pair that does not fit */
};

void pki_init(struct pki *pki);
void pki_deinit(struct pki *pki); /* removes the folder */
void pki_ca(const struct pki *pki, const char *name);
void pki_issue(const struct pki *pki, const struct pki_leaf *leaf);
/* DIR/NAME SUFFIX in one of a few rotating buffers. */
const char *pki_path(const struct pki *pki, const char *name, const char *suffix);
