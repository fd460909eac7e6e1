/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket asks of the NVMe monitor; the loop never runs, so nothing is begun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "agent/agent.h"
#include "collectors/nvme_monitor/nvme_monitor.h"
#include "collectors/topology/topology.h"

#define DC "transport=tcp traddr=127.0.0.1 trsvcid=8009"

struct fixture {
	struct agent agent;
	struct topology *topology;
	struct nvme_monitor_config config;
	struct arena *arena;
	Pathbell__V1__LocalResponse response;
};

static uint64_t publish(void *data, const struct collector_ops *ops, Pathbell__V1__Event *event,
			uint64_t cursor, bool *ret_full)
{
	return 1;
}

static int setup(void **state)
{
	static struct fixture fixture;
	struct guard_options options = { .ops = &nvme_monitor_collector,
					 .config = &fixture.config,
					 .loop = ev_default_loop(0),
					 .sink.publish = publish };
	int index = registry_find("nvme_monitor");

	memset(&fixture, 0, sizeof(fixture));
	assert_true(index >= 0);
	config_defaults(&nvme_monitor_config_table, &fixture.config);
	/* Not the rules of this machine. */
	free(fixture.config.rules_dir);
	fixture.config.rules_dir = strdup("/nonexistent/rules.d");
	assert_int_equal(topology_new(&fixture.topology, &(struct topology_options){ 0 }), 0);
	options.topology = fixture.topology;
	assert_int_equal(arena_new(&fixture.arena, 1 << 20), 0);
	assert_int_equal(guard_new(&fixture.agent.collectors[index].guard, &options), 0);
	guard_start(fixture.agent.collectors[index].guard);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	int index = registry_find("nvme_monitor");

	guard_free(fixture->agent.collectors[index].guard);
	topology_free(fixture->topology);
	arena_free(fixture->arena);
	config_free(&nvme_monitor_config_table, &fixture->config);
	return 0;
}

static const Pathbell__V1__LocalResponse *ask(struct fixture *fixture, bool may_change,
					      const char *mode, const char *discover,
					      const char *forget)
{
	Pathbell__V1__LocalNvmeRequest request = PATHBELL__V1__LOCAL_NVME_REQUEST__INIT;

	request.mode = (char *)mode;
	request.discover = (char *)discover;
	request.forget = (char *)forget;
	pathbell__v1__local_response__init(&fixture->response);
	assert_true(agent_answer_nvme(&fixture->agent, may_change, &request, &fixture->response,
				      fixture->arena));
	return &fixture->response;
}

static const Pathbell__V1__LocalNvmeConnection *find(const Pathbell__V1__LocalResponse *response,
						     const char *address)
{
	for (size_t i = 0; i < response->nvme->n_connections; i++)
		if (strcmp(response->nvme->connections[i]->transport_address, address) == 0)
			return response->nvme->connections[i];
	return NULL;
}

static void test_only_root_changes(void **state)
{
	struct fixture *fixture = *state;

	assert_string_equal(ask(fixture, false, "", "", "")->nvme->mode, "observe");
	assert_non_null(strstr(ask(fixture, false, "autoconnect", "", "")->error, "root"));
	assert_non_null(strstr(ask(fixture, false, "", DC, "")->error, "root"));
	assert_non_null(strstr(ask(fixture, false, "", "", DC)->error, "root"));
	assert_string_equal(ask(fixture, false, "", "", "")->nvme->mode, "observe");
	assert_null(find(&fixture->response, DC));
}

static void test_discover_and_forget(void **state)
{
	struct fixture *fixture = *state;
	const Pathbell__V1__LocalNvmeConnection *row = find(ask(fixture, true, "", DC, ""), DC);

	assert_non_null(row);
	assert_string_equal(row->state, "new");
	assert_string_equal(row->desired_by, "command");
	assert_true(row->discovery_controller);
	row = find(ask(fixture, true, "", "", DC), DC);
	assert_string_equal(row->desired_by, "");
	assert_non_null(strstr(ask(fixture, true, "", "", "transport=loop")->error, "no such"));
	assert_non_null(ask(fixture, true, "", "nonsense", "")->error);
	assert_string_not_equal(fixture->response.error, "");
	assert_non_null(strstr(ask(fixture, true, "sleep", "", "")->error, "autoconnect"));
}

static void test_commands(void **state)
{
	struct fixture *fixture = *state;
	const Pathbell__V1__LocalNvmeConnection *row;
	const char *address = "transport=tcp traddr=127.0.0.1 trsvcid=4420";

	assert_int_equal(agent_want_nvme(&fixture->agent, address, "nqn.2026-01.org.example:a"), 0);
	row = find(ask(fixture, false, "", "", ""), address);
	assert_string_equal(row->nqn, "nqn.2026-01.org.example:a");
	assert_string_equal(row->desired_by, "command");
	agent_forget_nvme(&fixture->agent, address, "nqn.2026-01.org.example:a");
	assert_string_equal(find(ask(fixture, false, "", "", ""), address)->desired_by, "");
	assert_true(agent_want_nvme(&fixture->agent, "transport=pigeon", "nqn.a") < 0);
}

static void test_without_a_monitor(void **state)
{
	static struct agent agent;
	Pathbell__V1__LocalNvmeRequest request = PATHBELL__V1__LOCAL_NVME_REQUEST__INIT;
	Pathbell__V1__LocalResponse response = PATHBELL__V1__LOCAL_RESPONSE__INIT;
	struct arena *arena;

	assert_int_equal(arena_new(&arena, 65536), 0);
	assert_true(agent_answer_nvme(&agent, true, &request, &response, arena));
	assert_non_null(strstr(response.error, "not open"));
	assert_true(agent_want_nvme(&agent, DC, "") < 0);
	agent_forget_nvme(&agent, DC, "");
	arena_free(arena);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_only_root_changes),
		TEST(test_discover_and_forget),
		TEST(test_commands),
		cmocka_unit_test(test_without_a_monitor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
