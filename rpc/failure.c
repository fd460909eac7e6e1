/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "rpc/internal.h"

struct failure_text {
	const char *text;
	enum rpc_failure failure;
};

/*
 * What the details of UNAVAILABLE mean. gRPC 1.51 gives no other reason than its text, which is a
 * chain of sentences, the root cause last or nested; the more exact rows come first. From its
 * source: chttp2_connector, security_handshaker, tcp_client_posix, dns_resolver_ares,
 * chttp2_transport.
 */
static const struct failure_text failure_texts[] = {
	{ "certificate", RPC_FAILURE_TLS },
	{ "ssl handshake", RPC_FAILURE_TLS },
	{ "ssl_error", RPC_FAILURE_TLS },
	{ "peer name", RPC_FAILURE_TLS },
	{ "handshake failed", RPC_FAILURE_TLS },
	{ "alpn", RPC_FAILURE_TLS },
	{ "too_many_pings", RPC_FAILURE_BUSY },
	{ "too many pings", RPC_FAILURE_BUSY },
	{ "enhance_your_calm", RPC_FAILURE_BUSY },
	{ "connection refused", RPC_FAILURE_REFUSED },
	{ "no route to host", RPC_FAILURE_REFUSED },
	{ "network is unreachable", RPC_FAILURE_REFUSED },
	{ "name resolution", RPC_FAILURE_REFUSED },
	{ "dns resolution", RPC_FAILURE_REFUSED },
	{ "domain name not found", RPC_FAILURE_REFUSED },
	{ "timed out", RPC_FAILURE_TIMEOUT },
	{ "timeout", RPC_FAILURE_TIMEOUT },
	{ "watchdog", RPC_FAILURE_TIMEOUT },
	{ "deadline", RPC_FAILURE_TIMEOUT },
};

/*
 * Under TLS 1.3 a client whose certificate is refused believes for a moment that it is connected
 * (pitfall 21): the attempt ends with a closed socket and no word about TLS.
 */
static bool failure_is_refused_certificate(const char *details)
{
	return strcasestr(details, "failed to connect") &&
	       (strcasestr(details, "socket closed") || strcasestr(details, "connection reset"));
}

static enum rpc_failure failure_of_text(const char *details)
{
	if (failure_is_refused_certificate(details))
		return RPC_FAILURE_TLS;
	for (size_t i = 0; i < sizeof(failure_texts) / sizeof(failure_texts[0]); i++) {
		if (strcasestr(details, failure_texts[i].text))
			return failure_texts[i].failure;
	}
	return RPC_FAILURE_LOST;
}

enum rpc_failure rpc_classify_failure(int status, const char *details)
{
	switch (status) {
	case RPC_OK:
		return RPC_FAILURE_NONE;
	case RPC_UNAVAILABLE:
		return failure_of_text(details ? details : "");
	case RPC_DEADLINE_EXCEEDED:
		return RPC_FAILURE_TIMEOUT;
	case RPC_UNAUTHENTICATED:
	case RPC_PERMISSION_DENIED:
		return RPC_FAILURE_AUTH;
	case RPC_RESOURCE_EXHAUSTED:
		return RPC_FAILURE_BUSY;
	case RPC_CANCELLED:
	case RPC_ABORTED:
		return RPC_FAILURE_LOST;
	default:
		return RPC_FAILURE_PROTOCOL;
	}
}

const char *rpc_failure_name(enum rpc_failure failure)
{
	static const char *const names[] = {
		[RPC_FAILURE_NONE] = "none",	   [RPC_FAILURE_REFUSED] = "refused",
		[RPC_FAILURE_TIMEOUT] = "timeout", [RPC_FAILURE_TLS] = "tls",
		[RPC_FAILURE_AUTH] = "auth",	   [RPC_FAILURE_PROTOCOL] = "protocol",
		[RPC_FAILURE_BUSY] = "busy",	   [RPC_FAILURE_LOST] = "lost",
	};

	return names[failure];
}

void rpc_failure_text(const char *details, char *ret_text, size_t size)
{
	static const char *const prefixes[] = { "UNKNOWN: ", "UNAVAILABLE: " };
	const char *root = strstr(details, "last error: ");

	root = root ? root + strlen("last error: ") : details;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (strncmp(root, prefixes[i], strlen(prefixes[i])) == 0)
			root += strlen(prefixes[i]);
	}
	snprintf(ret_text, size, "%s%s", root,
		 failure_is_refused_certificate(details)
			 ? " (the server closed during the handshake: it probably refused our "
			   "certificate)"
			 : "");
}
