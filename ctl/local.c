/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "core/clock.h"
#include "core/fd.h"
#include "ctl/registry.h"
#include "ctl/settings.h"
#include "proto/codec.h"

#define LOCAL_MAX_REQUEST  4096 /* CONTROL_MAX_REQUEST of the agent */
#define LOCAL_MAX_RESPONSE (4U << 20)

static int local_connect(const char *path, uint64_t timeout_ns, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval timeout = { (time_t)(timeout_ns / CLOCK_NS_PER_S),
				   (suseconds_t)(timeout_ns % CLOCK_NS_PER_S / 1000) };
	int error;
	int fd;

	if (strlen(path) >= sizeof(address.sun_path))
		return cli_fail(CLI_USAGE, "--socket: the path is longer than %zu bytes",
				sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return cli_fail(CLI_FAILED, "socket: %s", strerror(errno));
	/* SO_SNDTIMEO bounds connect(2) too: unix(7), an agent that is stuck does not accept. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
		*ret_fd = fd;
		return CLI_OK;
	}
	error = errno;
	fd_close(fd);
	if (error == EACCES || error == EPERM)
		return cli_fail(CLI_PERMISSION,
				"%s: %s; run this as root or in the group that the agent's "
				"`control` section names",
				path, strerror(error));
	if (error == ENOENT || error == ECONNREFUSED)
		return cli_fail(CLI_UNAVAILABLE,
				"%s: %s; no agent runs here. Try: systemctl status pathbelld. "
				"Another place: --socket PATH",
				path, strerror(error));
	return cli_fail(CLI_UNAVAILABLE, "%s: %s", path, strerror(error));
}

/* One packet, however large. */
static int local_receive(int fd, uint8_t **ret_data, size_t *ret_size)
{
	ssize_t size = recv(fd, NULL, 0, MSG_PEEK | MSG_TRUNC);
	uint8_t *data;

	if (size < 0)
		return -errno;
	if ((size_t)size > LOCAL_MAX_RESPONSE)
		return -EMSGSIZE;
	data = malloc((size_t)size + 1);
	if (!data)
		return -ENOMEM;
	size = recv(fd, data, (size_t)size, 0);
	if (size < 0) {
		free(data);
		return -errno;
	}
	*ret_data = data;
	*ret_size = (size_t)size;
	return 0;
}

static int local_exchange(int fd, const char *path, const Pathbell__V1__LocalRequest *request,
			  Pathbell__V1__LocalResponse **ret_response)
{
	uint8_t packed[LOCAL_MAX_REQUEST];
	uint8_t *data = NULL;
	size_t size = 0;
	struct errmsg err = { 0 };
	int r;

	if (pathbell__v1__local_request__get_packed_size(request) > sizeof(packed))
		return cli_fail(CLI_FAILED, "the request is too large");
	size = pathbell__v1__local_request__pack(request, packed);
	if (send(fd, packed, size, MSG_NOSIGNAL) < 0)
		return cli_fail(errno == EAGAIN ? CLI_UNAVAILABLE : CLI_FAILED, "%s: %s", path,
				strerror(errno));
	r = local_receive(fd, &data, &size);
	if (r == -EAGAIN)
		return cli_fail(CLI_UNAVAILABLE,
				"%s: the agent gave no answer in time; --timeout waits longer",
				path);
	if (r < 0)
		return cli_fail(CLI_FAILED, "%s: %s", path, strerror(-r));
	if (size == 0) {
		free(data);
		return cli_fail(CLI_PERMISSION,
				"%s: the agent closed the connection: it allows root and its "
				"configured group",
				path);
	}
	*ret_response = codec_unpack(&pathbell__v1__local_response__descriptor, &scan_limits_stream,
				     NULL, data, size, &err);
	free(data);
	return *ret_response
		       ? CLI_OK
		       : cli_fail(CLI_FAILED, "%s: the answer cannot be read: %s", path, err.text);
}

int local_ask(struct cli *cli, const Pathbell__V1__LocalRequest *request,
	      Pathbell__V1__LocalResponse__ResponseCase wanted,
	      Pathbell__V1__LocalResponse **ret_response)
{
	Pathbell__V1__LocalResponse *response = NULL;
	struct settings settings;
	_cleanup_fd_ int fd = -1;
	int code = settings_load(cli, &settings);

	if (code == CLI_OK)
		code = local_connect(settings.socket, settings.timeout_ns, &fd);
	if (code == CLI_OK)
		code = local_exchange(fd, settings.socket, request, &response);
	settings_deinit(&settings);
	if (!response)
		return code;
	if (!*response->error && response->response_case == wanted) {
		*ret_response = response;
		return CLI_OK;
	}
	code = cli_fail(CLI_FAILED, "the agent says: %s",
			*response->error ? response->error : "something else than was asked");
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return code;
}

static int local_status_run(struct cli *cli)
{
	Pathbell__V1__LocalRequest request = PATHBELL__V1__LOCAL_REQUEST__INIT;
	Pathbell__V1__LocalStatusRequest status = PATHBELL__V1__LOCAL_STATUS_REQUEST__INIT;
	Pathbell__V1__LocalResponse *response = NULL;
	int code;

	request.request_case = PATHBELL__V1__LOCAL_REQUEST__REQUEST_STATUS;
	request.status = &status;
	code = local_ask(cli, &request, PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_STATUS, &response);
	if (!response)
		return code;
	if (cli->out.json)
		output_message(&cli->out, &response->status->base);
	else
		local_show_status(cli, response->status);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return CLI_OK;
}

static int local_collectors_run(struct cli *cli)
{
	Pathbell__V1__LocalRequest request = PATHBELL__V1__LOCAL_REQUEST__INIT;
	Pathbell__V1__LocalCollectorsRequest collectors =
		PATHBELL__V1__LOCAL_COLLECTORS_REQUEST__INIT;
	Pathbell__V1__LocalResponse *response = NULL;
	int code;

	request.request_case = PATHBELL__V1__LOCAL_REQUEST__REQUEST_COLLECTORS;
	request.collectors = &collectors;
	code = local_ask(cli, &request, PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_COLLECTORS,
			 &response);
	if (!response)
		return code;
	if (cli->out.json)
		output_message(&cli->out, &response->collectors->base);
	else
		local_show_collectors(cli, response->collectors);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return CLI_OK;
}

static void local_print_prometheus(struct cli *cli, const Pathbell__V1__LocalStats *stats)
{
	struct buf text = { 0 };

	if (local_prometheus(stats, &text) == 0)
		fwrite(text.data, 1, text.size, cli->out.file);
	buf_deinit(&text);
}

static int local_stats_run(struct cli *cli)
{
	Pathbell__V1__LocalRequest request = PATHBELL__V1__LOCAL_REQUEST__INIT;
	Pathbell__V1__LocalStatsRequest stats = PATHBELL__V1__LOCAL_STATS_REQUEST__INIT;
	Pathbell__V1__LocalResponse *response = NULL;
	int code;

	request.request_case = PATHBELL__V1__LOCAL_REQUEST__REQUEST_STATS;
	request.stats = &stats;
	code = local_ask(cli, &request, PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_STATS, &response);
	if (!response)
		return code;
	if (cli_has(cli, "prometheus"))
		local_print_prometheus(cli, response->stats);
	else if (cli->out.json)
		output_message(&cli->out, &response->stats->base);
	else
		local_show_stats(cli, response->stats);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return CLI_OK;
}

static int local_log_run(struct cli *cli)
{
	Pathbell__V1__LocalRequest request = PATHBELL__V1__LOCAL_REQUEST__INIT;
	Pathbell__V1__LocalLogRequest log = PATHBELL__V1__LOCAL_LOG_REQUEST__INIT;
	Pathbell__V1__LocalResponse *response = NULL;
	size_t lines = 0;
	int code;

	if (!cli_get_number(cli, "lines", 100, 1, 1000, &lines))
		return CLI_USAGE;
	log.lines = (uint32_t)lines;
	request.request_case = PATHBELL__V1__LOCAL_REQUEST__REQUEST_LOG;
	request.log = &log;
	code = local_ask(cli, &request, PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_LOG, &response);
	if (!response)
		return code;
	if (cli->out.json)
		output_message(&cli->out, &response->log->base);
	else
		local_show_log(cli, response->log);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return CLI_OK;
}

/* clang-format off */
#define LOCAL_SOCKET_OPTION \
	{ "socket", "SOCKET", "the agent's control socket (default /run/pathbell/agent.sock)", 0, false }
/* clang-format on */

static const struct cli_option local_options[] = {
	LOCAL_SOCKET_OPTION,
	{ NULL, NULL, NULL, 0, false },
};

static const struct cli_option local_stats_options[] = {
	LOCAL_SOCKET_OPTION,
	{ "prometheus", NULL, "print Prometheus text exposition", 0, false },
	{ NULL, NULL, NULL, 0, false },
};

static const struct cli_option local_log_options[] = {
	LOCAL_SOCKET_OPTION,
	{ "lines", "N", "the newest N lines (default 100, at most 1000)", 'n', false },
	{ NULL, NULL, NULL, 0, false },
};

const struct cli_command local_status_command = {
	.path = "local status",
	.summary = "Show the state of this host's agent",
	.operands = "",
	.options = local_options,
	.run = local_status_run,
};

const struct cli_command local_collectors_command = {
	.path = "local collectors",
	.summary = "Show the collectors of this host's agent",
	.operands = "",
	.options = local_options,
	.run = local_collectors_run,
};

const struct cli_command local_stats_command = {
	.path = "local stats",
	.summary = "Show the counters of this host's agent",
	.operands = "",
	.options = local_stats_options,
	.run = local_stats_run,
};

const struct cli_command local_log_command = {
	.path = "local log",
	.summary = "Show the last log lines of this host's agent",
	.operands = "",
	.options = local_log_options,
	.run = local_log_run,
};
