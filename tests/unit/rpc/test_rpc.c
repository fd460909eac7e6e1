/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/rpc.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

static void test_echo(void **state)
{
	struct fixture *f = *state;
	struct client *c = client_open(f, "host1", "/t/Echo", 0);

	client_send(c, "hello", 5);
	client_wait_messages(c, 1);
	assert_int_equal(c->last_size, 5);
	assert_memory_equal(c->last, "hello", 5);
	client_send(c, "", 0);
	client_wait_messages(c, 2);
	assert_int_equal(c->last_size, 0);
	assert_true(c->headers);
	assert_string_equal(c->peer.uri, "spiffe://test/aggregator/a1");
	client_finish(c);
	client_wait_closed(c);
	assert_int_equal(c->status, RPC_OK);
	assert_string_equal(f->peer.uri, "spiffe://test/host/h1");
	assert_true(f->peer.not_after_unix_ns > 0);
	assert_non_null(strstr(f->peer.address, "127.0.0.1"));
	client_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_echo, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
