/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collectors/nvme_monitor/connections.h"
#include "core/clock.h"
#include "pathbell/v1/event.pb-c.h"

#define KIND(name) PATHBELL__V1__EVENT_KIND__EVENT_KIND_NVME_##name
#define S	   CLOCK_NS_PER_S
#define DISCOVERY  "nqn.2014-08.org.nvmexpress.discovery"

static struct tid tid_of(int port, const char *nqn)
{
	struct tid tid = { .transport = "tcp" };

	snprintf(tid.traddr, sizeof(tid.traddr), "192.0.2.%d", port);
	snprintf(tid.trsvcid, sizeof(tid.trsvcid), "4420");
	snprintf(tid.nqn, sizeof(tid.nqn), "%s", nqn);
	return tid;
}

static struct tid dc(int port)
{
	return tid_of(port, DISCOVERY);
}

static int setup(void **state)
{
	static struct connections connections;
	const struct connections_options options = { .give_up_ns = 100 * S,
						     .backoff_base_ns = 1 * S,
						     .backoff_cap_ns = 30 * S,
						     .max_jobs = 4,
						     .max_depth = 2,
						     .autoconnect = true };

	connections_init(&connections, &options);
	*state = &connections;
	return 0;
}

static int teardown(void **state)
{
	connections_deinit(*state);
	return 0;
}

/* The next decision must be of @event; its connection. */
static struct connection *take(struct connections *connections, unsigned event,
			       struct decision *ret_decision)
{
	const struct decision *decision = decisions_peek(&connections->decisions);
	struct connection *connection;

	assert_non_null(decision);
	assert_int_equal(decision->event, event);
	connection = decision->connection;
	if (ret_decision != NULL)
		*ret_decision = *decision;
	decisions_pop(&connections->decisions);
	return connection;
}

static void take_none(const struct connections *connections)
{
	assert_null(decisions_peek(&connections->decisions));
}

static struct connections_controller made(const struct connection *connection, const char *name)
{
	return (struct connections_controller){ .tid = connection->tid,
						.name = name,
						.owner = "pathbell",
						.inode = (uint64_t)(name[4] - '0') + 100,
						.is_discovery = connection->is_discovery,
						.persistent = connection->is_discovery,
						.ours = true };
}

/* Wants the discovery controller of @port and lets its discovery begin. */
static struct connection *begin(struct connections *connections, int port, uint64_t now_ns)
{
	struct tid tid = dc(port);
	struct connection *connection;

	assert_int_equal(
		connections_want(connections, &tid, true, CONNECTION_YAML, now_ns, &connection), 0);
	connections_tick(connections, now_ns);
	assert_ptr_equal(take(connections, KIND(DISCOVERY_STARTED), NULL), connection);
	return connection;
}

static void finish(struct connections *connections, struct connection *connection,
		   const struct connections_entry *entries, size_t n, uint64_t now_ns)
{
	struct connections_log log = { .genctr = 7, .entries = entries, .n_entries = n };
	char name[16];
	struct connections_controller controller;

	snprintf(name, sizeof(name), "nvme%u", connection->id);
	controller = made(connection, name);
	assert_int_equal(connections_discovered(connections, connection, &log, &controller, now_ns),
			 0);
}

static void test_discovery_leads_to_connect(void **state)
{
	struct connections *connections = *state;
	struct connection *found = begin(connections, 1, 10 * S), *subsystem;
	struct connections_entry entry = { .tid = tid_of(1, "nqn.a") };
	struct connections_controller controller;
	struct decision decision;

	assert_int_equal(found->state, CONNECTION_DISCOVERING);
	finish(connections, found, &entry, 1, 12 * S);
	take(connections, KIND(DISCOVERY_FINISHED), &decision);
	assert_int_equal(decision.duration_ms, 2000);
	assert_int_equal(decision.records, 1);
	assert_int_equal(decision.attempt, 1);
	assert_int_equal(found->state, CONNECTION_ONLINE);
	take_none(connections);

	connections_tick(connections, 12 * S);
	subsystem = take(connections, KIND(CONNECT_STARTED), &decision);
	assert_int_equal(decision.kind, DECISION_CONNECT);
	assert_string_equal(connection_desired_by(subsystem->sources), "discovery");
	assert_int_equal(subsystem->from, found->id);
	controller = made(subsystem, "nvme9");
	connections_connected(connections, subsystem, &controller, false, 13 * S);
	take(connections, KIND(CONNECT_SUCCEEDED), NULL);
	assert_int_equal(subsystem->state, CONNECTION_ONLINE);
	assert_true(subsystem->ours);
	assert_true(connections_tick(connections, 1000 * S) == CONNECTION_NEVER);
	take_none(connections);
}

static void test_event_during_discovery_is_queued(void **state)
{
	struct connections *connections = *state;
	struct connection *found = begin(connections, 1, 0);
	struct decision decision;

	connections_poke(connections, found, "AEN", false, 1 * S);
	connections_poke(connections, found, "AEN", false, 2 * S);
	take(connections, KIND(DISCOVERY_QUEUED), NULL);
	take(connections, KIND(DISCOVERY_QUEUED), NULL);
	assert_int_equal(found->queued, 2);
	connections_tick(connections, 2 * S);
	take_none(connections);

	finish(connections, found, NULL, 0, 3 * S);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	connections_tick(connections, 3 * S);
	take(connections, KIND(DISCOVERY_STARTED), &decision);
	assert_non_null(strstr(decision.reason, "during the discovery"));
	assert_int_equal(found->queued, 0);
	finish(connections, found, NULL, 0, 4 * S);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	assert_true(connections_tick(connections, 100 * S) == CONNECTION_NEVER);
	take_none(connections);
}

/* Also when that discovery fails: long before its retry. */
static void test_event_during_failing_discovery(void **state)
{
	struct connections *connections = *state;
	struct connection *found = begin(connections, 1, 0);

	for (uint64_t now_s = 1; now_s < 1000; now_s += 100) {
		connections_failed(connections, found, -ECONNREFUSED, "refused", now_s * S);
		connections_tick(connections, now_s * S + 50 * S);
		assert_true(found->running);
	}
	connections_poke(connections, found, "AEN", false, 2000 * S);
	connections_failed(connections, found, -ECONNREFUSED, "refused", 2000 * S);
	assert_true(found->retry_ns <= 2001 * S);
}

static void test_configured_is_retried_for_ever(void **state)
{
	struct connections *connections = *state;
	struct connection *found = begin(connections, 1, 0);
	struct decision decision;
	uint64_t now_ns = 0;

	connections_failed(connections, found, -ECONNREFUSED, "refused", now_ns);
	take(connections, KIND(DISCOVERY_FAILED), &decision);
	assert_int_equal(decision.phase, DECISION_RAISES);
	assert_int_equal(decision.error, -ECONNREFUSED);
	take(connections, KIND(CONNECT_RETRY), &decision);
	assert_true(decision.retry_ms >= 1000 && decision.retry_ms <= 30000);
	for (unsigned attempt = 2; attempt < 100; attempt++) {
		now_ns = connections_tick(connections, now_ns);
		assert_true(now_ns != CONNECTION_NEVER);
		connections_tick(connections, now_ns);
		take(connections, KIND(DISCOVERY_STARTED), &decision);
		assert_int_equal(decision.attempt, attempt);
		connections_failed(connections, found, -ECONNREFUSED, "refused", now_ns);
		/* The same fault again is only a retry. */
		take(connections, KIND(CONNECT_RETRY), &decision);
		assert_true(decision.retry_ms <= 30000);
	}
	assert_true(now_ns > 200 * S);
	connections_tick(connections, now_ns + 30 * S);
	take(connections, KIND(DISCOVERY_STARTED), NULL);
	finish(connections, found, NULL, 0, now_ns + 31 * S);
	take(connections, KIND(DISCOVERY_FINISHED), &decision);
	assert_int_equal(decision.phase, DECISION_CLEARS);
	assert_int_equal(found->attempts, 0);
}

static void test_discovered_is_given_up(void **state)
{
	struct connections *connections = *state;
	struct connection *found = begin(connections, 1, 0), *subsystem;
	struct connections_entry entry = { .tid = tid_of(1, "nqn.a") };
	struct decision decision;
	uint64_t now_ns = 0;

	finish(connections, found, &entry, 1, 0);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	for (int i = 0; connections->n == 2; i++) {
		assert_true(i < 1000 && now_ns <= 140 * S);
		connections_tick(connections, now_ns);
		if (decisions_peek(&connections->decisions) == NULL) {
			now_ns = connections_tick(connections, now_ns);
			continue;
		}
		subsystem = take(connections, KIND(CONNECT_STARTED), NULL);
		connections_failed(connections, subsystem, -ENODEV, "no answer", now_ns);
		if (connections->n < 2)
			break;
		decision = *decisions_peek(&connections->decisions);
		if (decision.event == KIND(CONNECT_FAILED))
			take(connections, KIND(CONNECT_FAILED), NULL);
		take(connections, KIND(CONNECT_RETRY), NULL);
	}
	take(connections, KIND(CONNECT_GIVEN_UP), &decision);
	assert_int_equal(decision.phase, DECISION_CLEARS);
	assert_true(now_ns >= 100 * S);
	assert_int_equal(connections->counters.given_up, 1);

	/* Named again, it is tried again. */
	connections_poke(connections, found, "AEN", false, now_ns);
	connections_tick(connections, now_ns);
	take(connections, KIND(DISCOVERY_STARTED), NULL);
	finish(connections, found, &entry, 1, now_ns);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	connections_tick(connections, now_ns);
	take(connections, KIND(CONNECT_STARTED), NULL);
}

static void test_stuck_child_frees_its_slot(void **state)
{
	struct connections *connections = *state;
	struct connection *stuck[4], *other;
	struct tid tid = dc(50);
	struct decision decision;

	for (int i = 0; i < 4; i++)
		stuck[i] = begin(connections, i + 1, 0);
	assert_int_equal(connections_want(connections, &tid, true, CONNECTION_YAML, 0, &other), 0);
	connections_tick(connections, 0);
	take_none(connections);
	assert_false(other->running);

	connections_stuck(connections, stuck[0], 60 * S);
	take(connections, KIND(DISCOVERY_STUCK), &decision);
	assert_int_equal(decision.duration_ms, 60000);
	connections_tick(connections, 60 * S);
	assert_ptr_equal(take(connections, KIND(DISCOVERY_STARTED), NULL), other);
	/* Nothing new for its address, whatever is asked. */
	connections_poke(connections, stuck[0], "AEN", true, 61 * S);
	take(connections, KIND(DISCOVERY_QUEUED), NULL);
	connections_tick(connections, 200 * S);
	take_none(connections);
	/* It ends after all. */
	connections_failed(connections, stuck[0], -ETIMEDOUT, "deadline", 300 * S);
	assert_int_equal(connections->n_jobs, 4);
	assert_true(stuck[0]->retry_ns <= 301 * S);
}

static void test_removed_entry_is_forgotten_not_disconnected(void **state)
{
	struct connections *connections = *state;
	struct connection *found = begin(connections, 1, 0), *subsystem;
	struct connections_entry entries[] = { { .tid = tid_of(1, "nqn.a") },
					       { .tid = tid_of(1, "nqn.b") } };
	struct connections_controller controller;
	struct decision decision;

	finish(connections, found, entries, 2, 0);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	connections_tick(connections, 0);
	subsystem = take(connections, KIND(CONNECT_STARTED), NULL);
	controller = made(subsystem, "nvme8");
	connections_connected(connections, subsystem, &controller, false, 1 * S);
	take(connections, KIND(CONNECT_STARTED), NULL);
	take(connections, KIND(CONNECT_SUCCEEDED), NULL);

	connections_poke(connections, found, "AEN", false, 2 * S);
	connections_tick(connections, 2 * S);
	take(connections, KIND(DISCOVERY_STARTED), NULL);
	finish(connections, found, &entries[1], 1, 3 * S);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	assert_ptr_equal(take(connections, KIND(CONNECT_FORGOTTEN), &decision), subsystem);
	take_none(connections);
	assert_string_equal(decision.controller, "nvme8");
	assert_int_equal(subsystem->state, CONNECTION_ONLINE);
	assert_string_equal(connection_desired_by(subsystem->sources), "existing");
	/* Its controller goes: nobody wants it. */
	connections_gone(connections, "nvme8", 4 * S);
	assert_int_equal(connections->n, 2);
	take_none(connections);
}

/* Two log pages list it: it goes when the second one does not any more. */
static void test_listed_twice(void **state)
{
	struct connections *connections = *state;
	struct connection *first = begin(connections, 1, 0), *second = begin(connections, 2, 0);
	struct connections_entry entry = { .tid = tid_of(1, "nqn.a") };
	struct connection *subsystem;

	finish(connections, first, &entry, 1, 0);
	finish(connections, second, &entry, 1, 0);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	subsystem = connections_find(connections, &entry.tid, false);
	connections_poke(connections, first, "AEN", false, 1 * S);
	connections_poke(connections, second, "AEN", false, 1 * S);
	connections_tick(connections, 1 * S);
	while (decisions_peek(&connections->decisions) != NULL)
		decisions_pop(&connections->decisions);
	finish(connections, first, NULL, 0, 2 * S);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	take_none(connections);
	assert_true(CONNECTION_WANTED(subsystem->sources));
	finish(connections, second, NULL, 0, 2 * S);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	take(connections, KIND(CONNECT_FORGOTTEN), NULL);
	/* Its child runs: the entry goes with that. */
	connections_failed(connections, subsystem, -ENODEV, "gone", 3 * S);
	assert_int_equal(connections->n, 2);
}

static void test_failure_is_no_answer(void **state)
{
	struct connections *connections = *state;
	struct connection *found = begin(connections, 1, 0), *subsystem;
	struct connections_entry entry = { .tid = tid_of(1, "nqn.a") };

	finish(connections, found, &entry, 1, 0);
	subsystem = connections_find(connections, &entry.tid, false);
	connections_poke(connections, found, "AEN", false, 1 * S);
	connections_tick(connections, 1 * S);
	connections_failed(connections, found, -ETIMEDOUT, "deadline", 2 * S);
	connections_gone(connections, "nvme1", 2 * S);
	assert_true(CONNECTION_WANTED(subsystem->sources));
}

static void test_referrals(void **state)
{
	struct connections *connections = *state;
	struct connection *level[4];
	struct connections_entry up, next;

	level[0] = begin(connections, 1, 0);
	for (int i = 1; i <= 2; i++) {
		next = (struct connections_entry){ .tid = dc(i + 1), .is_referral = true };
		finish(connections, level[i - 1], &next, 1, 0);
		take(connections, KIND(DISCOVERY_FINISHED), NULL);
		level[i] = take(connections, KIND(DISCOVERY_REFERRAL), NULL);
		level[i] = connections_find(connections, &next.tid, true);
		assert_non_null(level[i]);
		assert_int_equal(level[i]->depth, i);
		assert_int_equal(level[i]->from, level[i - 1]->id);
		connections_tick(connections, 0);
		assert_ptr_equal(take(connections, KIND(DISCOVERY_STARTED), NULL), level[i]);
	}
	/* Back to the first, and one level too deep. */
	struct connections_entry both[] = { { .tid = dc(1), .is_referral = true },
					    { .tid = dc(9), .is_referral = true } };

	up = both[0];
	assert_true(up.is_referral);
	finish(connections, level[2], both, 2, 0);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	take(connections, KIND(DISCOVERY_REFERRAL), NULL);
	assert_int_equal(connections->counters.referral_loops, 1);
	assert_int_equal(connections->counters.referrals_too_deep, 1);
	assert_int_equal(connections->n, 3);
	assert_true(connections_tick(connections, 1000 * S) == CONNECTION_NEVER);
	take_none(connections);
}

static void test_existing_is_adopted(void **state)
{
	struct connections *connections = *state;
	struct tid tid = tid_of(1, "nqn.a"), discovery = dc(1);
	struct connections_controller io = {
		.tid = tid, .name = "nvme0", .owner = "stas", .inode = 5
	};
	struct connections_controller fleeting = {
		.tid = discovery, .name = "nvme1", .owner = "", .inode = 6, .is_discovery = true
	};
	struct connection *connection;

	connections->options.autoconnect = false;
	assert_int_equal(connections_see(connections, &io, 0), 0);
	assert_int_equal(connections_see(connections, &io, 1), 0);
	connection = take(connections, KIND(CONTROLLER_ADOPTED), NULL);
	take_none(connections);
	assert_string_equal(connection->owner, "stas");
	assert_false(connection->ours);
	/* That one lives as long as a program. */
	assert_int_equal(connections_see(connections, &fleeting, 0), 0);
	assert_int_equal(connections->n, 1);
	fleeting.persistent = true;
	assert_int_equal(connections_see(connections, &fleeting, 0), 0);
	take(connections, KIND(CONTROLLER_ADOPTED), NULL);
	connections_tick(connections, 1);
	take_none(connections);
	/* What is there is not connected again when it comes to be wanted; its log page is read. */
	connections_set_autoconnect(connections, true, 2);
	assert_int_equal(connections_want(connections, &tid, false, CONNECTION_YAML, 2, NULL), 0);
	connections_tick(connections, 2);
	take(connections, KIND(DISCOVERY_STARTED), NULL);
	take_none(connections);
	/* Another controller under the same name. */
	io.inode = 77;
	io.tid = tid_of(2, "nqn.b");
	assert_int_equal(connections_see(connections, &io, 3), 0);
	take(connections, KIND(CONNECT_RETRY), NULL);
	assert_ptr_not_equal(take(connections, KIND(CONTROLLER_ADOPTED), NULL), connection);
	connections_clean_up(connections, "exit", 4);
	take_none(connections);
}

/* What was asked for without naming this host's side may have several paths: all are listed. */
static void test_two_paths_of_one_wish(void **state)
{
	struct connections *connections = *state;
	struct tid wanted = tid_of(1, "nqn.a"), one = wanted, two = wanted;
	struct connections_controller controller = { .owner = "" };

	snprintf(one.host_iface, sizeof(one.host_iface), "eth1");
	snprintf(two.host_iface, sizeof(two.host_iface), "eth2");
	connections->options.autoconnect = false;
	assert_int_equal(connections_want(connections, &wanted, false, CONNECTION_YAML, 0, NULL),
			 0);
	controller.tid = one;
	controller.name = "nvme1";
	controller.inode = 1;
	assert_int_equal(connections_see(connections, &controller, 0), 0);
	controller.tid = two;
	controller.name = "nvme2";
	controller.inode = 2;
	for (int again = 0; again < 2; again++)
		assert_int_equal(connections_see(connections, &controller, 0), 0);
	assert_int_equal(connections->n, 2);
	assert_string_equal(connections_find_controller(connections, "nvme1")->tid.host_iface, "");
	assert_string_equal(connections_find_controller(connections, "nvme2")->tid.host_iface,
			    "eth2");
	connections_gone(connections, "nvme2", 1);
	assert_int_equal(connections->n, 1);
}

static void test_wanted_controller_gone_comes_back(void **state)
{
	struct connections *connections = *state;
	struct connection *found = begin(connections, 1, 0);
	struct decision decision;

	finish(connections, found, NULL, 0, 0);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	connections_gone(connections, "nvme1", 100 * S);
	take(connections, KIND(CONNECT_RETRY), &decision);
	assert_int_equal(found->state, CONNECTION_FAILED);
	assert_true(decision.retry_ms <= 1000);
	connections_tick(connections, 101 * S);
	take(connections, KIND(DISCOVERY_STARTED), NULL);
}

static void test_forget(void **state)
{
	struct connections *connections = *state;
	struct connection *found = begin(connections, 1, 0), *subsystem;
	struct connections_entry entry = { .tid = tid_of(1, "nqn.a") };

	finish(connections, found, &entry, 1, 0);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	subsystem = connections_find(connections, &entry.tid, false);
	connections_forget(connections, subsystem, "by an operator", 1 * S);
	take(connections, KIND(CONNECT_FORGOTTEN), NULL);
	assert_int_equal(connections->n, 2);
	/* The log page does not bring it back; a command does. */
	connections_poke(connections, found, "AEN", false, 2 * S);
	connections_tick(connections, 2 * S);
	take(connections, KIND(DISCOVERY_STARTED), NULL);
	finish(connections, found, &entry, 1, 3 * S);
	take(connections, KIND(DISCOVERY_FINISHED), NULL);
	connections_tick(connections, 3 * S);
	take_none(connections);
	assert_int_equal(
		connections_want(connections, &entry.tid, false, CONNECTION_COMMAND, 4 * S, NULL),
		0);
	connections_tick(connections, 4 * S);
	take(connections, KIND(CONNECT_STARTED), NULL);
}

static void test_observing_nothing_is_started(void **state)
{
	struct connections *connections = *state;
	struct tid tid = dc(1);
	struct connection *connection;

	connections->options.autoconnect = false;
	assert_int_equal(
		connections_want(connections, &tid, true, CONNECTION_UEVENT, 0, &connection), 0);
	assert_true(connections_tick(connections, 1000 * S) == CONNECTION_NEVER);
	take_none(connections);
	/* But what an operator demands, once. */
	connections_poke(connections, connection, "demanded", true, 2 * S);
	connections_tick(connections, 2 * S);
	take(connections, KIND(DISCOVERY_STARTED), NULL);
	connections_failed(connections, connection, -ENODEV, "x", 3 * S);
	assert_true(connections_tick(connections, 1000 * S) == CONNECTION_NEVER);
	connections_set_autoconnect(connections, true, 1000 * S);
	take(connections, KIND(DISCOVERY_FAILED), NULL);
	take(connections, KIND(CONNECT_RETRY), NULL);
	connections_tick(connections, 1000 * S);
	take(connections, KIND(DISCOVERY_STARTED), NULL);
}

static void test_skipped(void **state)
{
	struct connections *connections = *state;
	struct tid tid = tid_of(1, "nqn.a");
	struct connection *connection;

	assert_int_equal(
		connections_want(connections, &tid, false, CONNECTION_YAML, 0, &connection), 0);
	connections_tick(connections, 0);
	take(connections, KIND(CONNECT_STARTED), NULL);
	connections_skipped(connections, connection, "excluded", 1 * S);
	take(connections, KIND(CONNECT_SKIPPED), NULL);
	assert_true(connections_tick(connections, 2 * S) == 31 * S);
	connections_tick(connections, 31 * S);
	take(connections, KIND(CONNECT_STARTED), NULL);
	/* Told once. */
	connections_skipped(connections, connection, "excluded", 32 * S);
	take_none(connections);
}

static void test_refresh(void **state)
{
	struct connections *connections = *state;
	struct tid one = dc(1), two = dc(2);
	struct connection *connection;

	assert_int_equal(
		connections_want(connections, &one, true, CONNECTION_DISCOVERY_CONF, 0, NULL), 0);
	assert_int_equal(
		connections_want(connections, &two, true, CONNECTION_DISCOVERY_CONF, 0, NULL), 0);
	assert_int_equal(connections_want(connections, &two, true, CONNECTION_YAML, 0, NULL), 0);
	connections_refresh_begin(connections, CONNECTION_FILES);
	connections_refresh_end(connections, CONNECTION_FILES, "not in the files any more", 1);
	take(connections, KIND(CONNECT_FORGOTTEN), NULL);
	assert_int_equal(connections->n, 1);
	connection = connections_find(connections, &two, true);
	assert_string_equal(connection_desired_by(connection->sources), "yaml");
}

static void test_limits(void **state)
{
	struct connections *connections = *state;
	struct connection *found = begin(connections, 1, 0);
	struct tid tid;

	connections->options.max = 3;
	for (int i = 2; i <= 3; i++) {
		tid = dc(i);
		assert_int_equal(
			connections_want(connections, &tid, true, CONNECTION_YAML, 0, NULL), 0);
	}
	tid = dc(4);
	assert_int_equal(connections_want(connections, &tid, true, CONNECTION_YAML, 0, NULL),
			 CONNECTIONS_E_FULL);
	assert_int_equal(connections->counters.refused, 1);
	/* An event that can't be told is counted. */
	for (int i = 0; i < DECISIONS_MAX_TELL + 10; i++)
		connections_poke(connections, found, "AEN", false, 1);
	assert_int_equal(connections->decisions.untold, 10);
	assert_int_equal(found->queued, DECISIONS_MAX_TELL + 10);
}

static void test_clean_up(void **state)
{
	struct connections *connections = *state;
	struct connection *found = begin(connections, 1, 0), *subsystem;
	struct connections_entry entry = { .tid = tid_of(1, "nqn.a") };
	struct connections_controller controller;
	struct decision decision;

	finish(connections, found, &entry, 1, 0);
	connections_tick(connections, 0);
	subsystem = connections_find(connections, &entry.tid, false);
	controller = made(subsystem, "nvme7");
	connections_connected(connections, subsystem, &controller, false, 0);
	while (decisions_peek(&connections->decisions) != NULL)
		decisions_pop(&connections->decisions);
	connections_clean_up(connections, "exit", 5 * S);
	assert_ptr_equal(take(connections, KIND(DISCONNECTED), &decision), subsystem);
	assert_int_equal(decision.kind, DECISION_DISCONNECT);
	assert_ptr_equal(take(connections, KIND(DISCONNECTED), NULL), found);
	take_none(connections);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_discovery_leads_to_connect),
		TEST(test_event_during_discovery_is_queued),
		TEST(test_event_during_failing_discovery),
		TEST(test_configured_is_retried_for_ever),
		TEST(test_discovered_is_given_up),
		TEST(test_stuck_child_frees_its_slot),
		TEST(test_removed_entry_is_forgotten_not_disconnected),
		TEST(test_listed_twice),
		TEST(test_failure_is_no_answer),
		TEST(test_referrals),
		TEST(test_existing_is_adopted),
		TEST(test_two_paths_of_one_wish),
		TEST(test_wanted_controller_gone_comes_back),
		TEST(test_forget),
		TEST(test_observing_nothing_is_started),
		TEST(test_skipped),
		TEST(test_refresh),
		TEST(test_limits),
		TEST(test_clean_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
