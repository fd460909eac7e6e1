/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/nvme_monitor/connections.h"
#include "core/clock.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * A made-up fabric of discovery controllers that list subsystems and each other, and change at
 * random; children that take their time, fail, get stuck; controllers that vanish. After each step
 * the invariants hold, and when the fabric comes to rest the registry has it all, whatever came in
 * between. Seeded: PATHBELL_TEST_SEED repeats one.
 */
#define S	     CLOCK_NS_PER_S
#define N_PORTS	     6
#define N_SUBSYSTEMS 10
#define N_STEPS	     4000
#define DISCOVERY    "nqn.2014-08.org.nvmexpress.discovery"

struct port {
	bool lists[N_SUBSYSTEMS], refers[N_PORTS];
	uint64_t genctr;
	bool has_controller; /* the one persistent controller of the address */
	char name[16];
};

struct job {
	struct connection *connection;
	uint32_t id;
	bool is_discovery, stuck;
	int port;
	bool has_read;
	uint64_t genctr; /* of what it has read */
	struct connections_entry entries[N_SUBSYSTEMS + N_PORTS];
	size_t n_entries;
};

struct world {
	struct connections connections;
	uint64_t random, now_ns;
	struct port ports[N_PORTS];
	struct job jobs[64];
	size_t n_jobs;
	unsigned last_name;
	uint64_t last_inode;
	unsigned raised[100000]; /* by connection id */
	uint64_t n_discoveries, n_queued;
};

static uint32_t any(struct world *world, uint32_t below)
{
	world->random =
		world->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(world->random >> 33) % below;
}

static struct tid port_tid(int port, const char *nqn)
{
	struct tid tid = { .transport = "tcp" };

	snprintf(tid.traddr, sizeof(tid.traddr), "192.0.2.%d", port + 1);
	snprintf(tid.trsvcid, sizeof(tid.trsvcid), "4420");
	snprintf(tid.nqn, sizeof(tid.nqn), "%s", nqn);
	return tid;
}

static struct tid subsystem_tid(int subsystem)
{
	char nqn[32];

	snprintf(nqn, sizeof(nqn), "nqn.s%d", subsystem);
	return port_tid(subsystem % N_PORTS, nqn);
}

static int port_of(const struct tid *tid)
{
	return atoi(strrchr(tid->traddr, '.') + 1) - 1;
}

/* The log page as it is now. */
static void read_log(struct world *world, struct job *job)
{
	const struct port *port = &world->ports[job->port];

	job->n_entries = 0;
	for (int i = 0; i < N_SUBSYSTEMS; i++)
		if (port->lists[i])
			job->entries[job->n_entries++] =
				(struct connections_entry){ .tid = subsystem_tid(i) };
	for (int i = 0; i < N_PORTS; i++)
		if (port->refers[i])
			job->entries[job->n_entries++] =
				(struct connections_entry){ .tid = port_tid(i, DISCOVERY),
							    .is_referral = true };
	job->genctr = port->genctr;
	job->has_read = true;
}

static void on_start(struct world *world, const struct decision *decision)
{
	struct connection *connection = decision->connection;
	struct job *job = &world->jobs[world->n_jobs];

	assert_true(connection->running);
	assert_int_equal(connection->is_discovery, decision->kind == DECISION_DISCOVER);
	/* At most one child for an address. */
	for (size_t i = 0; i < world->n_jobs; i++)
		assert_false(world->jobs[i].is_discovery == connection->is_discovery &&
			     tid_is_same(&world->jobs[i].connection->tid, &connection->tid));
	assert_true(world->n_jobs < sizeof(world->jobs) / sizeof(world->jobs[0]));
	*job = (struct job){ .connection = connection,
			     .id = connection->id,
			     .is_discovery = connection->is_discovery,
			     .port = port_of(&connection->tid) };
	world->n_jobs++;
	world->n_discoveries += job->is_discovery;
}

static void take_decisions(struct world *world)
{
	const struct decision *decision;

	while ((decision = decisions_peek(&world->connections.decisions)) != NULL) {
		uint32_t id = decision->connection->id;

		if (decision->kind == DECISION_DISCOVER || decision->kind == DECISION_CONNECT)
			on_start(world, decision);
		assert_true(id < sizeof(world->raised) / sizeof(world->raised[0]));
		/* Faults are balanced. */
		if (decision->phase == DECISION_RAISES)
			assert_int_equal(world->raised[id]++, 0);
		if (decision->phase == DECISION_CLEARS)
			assert_int_equal(world->raised[id]--, 1);
		if (decision->event == PATHBELL__V1__EVENT_KIND__EVENT_KIND_NVME_DISCOVERY_QUEUED)
			world->n_queued++;
		decisions_pop(&world->connections.decisions);
	}
}

/* The child's result; what was read must still be what is told. */
static void end_job(struct world *world, size_t at, bool may_fail)
{
	struct job job = world->jobs[at];
	struct port *port = &world->ports[job.port];
	char name[16];
	struct connections_controller controller = { .tid = job.connection->tid,
						     .name = name,
						     .owner = "pathbell",
						     .is_discovery = job.is_discovery,
						     .persistent = job.is_discovery,
						     .ours = true };
	struct connections_log log = { .genctr = job.genctr,
				       .entries = job.entries,
				       .n_entries = job.n_entries };

	world->jobs[at] = world->jobs[--world->n_jobs];
	if (job.stuck || (may_fail && any(world, 3) == 0)) {
		connections_failed(&world->connections, job.connection, -ETIMEDOUT, "no answer",
				   world->now_ns);
		return;
	}
	controller.inode = ++world->last_inode;
	snprintf(name, sizeof(name), "nvme%u", ++world->last_name);
	if (!job.is_discovery) {
		connections_connected(&world->connections, job.connection, &controller, false,
				      world->now_ns);
		return;
	}
	if (port->has_controller) {
		snprintf(name, sizeof(name), "%s", port->name);
		controller.inode = job.connection->inode ? job.connection->inode : controller.inode;
	}
	port->has_controller = true;
	snprintf(port->name, sizeof(port->name), "%s", name);
	assert_int_equal(connections_discovered(&world->connections, job.connection, &log,
						&controller, world->now_ns),
			 0);
}

static void poke_port(struct world *world, int port)
{
	struct tid tid = port_tid(port, DISCOVERY);
	struct connection *connection = connections_find(&world->connections, &tid, true);

	if (connection != NULL)
		connections_poke(&world->connections, connection, "AEN", false, world->now_ns);
}

static void change_port(struct world *world, int at)
{
	struct port *port = &world->ports[at];
	bool *what = any(world, 4) == 0 ? &port->refers[any(world, N_PORTS)]
					: &port->lists[any(world, N_SUBSYSTEMS)];

	*what = !*what;
	port->genctr++;
	poke_port(world, at);
}

static void lose_controller(struct world *world)
{
	struct connections *connections = &world->connections;
	struct connection *connection;
	char name[CONNECTION_NAME];

	if (connections->n == 0)
		return;
	connection = connections->items[any(world, (uint32_t)connections->n)];
	if (connection->controller[0] == '\0' || connection->running)
		return;
	if (connection->is_discovery)
		world->ports[port_of(&connection->tid)].has_controller = false;
	memcpy(name, connection->controller, sizeof(name));
	connections_gone(connections, name, world->now_ns);
}

static void check(const struct world *world)
{
	const struct connections *connections = &world->connections;
	unsigned n_slots = 0;

	for (size_t i = 0; i < connections->n; i++) {
		const struct connection *a = connections->items[i];

		n_slots += a->holds_slot;
		assert_false(a->dropped);
		assert_true(a->running || (!a->stuck && !a->holds_slot && a->queued == 0));
		assert_int_equal(a->controller[0] != '\0',
				 (a->sources & CONNECTION_BIT(CONNECTION_EXISTING)) != 0);
		for (size_t k = i + 1; k < connections->n; k++) {
			const struct connection *b = connections->items[k];

			assert_false(a->is_discovery == b->is_discovery &&
				     tid_is_same(&a->tid, &b->tid));
			assert_true(a->controller[0] == '\0' ||
				    strcmp(a->controller, b->controller) != 0);
		}
	}
	assert_int_equal(n_slots, connections->n_jobs);
	assert_true(n_slots <= connections->options.max_jobs);
	assert_int_equal(connections->decisions.untold, 0);
}

static void step(struct world *world)
{
	uint32_t dice = any(world, 100);
	size_t at = world->n_jobs > 0 ? any(world, (uint32_t)world->n_jobs) : 0;

	world->now_ns += any(world, 2000) * CLOCK_NS_PER_MS;
	if (dice < 20)
		change_port(world, (int)any(world, N_PORTS));
	else if (dice < 25)
		lose_controller(world);
	else if (dice < 27)
		connections_set_autoconnect(&world->connections, any(world, 4) != 0, world->now_ns);
	else if (world->n_jobs > 0 && dice < 30 && !world->jobs[at].stuck) {
		world->jobs[at].stuck = true;
		connections_stuck(&world->connections, world->jobs[at].connection, world->now_ns);
	} else if (world->n_jobs > 0 && world->jobs[at].is_discovery && !world->jobs[at].has_read)
		read_log(world, &world->jobs[at]);
	else if (world->n_jobs > 0 && dice < 90)
		end_job(world, at, true);
	take_decisions(world);
	connections_tick(&world->connections, world->now_ns);
	take_decisions(world);
	check(world);
}

/* Nothing changes any more, all succeeds: until nothing is left to do. */
static void come_to_rest(struct world *world)
{
	connections_set_autoconnect(&world->connections, true, world->now_ns);
	for (int i = 0; i < 100000; i++) {
		uint64_t next_ns = connections_tick(&world->connections, world->now_ns);

		take_decisions(world);
		check(world);
		if (world->n_jobs > 0) {
			if (world->jobs[0].is_discovery && !world->jobs[0].has_read)
				read_log(world, &world->jobs[0]);
			end_job(world, 0, false);
			take_decisions(world);
		} else if (next_ns == CONNECTION_NEVER) {
			return;
		} else {
			world->now_ns = next_ns;
		}
	}
	fail_msg("it never comes to rest");
}

/* What can be reached from port 0 and 1, which are configured. */
static void check_outcome(struct world *world)
{
	bool reached[N_PORTS] = { true, true };

	for (int round = 0; round < N_PORTS; round++)
		for (int i = 0; i < N_PORTS; i++)
			for (int k = 0; reached[i] && k < N_PORTS; k++)
				reached[k] = reached[k] || world->ports[i].refers[k];
	for (int i = 0; i < N_PORTS; i++) {
		struct tid tid = port_tid(i, DISCOVERY);
		struct connection *found = connections_find(&world->connections, &tid, true);

		if (!reached[i])
			continue;
		assert_non_null(found);
		assert_int_equal(found->state, CONNECTION_ONLINE);
		/* No event was lost: the last log page that was read is the last there is. */
		assert_int_equal(found->genctr, world->ports[i].genctr);
		for (int k = 0; k < N_SUBSYSTEMS; k++) {
			tid = subsystem_tid(k);
			found = connections_find(&world->connections, &tid, false);
			assert_true(!world->ports[i].lists[k] ||
				    (found != NULL && found->state == CONNECTION_ONLINE));
		}
	}
}

static void run(uint64_t seed)
{
	const struct connections_options options = { .give_up_ns = 3600 * S * 72,
						     .backoff_base_ns = 1 * S,
						     .backoff_cap_ns = 30 * S,
						     .max_jobs = 3,
						     .max_depth = N_PORTS,
						     .seed = seed,
						     .autoconnect = true };
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->random = seed;
	world->now_ns = 1;
	connections_init(&world->connections, &options);
	for (int i = 0; i < N_PORTS; i++)
		world->ports[i].genctr = 1;
	for (int i = 0; i < 2; i++) {
		struct tid tid = port_tid(i, DISCOVERY);

		assert_int_equal(
			connections_want(&world->connections, &tid, true, CONNECTION_YAML, 1, NULL),
			0);
	}
	for (int i = 0; i < N_STEPS; i++)
		step(world);
	come_to_rest(world);
	check_outcome(world);
	for (size_t i = 0; i < world->connections.n; i++)
		assert_int_equal(world->raised[world->connections.items[i]->id], 0);
	assert_true(world->n_discoveries > 50 && world->n_queued > 10);
	connections_deinit(&world->connections);
	free(world);
}

static void test_random(void **state)
{
	const char *chosen = getenv("PATHBELL_TEST_SEED");

	if (chosen != NULL) {
		run(strtoull(chosen, NULL, 0));
		return;
	}
	for (uint64_t seed = 1; seed <= 40; seed++) {
		print_message("seed %llu\n", (unsigned long long)seed);
		run(seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
