/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "rpc/rpc.h"

/* Who a peer is, from its certificate alone, and what an operator may do. Pure. */
enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN };

extern const char *const role_names[]; /* by number, NULL at the end */

struct role_entry {
	char *name; /* of the operator's certificate */
	int role;
};

enum caller_kind { CALLER_HOST, CALLER_OPERATOR, CALLER_AGGREGATOR };

struct caller {
	enum caller_kind kind;
	char name[129];
	char uri[512];				/* SPIFFE URI, for the audit */
	char certificate[RPC_FINGERPRINT_SIZE]; /* its fingerprint */
};

/* RPC_OK; else a status and *ret_details (static text). */
int caller_identify(const struct rpc_peer *peer, const char *trust_domain,
		    struct caller *ret_caller, const char **ret_details);
enum role role_of(const char *name, const struct role_entry *entries, size_t n_entries,
		  enum role otherwise);
