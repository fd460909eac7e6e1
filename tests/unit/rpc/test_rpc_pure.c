/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "rpc/rpc.h"

static void test_spiffe(void **state)
{
	struct rpc_spiffe id;

	(void)state;
	assert_true(rpc_spiffe_parse("spiffe://example.org/host/a1b2-c3", &id));
	assert_string_equal(id.trust_domain, "example.org");
	assert_string_equal(id.kind, "host");
	assert_string_equal(id.name, "a1b2-c3");
}

static void test_spiffe_refusals(void **state)
{
	static const char *const bad[] = {
		"",
		"spiffe:",
		"spiffe://",
		"spiffe:///host/a",
		"spiffe://td",
		"spiffe://td/",
		"spiffe://td/host",
		"spiffe://td/host/",
		"spiffe://td/host/a/b",
		"spiffe://td/host/a/",
		"spiffe://td/host/a?x",
		"spiffe://td/host/a#x",
		"spiffe://td/host/a b",
		"spiffe://td/host/..",
		"spiffe://td/host/.",
		"spiffe://TD/host/a",
		"spiffe://td:80/host/a",
		"spiffe://u@td/host/a",
		"https://td/host/a",
		"Spiffe://td/host/a",
		"spiffe://td//a",
		"spiffe://td/host/%61",
		" spiffe://td/host/a",
	};
	struct rpc_spiffe id = { .name = "untouched" };
	char name[300] = "spiffe://td/host/";
	size_t head = strlen(name);

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (rpc_spiffe_parse(bad[i], &id))
			fail_msg("accepted: %s", bad[i]);
	}
	assert_string_equal(id.name, "untouched");
	memset(name + head, 'a', 129);
	assert_false(rpc_spiffe_parse(name, &id));
	name[head + 128] = '\0';
	assert_true(rpc_spiffe_parse(name, &id));
	assert_int_equal(strlen(id.name), 128);
}

/* Texts as libgrpc 1.51.1 wrote them, recorded. */
static void test_classify(void **state)
{
#define HEAD "failed to connect to all addresses; last error: "
	static const struct {
		int status;
		const char *details;
		enum rpc_failure failure;
	} rows[] = {
		{ RPC_OK, "", RPC_FAILURE_NONE },
		{ RPC_UNAVAILABLE,
		  HEAD
		  "UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote host: Connection refused",
		  RPC_FAILURE_REFUSED },
		{ RPC_UNAVAILABLE, HEAD "UNAVAILABLE: ipv4:127.0.0.1:35055: Socket closed",
		  RPC_FAILURE_TLS },
		{ RPC_UNAVAILABLE,
		  HEAD "UNKNOWN: ipv4:127.0.0.1:35055: Ssl handshake failed: SSL_ERROR_SSL: "
		       "error:0A000086:SSL routines::certificate verify failed",
		  RPC_FAILURE_TLS },
		{ RPC_UNAVAILABLE,
		  "DNS resolution failed for nosuch.invalid:5: C-ares status is not ARES_SUCCESS "
		  "qtype=AAAA name=nosuch.invalid is_balancer=0: Domain name not found",
		  RPC_FAILURE_REFUSED },
		{ RPC_UNAVAILABLE, "Cancelling all calls", RPC_FAILURE_LOST },
		{ RPC_UNAVAILABLE, "Socket closed", RPC_FAILURE_LOST },
		{ RPC_UNAVAILABLE, "keepalive watchdog timeout", RPC_FAILURE_TIMEOUT },
		{ RPC_UNAVAILABLE, "Too many pings", RPC_FAILURE_BUSY },
		{ RPC_UNAVAILABLE, "enter idle", RPC_FAILURE_LOST }, /* pitfall 16 */
		{ RPC_UNAVAILABLE, NULL, RPC_FAILURE_LOST },
		{ RPC_DEADLINE_EXCEEDED, "Deadline Exceeded", RPC_FAILURE_TIMEOUT },
		{ RPC_UNAUTHENTICATED, "who are you", RPC_FAILURE_AUTH },
		{ RPC_PERMISSION_DENIED, "", RPC_FAILURE_AUTH },
		{ RPC_RESOURCE_EXHAUSTED, "", RPC_FAILURE_BUSY },
		{ RPC_UNIMPLEMENTED, "", RPC_FAILURE_PROTOCOL },
		{ RPC_INTERNAL, "", RPC_FAILURE_PROTOCOL },
		{ RPC_CANCELLED, "", RPC_FAILURE_LOST },
		{ 99, "", RPC_FAILURE_PROTOCOL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		enum rpc_failure failure = rpc_classify_failure(rows[i].status, rows[i].details);

		if (failure != rows[i].failure)
			fail_msg("row %zu: %s", i, rpc_failure_name(failure));
	}
	assert_string_equal(rpc_failure_name(RPC_FAILURE_TLS), "tls");
}

static void test_status_names(void **state)
{
	(void)state;
	assert_string_equal(rpc_status_name(RPC_OK), "OK");
	assert_string_equal(rpc_status_name(RPC_UNAUTHENTICATED), "UNAUTHENTICATED");
	assert_string_equal(rpc_status_name(17), "UNKNOWN");
	assert_string_equal(rpc_status_name(-1), "UNKNOWN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spiffe),
		cmocka_unit_test(test_spiffe_refusals),
		cmocka_unit_test(test_classify),
		cmocka_unit_test(test_status_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
