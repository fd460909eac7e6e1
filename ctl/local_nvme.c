/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "ctl/local.h"
#include "ctl/registry.h"

/* The NVMe monitor of this host's agent: what it wants, what there is, what it decided. */
#define LOCAL_NVME_ADDRESS 2048

static int local_nvme_ask(struct cli *cli, Pathbell__V1__LocalNvmeRequest *nvme,
			  Pathbell__V1__LocalResponse **ret_response)
{
	Pathbell__V1__LocalRequest request = PATHBELL__V1__LOCAL_REQUEST__INIT;

	request.request_case = PATHBELL__V1__LOCAL_REQUEST__REQUEST_NVME;
	request.nvme = nvme;
	return local_ask(cli, &request, PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_NVME, ret_response);
}

static int local_nvme_list_run(struct cli *cli)
{
	Pathbell__V1__LocalNvmeRequest nvme = PATHBELL__V1__LOCAL_NVME_REQUEST__INIT;
	Pathbell__V1__LocalResponse *response = NULL;
	int code = local_nvme_ask(cli, &nvme, &response);

	if (!response)
		return code;
	if (cli->out.json)
		output_message(&cli->out, &response->nvme->base);
	else
		local_show_nvme(cli, response->nvme);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return CLI_OK;
}

static int local_nvme_log_run(struct cli *cli)
{
	Pathbell__V1__LocalNvmeRequest nvme = PATHBELL__V1__LOCAL_NVME_REQUEST__INIT;
	Pathbell__V1__LocalResponse *response = NULL;
	size_t lines = 0;
	int code;

	if (!cli_get_number(cli, "lines", 100, 1, 1000, &lines))
		return CLI_USAGE;
	nvme.decisions = (uint32_t)lines;
	code = local_nvme_ask(cli, &nvme, &response);
	if (!response)
		return code;
	for (size_t i = 0; i < response->nvme->n_decisions; i++) {
		if (cli->out.json)
			output_message(&cli->out, &response->nvme->decisions[i]->base);
		else
			local_show_nvme_decision(cli, response->nvme->decisions[i]);
	}
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return CLI_OK;
}

static int local_nvme_mode_run(struct cli *cli)
{
	Pathbell__V1__LocalNvmeRequest nvme = PATHBELL__V1__LOCAL_NVME_REQUEST__INIT;
	Pathbell__V1__LocalResponse *response = NULL;
	int code;

	if (cli->n_operands > 0)
		nvme.mode = cli->operands[0];
	if (*nvme.mode && strcmp(nvme.mode, "observe") != 0 &&
	    strcmp(nvme.mode, "autoconnect") != 0)
		return cli_fail(CLI_USAGE, "no mode '%s': observe or autoconnect", nvme.mode);
	code = local_nvme_ask(cli, &nvme, &response);
	if (!response)
		return code;
	if (cli->out.json)
		output_message(&cli->out, &response->nvme->base);
	else
		output_line(&cli->out, "%s", response->nvme->mode);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return CLI_OK;
}

/* "transport=tcp traddr=192.0.2.1" or the same as several words. */
static bool local_nvme_address(const struct cli *cli, char text[LOCAL_NVME_ADDRESS])
{
	size_t at = 0;

	for (int i = 0; i < cli->n_operands; i++) {
		int n = snprintf(text + at, LOCAL_NVME_ADDRESS - at, "%s%s", i > 0 ? " " : "",
				 cli->operands[i]);

		if (n < 0 || (size_t)n >= LOCAL_NVME_ADDRESS - at) {
			(void)cli_fail(CLI_USAGE, "the address is longer than %d bytes",
				       LOCAL_NVME_ADDRESS - 1);
			return false;
		}
		at += (size_t)n;
	}
	return true;
}

static int local_nvme_change(struct cli *cli, Pathbell__V1__LocalNvmeRequest *nvme,
			     const char *said)
{
	Pathbell__V1__LocalResponse *response = NULL;
	int code = local_nvme_ask(cli, nvme, &response);

	if (!response)
		return code;
	if (!cli->out.json)
		output_line(&cli->out, "%s", said);
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return CLI_OK;
}

static int local_nvme_discover_run(struct cli *cli)
{
	Pathbell__V1__LocalNvmeRequest nvme = PATHBELL__V1__LOCAL_NVME_REQUEST__INIT;
	char address[LOCAL_NVME_ADDRESS];

	if (!local_nvme_address(cli, address))
		return CLI_USAGE;
	nvme.discover = address;
	return local_nvme_change(cli, &nvme, "discovery asked for; see: pathbell local nvme log");
}

static int local_nvme_forget_run(struct cli *cli)
{
	Pathbell__V1__LocalNvmeRequest nvme = PATHBELL__V1__LOCAL_NVME_REQUEST__INIT;
	char address[LOCAL_NVME_ADDRESS];

	if (!local_nvme_address(cli, address))
		return CLI_USAGE;
	nvme.forget = address;
	return local_nvme_change(cli, &nvme, "not wanted any more; nothing was disconnected");
}

/* clang-format off */
#define LOCAL_SOCKET_OPTION \
	{ "socket", "SOCKET", "the agent's control socket (default /run/pathbell/agent.sock)", 0, false }
/* clang-format on */

static const struct cli_option local_nvme_options[] = {
	LOCAL_SOCKET_OPTION,
	{ NULL, NULL, NULL, 0, false },
};

static const struct cli_option local_nvme_log_options[] = {
	LOCAL_SOCKET_OPTION,
	{ "lines", "N", "the newest N decisions (default 100, at most 1000)", 'n', false },
	{ NULL, NULL, NULL, 0, false },
};

#define LOCAL_NVME_ADDRESS_HELP                                                       \
	"ADDRESS is as events and `pathbell local nvme list` show it: transport=tcp " \
	"traddr=192.0.2.1 trsvcid=8009 [host_traddr=... host_iface=...] [nqn=...]. "  \
	"Without nqn the discovery controller there is meant. Only root may ask for this."

const struct cli_command local_nvme_list_command = {
	.path = "local nvme list",
	.summary = "Show what this host's NVMe monitor wants and has",
	.operands = "",
	.options = local_nvme_options,
	.help = "Below each discovery controller stand the subsystems that its log page named. "
		"A star marks controllers that the monitor has made itself.",
	.run = local_nvme_list_run,
};

const struct cli_command local_nvme_log_command = {
	.path = "local nvme log",
	.summary = "Show the NVMe monitor's last decisions and their reasons",
	.operands = "",
	.options = local_nvme_log_options,
	.run = local_nvme_log_run,
};

const struct cli_command local_nvme_mode_command = {
	.path = "local nvme mode",
	.summary = "Show or set the NVMe monitor's mode",
	.operands = "[observe|autoconnect]",
	.max_operands = 1,
	.options = local_nvme_options,
	.help = "The mode of the configuration file comes back with the next start. Only root may "
		"set it.",
	.run = local_nvme_mode_run,
};

const struct cli_command local_nvme_discover_command = {
	.path = "local nvme discover",
	.summary = "Read the discovery log page of an address now",
	.operands = "ADDRESS...",
	.min_operands = 1,
	.max_operands = 8,
	.options = local_nvme_options,
	.help = LOCAL_NVME_ADDRESS_HELP
	" In autoconnect mode the address is wanted from then on, until the agent ends.",
	.run = local_nvme_discover_run,
};

const struct cli_command local_nvme_forget_command = {
	.path = "local nvme forget",
	.summary = "Stop wanting an address; nothing is disconnected",
	.operands = "ADDRESS...",
	.min_operands = 1,
	.max_operands = 8,
	.options = local_nvme_options,
	.help = LOCAL_NVME_ADDRESS_HELP
	" What names it again is not believed until a command asks for it or the agent starts "
	"anew.",
	.run = local_nvme_forget_run,
};
