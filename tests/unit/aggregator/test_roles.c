/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aggregator/roles.h"

static int identify(const char *uri, struct caller *ret_caller)
{
	const char *details = NULL;
	struct rpc_peer peer = { 0 };
	int status;

	snprintf(peer.uri, sizeof(peer.uri), "%s", uri);
	status = caller_identify(&peer, "td.example", ret_caller, &details);
	assert_true((status == RPC_OK) == (details == NULL));
	return status;
}

static void test_identity(void **state)
{
	struct caller caller;

	assert_int_equal(identify("spiffe://td.example/host/h1", &caller), RPC_OK);
	assert_int_equal(caller.kind, CALLER_HOST);
	assert_string_equal(caller.name, "h1");
	assert_int_equal(identify("spiffe://td.example/operator/joe", &caller), RPC_OK);
	assert_int_equal(caller.kind, CALLER_OPERATOR);
	assert_int_equal(identify("spiffe://td.example/aggregator/a", &caller), RPC_OK);
	assert_int_equal(identify("", &caller), RPC_UNAUTHENTICATED);
	assert_int_equal(identify("https://td.example/host/h1", &caller), RPC_UNAUTHENTICATED);
	assert_int_equal(identify("spiffe://td.example/host/", &caller), RPC_UNAUTHENTICATED);
	assert_int_equal(identify("spiffe://other/host/h1", &caller), RPC_PERMISSION_DENIED);
	assert_int_equal(identify("spiffe://td.example.evil/host/h1", &caller),
			 RPC_PERMISSION_DENIED);
	assert_int_equal(identify("spiffe://td.example/robot/h1", &caller), RPC_PERMISSION_DENIED);
}

static void test_roles(void **state)
{
	static char joe[] = "joe", jane[] = "jane";
	const struct role_entry entries[] = { { joe, ROLE_ADMIN }, { jane, ROLE_NONE } };

	assert_int_equal(role_of("joe", entries, 2, ROLE_VIEWER), ROLE_ADMIN);
	assert_int_equal(role_of("jane", entries, 2, ROLE_VIEWER), ROLE_NONE);
	assert_int_equal(role_of("Joe", entries, 2, ROLE_VIEWER), ROLE_VIEWER);
	assert_int_equal(role_of("", NULL, 0, ROLE_NONE), ROLE_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_identity),
					    cmocka_unit_test(test_roles) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
