/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/roles.h"

#include <string.h>

const char *const role_names[] = { "none", "viewer", "operator", "admin", NULL };

int caller_identify(const struct rpc_peer *peer, const char *trust_domain,
		    struct caller *ret_caller, const char **ret_details)
{
	static const struct {
		const char *text;
		enum caller_kind kind;
	} kinds[] = {
		{ "host", CALLER_HOST },
		{ "operator", CALLER_OPERATOR },
		{ "aggregator", CALLER_AGGREGATOR },
	};
	struct rpc_spiffe id;

	if (!rpc_spiffe_parse(peer->uri, &id)) {
		*ret_details = "the certificate has no single URI SAN of the form "
			       "spiffe://TRUST-DOMAIN/KIND/NAME";
		return RPC_UNAUTHENTICATED;
	}
	if (strcmp(id.trust_domain, trust_domain) != 0) {
		*ret_details = "the certificate is of another trust domain";
		return RPC_PERMISSION_DENIED;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(id.kind, kinds[i].text) != 0)
			continue;
		ret_caller->kind = kinds[i].kind;
		memcpy(ret_caller->name, id.name, sizeof(ret_caller->name));
		memcpy(ret_caller->uri, peer->uri, sizeof(ret_caller->uri));
		memcpy(ret_caller->certificate, peer->fingerprint, sizeof(ret_caller->certificate));
		return RPC_OK;
	}
	*ret_details =
		"the certificate's URI SAN names neither a host, an operator nor an aggregator";
	return RPC_PERMISSION_DENIED;
}

enum role role_of(const char *name, const struct role_entry *entries, size_t n_entries,
		  enum role otherwise)
{
	for (size_t i = 0; i < n_entries; i++)
		if (strcmp(entries[i].name, name) == 0)
			return (enum role)entries[i].role;
	return otherwise;
}
