/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "ctl/client.h"
#include "rpc/rpc.h"

/*
 * What a person can do about a failed call. gRPC reports connection failures as text only, so the
 * words of libgrpc 1.51 and of strerror are looked for; anything else is passed on as it is.
 */

static bool explain_has(const char *text, const char *const *words)
{
	for (; *words; words++) {
		if (strcasestr(text, *words))
			return true;
	}
	return false;
}

static void explain_unavailable(const struct settings *settings, const char *text, char *ret_text,
				size_t size)
{
	static const char *const refused[] = { "refused", NULL };
	static const char *const names[] = { "resolution", "resolve", "DNS", NULL };
	static const char *const tls[] = { "certificate", "handshake", "ssl",
					   "tls",	  "peer name", NULL };
	static const char *const routes[] = { "unreachable", "no route", "timed out", "timeout",
					      NULL };
	const char *server = settings->server;

	if (explain_has(text, refused))
		snprintf(ret_text, size,
			 "no aggregator listens on %s (connection refused); on that machine try: "
			 "systemctl status "
			 "pathbell-aggregator. Another address: --server HOST:PORT",
			 server);
	else if (explain_has(text, tls))
		snprintf(ret_text, size,
			 "TLS with %s failed: %s. The aggregator's certificate must be signed by "
			 "%s and name that host, and "
			 "yours (%s) by the authority that it trusts; compare them with: pathbell "
			 "pki show FILE",
			 server, text, settings->ca_file, settings->certificate_file);
	else if (explain_has(text, names))
		snprintf(ret_text, size,
			 "the name in %s cannot be resolved (%s); check server or --server "
			 "HOST:PORT",
			 server, text);
	else if (explain_has(text, routes))
		snprintf(ret_text, size,
			 "%s cannot be reached: %s; check the address, the network and firewalls",
			 server, text);
	else
		snprintf(ret_text, size, "%s is not available: %s", server,
			 *text ? text : "no reason given");
}

int client_explain(const struct settings *settings, int status, const char *details,
		   const char *reason, char *ret_text, size_t size)
{
	switch (status) {
	case RPC_UNAVAILABLE:
		explain_unavailable(settings, *reason ? reason : details, ret_text, size);
		return CLI_UNAVAILABLE;
	case RPC_DEADLINE_EXCEEDED:
		snprintf(ret_text, size,
			 "no answer from %s within %.3g s%s%s; --timeout waits longer",
			 settings->server, (double)settings->timeout_ns / (double)CLOCK_NS_PER_S,
			 *reason ? ": " : "", reason);
		return CLI_UNAVAILABLE;
	case RPC_PERMISSION_DENIED:
	case RPC_UNAUTHENTICATED:
		snprintf(ret_text, size,
			 "%s refuses this request: %s. It was made with %s; the aggregator's "
			 "`roles` say who may do what",
			 settings->server, *details ? details : "no reason given",
			 settings->certificate_file);
		return CLI_PERMISSION;
	case RPC_NOT_FOUND:
		snprintf(ret_text, size, "%s", *details ? details : "not found");
		return CLI_NOT_FOUND;
	case RPC_UNIMPLEMENTED:
		snprintf(ret_text, size,
			 "%s does not know this request (%s): it may be older than this program",
			 settings->server, details);
		return CLI_FAILED;
	default:
		snprintf(ret_text, size, "%s: %s%s%s", settings->server, rpc_status_name(status),
			 *details ? ": " : "", details);
		return CLI_FAILED;
	}
}
