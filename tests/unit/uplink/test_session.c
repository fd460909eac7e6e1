/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

static const struct backoff_options options = { .base_ns = S,
						.cap_ns = 60 * S,
						.healthy_ns = SESSION_HEALTHY_NS };
static const char *const one[] = { "a:1" };
static const char *const three[] = { "a:1", "b:1", "c:1" };

static void configure(struct session *session, const char *const *addresses, size_t n)
{
	session_init(session, 42);
	assert_int_equal(session_due_ns(session), UINT64_MAX);
	assert_int_equal(session_configure(session, "host", addresses, n, &options, 1000 * S), 0);
	assert_int_equal(session_due_ns(session), 1000 * S);
}

static uint64_t fail_with(struct session *session, uint64_t now_ns, enum session_cause cause)
{
	const struct session_end end = { .cause = cause };

	session_connecting(session);
	assert_int_equal(session_due_ns(session), UINT64_MAX);
	session_ended(session, now_ns, &end);
	return session_due_ns(session) - now_ns;
}

static void test_backoff_grows_to_the_cap(void **state)
{
	struct session session;
	uint64_t longest = 0, delay;

	(void)state;
	configure(&session, one, 1);
	for (int i = 0; i < 200; i++) {
		delay = fail_with(&session, 1000 * S, SESSION_REFUSED);
		assert_true(delay >= S && delay <= 60 * S);
		longest = delay > longest ? delay : longest;
	}
	assert_true(longest > 50 * S);
	assert_int_equal(session.ended[SESSION_REFUSED], 200);
	assert_int_equal(session.state, SESSION_WAITING);
	session_deinit(&session);
}

/* A dead address costs one base delay, not the whole backoff, until each was tried. */
static void test_every_address_of_a_round(void **state)
{
	struct session session;
	char seen[3][8];

	(void)state;
	configure(&session, three, 3);
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 3; i++) {
			snprintf(seen[i], sizeof(seen[i]), "%s", session_address(&session));
			if (i < 2)
				assert_int_equal(fail_with(&session, 1000 * S, SESSION_TIMEOUT), S);
			else
				assert_true(fail_with(&session, 1000 * S, SESSION_TIMEOUT) >= S);
		}
		assert_string_not_equal(seen[0], seen[1]);
		assert_string_not_equal(seen[1], seen[2]);
		assert_string_not_equal(seen[0], seen[2]);
	}
	session_deinit(&session);
}

static void test_order_is_spread_and_stable(void **state)
{
	unsigned first[3] = { 0 };
	struct session session;
	char host[32];

	(void)state;
	for (int i = 0; i < 3000; i++) {
		snprintf(host, sizeof(host), "host-%d", i);
		session_init(&session, 1);
		session_configure(&session, host, three, 3, &options, 0);
		first[session_address(&session)[0] - 'a']++;
		if (session_address(&session)[0] != 'c') {
			char before = session_address(&session)[0];

			/* Without c those who were not at c stay where they are. */
			session_configure(&session, host, three, 2, &options, 0);
			assert_int_equal(session_address(&session)[0], before);
		}
		session_deinit(&session);
	}
	for (int i = 0; i < 3; i++)
		assert_in_range(first[i], 850, 1150);
}

static void test_return_after_a_session(void **state)
{
	struct session session;
	struct session_end end = { .cause = SESSION_LOST };
	const char *address;

	(void)state;
	configure(&session, three, 3);
	fail_with(&session, 1000 * S, SESSION_REFUSED);
	address = session_address(&session);
	session_connecting(&session);
	session_up(&session, 2000 * S, 10 * S);
	session_ended(&session, 2000 * S + SESSION_HEALTHY_NS, &end);
	assert_string_equal(session_address(&session), address);
	assert_in_range(session_due_ns(&session), 2000 * S + SESSION_HEALTHY_NS,
			2010 * S + SESSION_HEALTHY_NS);
	assert_int_equal(session.sessions, 1);
	session_deinit(&session);
}

static void test_drained(void **state)
{
	struct session session;
	struct session_end end = { .cause = SESSION_DRAINED, .return_after_ns = 7 * S };

	(void)state;
	configure(&session, one, 1);
	session_connecting(&session);
	session_up(&session, 2000 * S, 10 * S);
	session_ended(&session, 3000 * S, &end);
	assert_int_equal(session_due_ns(&session), 3007 * S);
	end.return_after_ns = UINT64_MAX; /* nobody sends us away for ever */
	session_connecting(&session);
	session_up(&session, 4000 * S, 10 * S);
	session_ended(&session, 5000 * S, &end);
	assert_true(session_due_ns(&session) <= 5000 * S + BACKOFF_SERVER_MAX_NS);
	session_deinit(&session);
}

static void test_held(void **state)
{
	struct session session;
	uint64_t delay;

	(void)state;
	configure(&session, one, 1);
	delay = fail_with(&session, 1000 * S, SESSION_AUTH);
	assert_int_equal(session.state, SESSION_HELD);
	assert_in_range(delay, 60 * S, 75 * S);
	session_wake(&session, 1001 * S);
	assert_int_equal(session_due_ns(&session), 1001 * S);
	session_deinit(&session);
}

/* A server that dies in a handshake looks like one that refuses us: believed the third time. */
static void test_refused_certificate_needs_patience(void **state)
{
	const struct session_end refused = { .cause = SESSION_TLS, .certificate_refused = true };
	struct session session;

	(void)state;
	configure(&session, one, 1);
	for (int i = 1; i <= SESSION_TLS_PATIENCE; i++) {
		session_connecting(&session);
		session_ended(&session, 1000 * S, &refused);
		assert_int_equal(session.state,
				 i < SESSION_TLS_PATIENCE ? SESSION_WAITING : SESSION_HELD);
	}
	session_connecting(&session);
	session_up(&session, 2000 * S, 0);
	session_ended(&session, 2001 * S, &refused);
	assert_int_equal(session.state, SESSION_WAITING);
	session_deinit(&session);
}

static void test_server_asks_for_time(void **state)
{
	const struct session_end busy = { .cause = SESSION_BUSY, .return_after_ns = 500 * S };
	struct session session;

	(void)state;
	configure(&session, one, 1);
	session_connecting(&session);
	session_ended(&session, 1000 * S, &busy);
	assert_int_equal(session_due_ns(&session), 1500 * S);
	session_deinit(&session);
}

static void test_addresses_change(void **state)
{
	struct session session;

	(void)state;
	configure(&session, three, 3);
	assert_true(session_prefer(&session, "b:1"));
	assert_false(session_prefer(&session, "d:1"));
	assert_int_equal(session_configure(&session, "host", three, 3, &options, 0), 0);
	assert_string_equal(session_address(&session), "b:1"); /* same list: same place */
	assert_int_equal(session_configure(&session, "host", one, 1, &options, 0), 0);
	assert_string_equal(session_address(&session), "a:1");
	assert_int_equal(session_configure(&session, "host", NULL, 0, &options, 0), 0);
	assert_string_equal(session_address(&session), "");
	fail_with(&session, 0, SESSION_REFUSED);
	assert_int_equal(session.state, SESSION_IDLE);
	session_deinit(&session);
}

static void test_patience(void **state)
{
	struct session session;

	(void)state;
	configure(&session, one, 1);
	assert_int_equal(session_patience_ns(&session), 120 * S);
	session_configure(&session, "host", three, 3, &options, 0);
	assert_true(session_patience_ns(&session) < 30 * S);
	session_deinit(&session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff_grows_to_the_cap),
		cmocka_unit_test(test_every_address_of_a_round),
		cmocka_unit_test(test_order_is_spread_and_stable),
		cmocka_unit_test(test_return_after_a_session),
		cmocka_unit_test(test_drained),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_refused_certificate_needs_patience),
		cmocka_unit_test(test_server_asks_for_time),
		cmocka_unit_test(test_addresses_change),
		cmocka_unit_test(test_patience),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
