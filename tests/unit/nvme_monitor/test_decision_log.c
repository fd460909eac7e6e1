/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "collectors/nvme_monitor/connections.h"
#include "collectors/nvme_monitor/decision_log.h"

/* The newest DECISION_LOG_MAX, in order. */
static void test_ring(void **state)
{
	struct decision_log log = { 0 };
	char reason[32];

	for (unsigned i = 0; i < 3 * DECISION_LOG_MAX + 7; i++) {
		snprintf(reason, sizeof(reason), "r%u", i);
		decision_log_add(&log, i, i, "transport=tcp", "nqn", reason);
	}
	assert_int_equal(log.n, DECISION_LOG_MAX);
	for (unsigned i = 0; i < DECISION_LOG_MAX; i++) {
		const struct decision_log_entry *entry = decision_log_get(&log, i);

		snprintf(reason, sizeof(reason), "r%u", i + 2 * DECISION_LOG_MAX + 7);
		assert_string_equal(decision_log_text(entry, 0), "transport=tcp");
		assert_string_equal(decision_log_text(entry, 1), "nqn");
		assert_string_equal(decision_log_text(entry, 2), reason);
	}
	decision_log_deinit(&log);
}

/* A decision keeps its connection alive, also out of the registry. */
static void test_decisions_pin(void **state)
{
	const struct connections_options options = { .give_up_ns = 1,
						     .backoff_base_ns = 1,
						     .backoff_cap_ns = 1 };
	struct connections connections;
	struct tid tid = { .transport = "tcp", .traddr = "192.0.2.1", .nqn = "nqn.a" };
	struct connection *connection;

	connections_init(&connections, &options);
	assert_int_equal(
		connections_want(&connections, &tid, false, CONNECTION_YAML, 0, &connection), 0);
	connections_refresh_begin(&connections, CONNECTION_BIT(CONNECTION_YAML));
	connections_refresh_end(&connections, CONNECTION_BIT(CONNECTION_YAML), "gone", 1);
	assert_int_equal(connections.n, 0);
	for (int i = 0; i < 300; i++)
		assert_non_null(
			decisions_add(&connections.decisions, DECISION_TELL, connection, 1));
	for (int i = 0; i < 301; i++) {
		assert_string_equal(decisions_peek(&connections.decisions)->connection->tid.nqn,
				    "nqn.a");
		decisions_pop(&connections.decisions);
	}
	assert_null(decisions_peek(&connections.decisions));
	connections_deinit(&connections);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_decisions_pin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
