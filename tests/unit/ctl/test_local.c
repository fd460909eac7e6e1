/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/local.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "ctl/registry.h"

/* The other end of the control socket: takes one packet, gives one back. */
struct agent {
	pthread_t thread;
	int listen_fd;
	const uint8_t *answer;
	size_t answer_size;
	bool silent; /* closes without an answer */
	uint8_t request[512];
	ssize_t request_size;
};

static char folder[64];
static char path[96];

static void *agent_run(void *data)
{
	struct agent *agent = data;
	int fd = accept(agent->listen_fd, NULL, NULL);

	agent->request_size = recv(fd, agent->request, sizeof(agent->request), 0);
	if (!agent->silent)
		send(fd, agent->answer, agent->answer_size, MSG_NOSIGNAL);
	close(fd);
	return NULL;
}

static void agent_start(struct agent *agent, const uint8_t *answer, size_t size, bool silent)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	*agent = (struct agent){ .answer = answer, .answer_size = size, .silent = silent };
	unlink(path);
	strcpy(address.sun_path, path);
	agent->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(agent->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(agent->listen_fd, 1), 0);
	assert_int_equal(pthread_create(&agent->thread, NULL, agent_run, agent), 0);
}

static void agent_stop(struct agent *agent)
{
	pthread_join(agent->thread, NULL);
	close(agent->listen_fd);
}

static const struct cli_option socket_option = { .name = "socket" },
			       timeout_option = { .name = "timeout" };

/* Runs a command of the registry with its output in *ret_text. */
static int run(const struct cli_command *command, bool json, char **ret_text)
{
	size_t size = 0;
	struct cli cli = { .command = command, .n_values = 2 };
	int code;

	cli.values[0] = (struct cli_value){ &socket_option, path };
	cli.values[1] = (struct cli_value){ &timeout_option, "30s" };
	cli.out = (struct output){ .file = open_memstream(ret_text, &size),
				   .json = json,
				   .utc = true };
	code = command->run(&cli);
	fclose(cli.out.file);
	return code;
}

static size_t pack(const Pathbell__V1__LocalResponse *response, uint8_t *out)
{
	return pathbell__v1__local_response__pack(response, out);
}

static void test_status_asks_and_shows(void **state)
{
	Pathbell__V1__LocalResponse response = PATHBELL__V1__LOCAL_RESPONSE__INIT;
	Pathbell__V1__LocalStatus status = PATHBELL__V1__LOCAL_STATUS__INIT;
	Pathbell__V1__LocalForwarder forwarder = PATHBELL__V1__LOCAL_FORWARDER__INIT;
	Pathbell__V1__LocalForwarder *forwarders[] = { &forwarder };
	Pathbell__V1__LocalSpool spool = PATHBELL__V1__LOCAL_SPOOL__INIT;
	struct agent agent;
	uint8_t packed[1024];
	char *text = NULL;

	status.host_id = (char *)"web\03317";
	status.forwarders = forwarders;
	status.n_forwarders = 1;
	forwarder.name = (char *)"uplink";
	forwarder.state = (char *)"held";
	forwarder.cause = (char *)"tls";
	spool.captured = 10;
	spool.acked = 7;
	spool.unacked = 2;
	spool.tombstoned = 1;
	status.spool = &spool;
	response.response_case = PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_STATUS;
	response.status = &status;
	agent_start(&agent, packed, pack(&response, packed), false);
	assert_int_equal(run(&local_status_command, false, &text), CLI_OK);
	agent_stop(&agent);
	Pathbell__V1__LocalRequest *request = pathbell__v1__local_request__unpack(
		NULL, (size_t)agent.request_size, agent.request);

	assert_non_null(request);
	assert_int_equal(request->request_case, PATHBELL__V1__LOCAL_REQUEST__REQUEST_STATUS);
	pathbell__v1__local_request__free_unpacked(request, NULL);
	assert_non_null(strstr(text, "web\\x1b17"));
	assert_non_null(strstr(text, "10 captured = 7 acked + 2 unacked + 1 tombstoned"));
	assert_non_null(strstr(text, "uplink: held, tls"));
	free(text);
	agent_start(&agent, packed, pack(&response, packed), false);
	assert_int_equal(run(&local_status_command, true, &text), CLI_OK);
	agent_stop(&agent);
	assert_non_null(strstr(text, "\"captured\":10"));
	free(text);
}

static void test_a_large_answer_arrives_whole(void **state)
{
	Pathbell__V1__LocalResponse response = PATHBELL__V1__LOCAL_RESPONSE__INIT;
	Pathbell__V1__LocalLog log = PATHBELL__V1__LOCAL_LOG__INIT;
	char line[101];
	char *lines[1000];
	uint8_t *packed = malloc(200000);
	struct agent agent;
	char *text = NULL;

	memset(line, 'x', 100);
	line[100] = '\0';
	for (size_t i = 0; i < 1000; i++)
		lines[i] = line;
	log.lines = lines;
	log.n_lines = 1000;
	response.response_case = PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_LOG;
	response.log = &log;
	agent_start(&agent, packed, pack(&response, packed), false);
	assert_int_equal(run(&local_log_command, false, &text), CLI_OK);
	agent_stop(&agent);
	assert_int_equal(strlen(text), 101000);
	free(text);
	free(packed);
}

static void test_an_error_of_the_agent(void **state)
{
	Pathbell__V1__LocalResponse response = PATHBELL__V1__LOCAL_RESPONSE__INIT;
	struct agent agent;
	uint8_t packed[128];
	char *text = NULL;

	response.error = (char *)"not today";
	agent_start(&agent, packed, pack(&response, packed), false);
	assert_int_equal(run(&local_collectors_command, false, &text), CLI_FAILED);
	agent_stop(&agent);
	free(text);
}

static void test_garbage_and_another_answer(void **state)
{
	static const uint8_t garbage[] = { 0xff, 0xff, 0xff, 0xff, 0x0f };
	Pathbell__V1__LocalResponse response = PATHBELL__V1__LOCAL_RESPONSE__INIT;
	Pathbell__V1__LocalLog log = PATHBELL__V1__LOCAL_LOG__INIT;
	struct agent agent;
	uint8_t packed[128];
	char *text = NULL;

	agent_start(&agent, garbage, sizeof(garbage), false);
	assert_int_equal(run(&local_status_command, false, &text), CLI_FAILED);
	agent_stop(&agent);
	free(text);
	response.response_case = PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_LOG;
	response.log = &log;
	agent_start(&agent, packed, pack(&response, packed), false);
	assert_int_equal(run(&local_status_command, false, &text), CLI_FAILED);
	agent_stop(&agent);
	free(text);
}

static void test_a_closed_connection_is_no_permission(void **state)
{
	struct agent agent;
	char *text = NULL;

	agent_start(&agent, NULL, 0, true);
	assert_int_equal(run(&local_status_command, false, &text), CLI_PERMISSION);
	agent_stop(&agent);
	free(text);
}

static void test_no_agent_is_unavailable(void **state)
{
	char *text = NULL;

	unlink(path);
	assert_int_equal(run(&local_status_command, false, &text), CLI_UNAVAILABLE);
	free(text);
}

static void test_prometheus(void **state)
{
	static const char *const names[] = { "pathbell_lost_total{reason=\"a\"}",
					     "pathbell_up",
					     "pathbell_lost_total{reason=\"b\"}",
					     "bad name",
					     "x\ny",
					     "{}" };
	Pathbell__V1__LocalCounter counters[6];
	Pathbell__V1__LocalCounter *list[6];
	Pathbell__V1__LocalStats stats = PATHBELL__V1__LOCAL_STATS__INIT;
	struct buf out = { 0 };

	for (size_t i = 0; i < 6; i++) {
		pathbell__v1__local_counter__init(&counters[i]);
		counters[i].name = (char *)names[i];
		counters[i].help = (char *)"Help.";
		counters[i].value = i + 1;
		list[i] = &counters[i];
	}
	stats.counters = list;
	stats.n_counters = 6;
	assert_int_equal(local_prometheus(&stats, &out), 0);
	assert_int_equal(buf_append(&out, "", 1), 0);
	assert_string_equal(
		(char *)out.data,
		"# HELP pathbell_lost_total Help.\n# TYPE pathbell_lost_total counter\n"
		"pathbell_lost_total{reason=\"a\"} 1\npathbell_lost_total{reason=\"b\"} 3\n"
		"# HELP pathbell_up Help.\n# TYPE pathbell_up gauge\npathbell_up 2\n");
	buf_deinit(&out);
}

#define DC1 "transport=tcp traddr=192.0.2.1 trsvcid=8009"
#define DC2 "transport=tcp traddr=192.0.2.2 trsvcid=8009"

static void fill_connection(Pathbell__V1__LocalNvmeConnection *row, const char *address,
			    const char *nqn, const char *from)
{
	pathbell__v1__local_nvme_connection__init(row);
	row->transport_address = (char *)address;
	row->nqn = (char *)nqn;
	row->discovered_from = (char *)from;
	row->discovery_controller = !*nqn;
	row->state = (char *)"online";
	row->controller = (char *)"nvme0";
	row->desired_by = (char *)"yaml";
}

/* As a tree, however the rows are ordered; text of a target can't steer the terminal. */
static void test_nvme_list_is_a_tree(void **state)
{
	Pathbell__V1__LocalResponse response = PATHBELL__V1__LOCAL_RESPONSE__INIT;
	Pathbell__V1__LocalNvme nvme = PATHBELL__V1__LOCAL_NVME__INIT;
	Pathbell__V1__LocalNvmeConnection rows[4],
		*list[] = { &rows[0], &rows[1], &rows[2], &rows[3] };
	struct agent agent;
	uint8_t packed[2048];
	char *text = NULL;

	fill_connection(&rows[0], "transport=tcp traddr=192.0.2.2 trsvcid=4420", "nqn.\0337deep",
			DC2);
	fill_connection(&rows[1], DC2, "", DC1);
	fill_connection(&rows[2], DC1, "", "");
	fill_connection(&rows[3], "transport=tcp traddr=192.0.2.9 trsvcid=4420", "nqn.alone", "");
	rows[1].state = (char *)"failed";
	rows[1].error = (char *)"Connection refused";
	rows[1].attempts = 3;
	nvme.mode = (char *)"autoconnect";
	nvme.rules = (char *)"masked";
	nvme.connections = list;
	nvme.n_connections = 4;
	response.response_case = PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_NVME;
	response.nvme = &nvme;
	agent_start(&agent, packed, pack(&response, packed), false);
	assert_int_equal(run(&local_nvme_list_command, false, &text), CLI_OK);
	agent_stop(&agent);
	assert_string_equal(text, "mode autoconnect, autoconnect rules masked, 0 children\n"
				  "online      nvme0    discovery " DC1 ", by yaml\n"
				  "  failed      nvme0    discovery " DC2
				  ", by yaml, attempt 3: Connection refused\n"
				  "    online      nvme0    nqn.\\x1b7deep transport=tcp "
				  "traddr=192.0.2.2 trsvcid=4420, "
				  "by yaml\n"
				  "online      nvme0    nqn.alone transport=tcp traddr=192.0.2.9 "
				  "trsvcid=4420, by yaml\n");
	free(text);
}

/* Words of an address, as the shell gives them. */
static void test_nvme_discover_asks(void **state)
{
	static char *words[] = { (char *)"transport=tcp", (char *)"traddr=192.0.2.1" };
	Pathbell__V1__LocalResponse response = PATHBELL__V1__LOCAL_RESPONSE__INIT;
	Pathbell__V1__LocalNvme nvme = PATHBELL__V1__LOCAL_NVME__INIT;
	struct cli cli = { .command = &local_nvme_discover_command, .n_values = 2 };
	struct agent agent;
	uint8_t packed[256];
	char *text = NULL;
	size_t size = 0;

	response.response_case = PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_NVME;
	response.nvme = &nvme;
	agent_start(&agent, packed, pack(&response, packed), false);
	cli.values[0] = (struct cli_value){ &socket_option, path };
	cli.values[1] = (struct cli_value){ &timeout_option, "30s" };
	cli.operands = words;
	cli.n_operands = 2;
	cli.out = (struct output){ .file = open_memstream(&text, &size) };
	assert_int_equal(local_nvme_discover_command.run(&cli), CLI_OK);
	fclose(cli.out.file);
	agent_stop(&agent);
	Pathbell__V1__LocalRequest *request = pathbell__v1__local_request__unpack(
		NULL, (size_t)agent.request_size, agent.request);

	assert_non_null(request);
	assert_int_equal(request->request_case, PATHBELL__V1__LOCAL_REQUEST__REQUEST_NVME);
	assert_string_equal(request->nvme->discover, "transport=tcp traddr=192.0.2.1");
	pathbell__v1__local_request__free_unpacked(request, NULL);
	free(text);
}

static int setup(void **state)
{
	strcpy(folder, "/tmp/pathbell-local.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/agent.sock", folder);
	setenv("PATHBELL_CONFIG", "", 1);
	setenv("HOME", folder, 1);
	return 0;
}

static int teardown(void **state)
{
	unlink(path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status_asks_and_shows),
		cmocka_unit_test(test_a_large_answer_arrives_whole),
		cmocka_unit_test(test_an_error_of_the_agent),
		cmocka_unit_test(test_garbage_and_another_answer),
		cmocka_unit_test(test_a_closed_connection_is_no_permission),
		cmocka_unit_test(test_no_agent_is_unavailable),
		cmocka_unit_test(test_prometheus),
		cmocka_unit_test(test_nvme_list_is_a_tree),
		cmocka_unit_test(test_nvme_discover_asks),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
