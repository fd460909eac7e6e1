/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/agent.h"
#include "core/fd.h"
#include "proto/codec.h"
#include "support.h"

/* A whole agent in this process: control socket, reload, orderly stop. Sources: a recording. */
struct bench {
	char *dir;
	struct agent agent;
	const char *config;
	int client;
	uint8_t packet[CONTROL_MAX_REPLY];
	ssize_t packet_size;
};

static void write_config(struct bench *bench, const char *more)
{
	char yaml[4096];
	int len = snprintf(
		yaml, sizeof(yaml),
		"host_id: h1\nstate_dir: %s/state\nruntime_dir: %s/run\ntracefs: %s/none\n%s",
		bench->dir, bench->dir, bench->dir, more);

	support_write(bench->dir, "c.yaml", yaml, (size_t)len);
}

/* Only the recording: what this machine's kernel has must not matter. */
static const char *with_replay(void)
{
	static char yaml[2048];
	size_t len = (size_t)snprintf(yaml, sizeof(yaml), "collectors:\n");

	for (size_t i = 0; i < registry_n; i++) {
		bool replay = strcmp(registry[i]->name, "replay") == 0;

		len += (size_t)snprintf(
			yaml + len, sizeof(yaml) - len, "  %s: {enabled: %s%s}\n",
			registry[i]->name, replay ? "true" : "false",
			replay ? ", file: " PATHBELL_TEST_DATA "/replay/block-error.rec" : "");
	}
	return yaml;
}

static void open_agent(struct bench *bench)
{
	struct errmsg err = { 0 };
	struct settings *settings = settings_load(bench->config, &err);

	assert_non_null(settings);
	if (agent_open(&bench->agent, settings, bench->config, &err))
		fail_msg("%s", err.text);
	agent_sync_collectors(&bench->agent);
}

static int setup(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	char path[256];

	bench->dir = support_dir();
	snprintf(path, sizeof(path), "%s/c.yaml", bench->dir);
	bench->config = strdup(path);
	bench->client = -1;
	write_config(bench, with_replay());
	open_agent(bench);
	*state = bench;
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;

	fd_close(bench->client);
	agent_close(&bench->agent);
	free((char *)bench->config);
	free(bench);
	return 0;
}

static int dial(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static bool has_packet(void *data)
{
	struct bench *bench = data;

	bench->packet_size =
		recv(bench->client, bench->packet, sizeof(bench->packet), MSG_DONTWAIT);
	return bench->packet_size >= 0;
}

static Pathbell__V1__LocalResponse *ask(struct bench *bench, const void *packet, size_t size)
{
	static const struct scan_limits limits = { CONTROL_MAX_REPLY, 65536, 8, 1024, 4 << 20 };
	Pathbell__V1__LocalResponse *response;
	struct errmsg err = { 0 };

	if (bench->client < 0)
		bench->client = dial(support_path(bench->dir, "run/agent.sock"));
	assert_int_equal(send(bench->client, packet, size, 0), size);
	assert_true(support_run(has_packet, bench));
	if (bench->packet_size == 0)
		return NULL;
	response = codec_unpack(&pathbell__v1__local_response__descriptor, &limits, NULL,
				bench->packet, (size_t)bench->packet_size, &err);
	if (!response)
		fail_msg("%s", err.text);
	return response;
}

static const uint8_t ask_status[] = { 0x0a, 0 }, ask_collectors[] = { 0x12, 0 },
		     ask_stats[] = { 0x1a, 0 }, ask_log[] = { 0x22, 2, 0x08, 5 };

static void drop(Pathbell__V1__LocalResponse *response)
{
	protobuf_c_message_free_unpacked(&response->base, NULL);
}

static void answers_local_requests(void **state)
{
	struct bench *bench = *state;
	Pathbell__V1__LocalResponse *response = ask(bench, ask_status, 2);

	assert_string_equal(response->error, "");
	assert_string_equal(response->status->host_id, "h1");
	assert_int_equal(response->status->pid, getpid());
	assert_string_equal(response->status->spool->state, "ok");
	assert_string_equal(
		response->status->command_hold,
		"too few keys are trusted: see commands.trusted_keys, commands.keys_dir");
	drop(response);
	response = ask(bench, ask_collectors, 2);
	assert_int_equal(response->collectors->n_collectors, registry_n);
	assert_string_equal(response->collectors->collectors[0]->name, "block");
	assert_string_equal(response->collectors->collectors[0]->state, "off");
	drop(response);
	response = ask(bench, ask_stats, 2);
	assert_true(response->stats->n_counters > 30);
	drop(response);
	response = ask(bench, ask_log, 4);
	assert_true(response->log->n_lines <= 5);
	drop(response);
	response = ask(bench, "\xff\xff", 2);
	assert_true(strlen(response->error) > 0);
	drop(response);
}

static void bounds_its_clients(void **state)
{
	static uint8_t large[CONTROL_MAX_REQUEST + 1];
	struct bench *bench = *state;
	int extra[CONTROL_MAX_CLIENTS + 4];
	Pathbell__V1__LocalResponse *response;
	struct stat st;

	assert_int_equal(stat(support_path(bench->dir, "run/agent.sock"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	assert_null(ask(bench, large, sizeof(large))); /* dropped */
	bench->client = fd_close(bench->client);
	for (size_t i = 0; i < CONTROL_MAX_CLIENTS + 4; i++)
		extra[i] = i < CONTROL_MAX_CLIENTS
				   ? dial(support_path(bench->dir, "run/agent.sock"))
				   : -1;
	bench->client = extra[0];
	response = ask(bench, ask_status, 2);
	assert_non_null(response);
	drop(response);
	for (size_t i = 1; i < CONTROL_MAX_CLIENTS; i++)
		fd_close(extra[i]);
}

static bool replayed(void *data)
{
	struct bench *bench = data;

	return counter_get(&pipeline_counters(bench->agent.pipeline)->captured) >= 1;
}

static void reload_applies_or_changes_nothing(void **state)
{
	static const char *const bad[] = { "log_level: loud\n", "uplink: {enabled: true}\n",
					   "control: {socket: /elsewhere}\n" };
	struct bench *bench = *state;
	struct agent *agent = &bench->agent;
	Pathbell__V1__LocalResponse *response;
	struct guard *guard = agent->collectors[registry_find("replay")].guard;

	assert_true(support_run(replayed, bench));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_config(bench, bad[i]);
		agent_reload(agent);
		assert_int_equal(agent->config_generation, 1);
		assert_ptr_equal(agent->collectors[registry_find("replay")].guard, guard);
		response = ask(bench, ask_status, 2);
		assert_true(strlen(response->status->config_error) > 0);
		drop(response);
	}
	support_write(bench->dir, "c.yaml", "", 0);
	agent_reload(agent);
	assert_int_equal(agent->config_generation, 1);

	/* what did not change goes on untouched */
	write_config(bench, with_replay());
	agent_reload(agent);
	assert_int_equal(agent->config_generation, 2);
	assert_string_equal(agent->config_error, "");
	assert_ptr_equal(agent->collectors[registry_find("replay")].guard, guard);
	/* what did, is restarted, started, stopped */
	write_config(bench, "filters: [{name: f, kind: storage.*}]\n"
			    "collectors: {block: {enabled: true}, replay: {enabled: false}}\n");
	agent_reload(agent);
	assert_int_equal(agent->config_generation, 3);
	assert_null(agent->collectors[registry_find("replay")].guard);
	assert_non_null(agent->collectors[registry_find("block")].guard);
	assert_int_equal(pipeline_filter(agent->pipeline)->n_rules, 1);
	for (unsigned i = 0; i < 50; i++)
		agent_reload(agent);
	assert_int_equal(agent->config_generation, 53);
}

static void second_agent_is_refused(void **state)
{
	struct bench *bench = *state;
	struct agent second;
	struct errmsg err = { 0 };
	struct settings *settings = settings_load(bench->config, &err);

	assert_non_null(settings);
	assert_int_not_equal(agent_open(&second, settings, bench->config, &err), 0);
	assert_true(strlen(err.text) > 0);
	/* the first one still answers */
	drop(ask(bench, ask_status, 2));
}

/* The program stops within 2 s of SIGTERM, with exit status 0 and nothing left behind. */
static void program_stops_in_time(void **state)
{
	struct bench *bench = *state;
	char command[1024];

	agent_close(&bench->agent);
	snprintf(command, sizeof(command),
		 TEST_PATHBELLD " --config %s 2>%s/err & p=$!; "
				"i=0; until [ -S %s/run/agent.sock ] || [ $i -gt 1000 ]; do sleep "
				"0.01; i=$((i+1)); done; "
				"kill -TERM $p; wait $p && ! [ -e %s/run/agent.sock ]",
		 bench->config, bench->dir, bench->dir, bench->dir);
	assert_int_equal(system(command), 0); // NOLINT(cert-env33-c)
	open_agent(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers_local_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(bounds_its_clients, setup, teardown),
		cmocka_unit_test_setup_teardown(reload_applies_or_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(second_agent_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(program_stops_in_time, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
