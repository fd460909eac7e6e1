/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verb.h"

#include <string.h>

#include "ctl/command.h"

/* Command.args from the options of each verb. Limits are those of command.proto. */

#define VERB_MAX_SECONDS 86400
#define VERB_MAX_QUEUES	 1024
#define VERB_MAX_ENTRIES 65535
#define VERB_MAX_BUNDLE	 (1 << 20) /* DiagArgs.max_bytes */

static bool verb_number(const struct cli *cli, const char *option, size_t max, uint32_t *ret_number)
{
	size_t number = 0;

	if (!cli_get_number(cli, option, 0, 0, max, &number))
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

int verb_build_probe(const struct cli *cli, struct command_plan *plan)
{
	pathbell__v1__probe_args__init(&plan->args.probe);
	plan->args.probe.target = plan->command.target;
	plan->args.probe.read_sector = cli_has(cli, "read");
	plan->command.args_case = PATHBELL__V1__COMMAND__ARGS_PROBE;
	plan->command.probe = &plan->args.probe;
	return CLI_OK;
}

/* The values of an option that may be repeated, as the schema's list has them. */
static int verb_list(const struct cli *cli, const char *option, struct command_plan *plan,
		     size_t *ret_n)
{
	const char *names[COMMAND_MAX_LIST];
	size_t n = cli_get_all(cli, option, names, COMMAND_MAX_LIST);

	if (n > COMMAND_MAX_LIST)
		return cli_fail(CLI_USAGE, "more than %d --%s", COMMAND_MAX_LIST, option);
	for (size_t i = 0; i < n; i++)
		plan->list[i] = (char *)names[i];
	*ret_n = n;
	return CLI_OK;
}

int verb_build_resync(const struct cli *cli, struct command_plan *plan)
{
	pathbell__v1__resync_args__init(&plan->args.resync);
	plan->args.resync.collectors = plan->list;
	plan->command.args_case = PATHBELL__V1__COMMAND__ARGS_RESYNC;
	plan->command.resync = &plan->args.resync;
	return verb_list(cli, "collector", plan, &plan->args.resync.n_collectors);
}

int verb_build_reconnect(const struct cli *cli, struct command_plan *plan)
{
	pathbell__v1__uplink_reconnect_args__init(&plan->args.reconnect);
	plan->args.reconnect.address = (char *)(cli_get(cli, "address") ?: "");
	plan->command.args_case = PATHBELL__V1__COMMAND__ARGS_UPLINK_RECONNECT;
	plan->command.uplink_reconnect = &plan->args.reconnect;
	return CLI_OK;
}

/* -1, or a number of seconds. */
static int verb_loss_tmo(const struct cli *cli, int32_t *ret_seconds)
{
	const char *text = cli_get(cli, "ctrl-loss-tmo");
	uint32_t seconds = 0;

	*ret_seconds = -1;
	if (text && strcmp(text, "-1") == 0)
		return CLI_OK;
	/* 0 = the kernel's default */
	if (!verb_number(cli, "ctrl-loss-tmo", VERB_MAX_SECONDS, &seconds))
		return CLI_USAGE;
	*ret_seconds = (int32_t)seconds;
	return CLI_OK;
}

int verb_build_connect(const struct cli *cli, struct command_plan *plan)
{
	Pathbell__V1__NvmeConnectArgs *args = &plan->args.connect;

	pathbell__v1__nvme_connect_args__init(args);
	args->host_nqn = (char *)(cli_get(cli, "hostnqn") ?: "");
	args->host_id = (char *)(cli_get(cli, "hostid") ?: "");
	args->desired = cli_has(cli, "desired");
	plan->command.args_case = PATHBELL__V1__COMMAND__ARGS_NVME_CONNECT;
	plan->command.nvme_connect = args;
	if (!verb_number(cli, "reconnect-delay", VERB_MAX_SECONDS,
			 &args->reconnect_delay_seconds) ||
	    !verb_number(cli, "keep-alive-tmo", VERB_MAX_SECONDS, &args->keep_alive_tmo_seconds) ||
	    !verb_number(cli, "nr-io-queues", VERB_MAX_QUEUES, &args->nr_io_queues) ||
	    !verb_number(cli, "queue-size", VERB_MAX_ENTRIES, &args->queue_size))
		return CLI_USAGE;
	return verb_loss_tmo(cli, &args->ctrl_loss_tmo_seconds);
}

int verb_build_discover(const struct cli *cli, struct command_plan *plan)
{
	pathbell__v1__nvme_discover_args__init(&plan->args.discover);
	plan->args.discover.connect = cli_has(cli, "connect");
	plan->args.discover.persistent = cli_has(cli, "persistent");
	plan->command.args_case = PATHBELL__V1__COMMAND__ARGS_NVME_DISCOVER;
	plan->command.nvme_discover = &plan->args.discover;
	return CLI_OK;
}

int verb_build_switch_group(const struct cli *cli, struct command_plan *plan)
{
	pathbell__v1__multipath_switch_group_args__init(&plan->args.switch_group);
	plan->args.switch_group.only_if_inactive = cli_has(cli, "only-if-inactive");
	plan->command.args_case = PATHBELL__V1__COMMAND__ARGS_MULTIPATH_SWITCH_GROUP;
	plan->command.multipath_switch_group = &plan->args.switch_group;
	return CLI_OK;
}

int verb_build_scsi_rescan(const struct cli *cli, struct command_plan *plan)
{
	uint32_t host = 0;

	pathbell__v1__scsi_rescan_args__init(&plan->args.scsi);
	if (!verb_number(cli, "scsi-host", UINT32_MAX - 1, &host))
		return CLI_USAGE;
	plan->args.scsi.host = cli_has(cli, "scsi-host") ? host + 1 : 0;
	plan->command.args_case = PATHBELL__V1__COMMAND__ARGS_SCSI_RESCAN;
	plan->command.scsi_rescan = &plan->args.scsi;
	return CLI_OK;
}

int verb_build_diag(const struct cli *cli, struct command_plan *plan)
{
	pathbell__v1__diag_args__init(&plan->args.diag);
	plan->args.diag.sections = plan->list;
	plan->command.args_case = PATHBELL__V1__COMMAND__ARGS_DIAG;
	plan->command.diag = &plan->args.diag;
	if (!verb_number(cli, "max-bytes", VERB_MAX_BUNDLE, &plan->args.diag.max_bytes))
		return CLI_USAGE;
	return verb_list(cli, "section", plan, &plan->args.diag.n_sections);
}
