/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/verb.h"

#include <stddef.h>

#include "ctl/command.h"
#include "ctl/reconnect.h"
#include "pathbell/v1/command.pb-c.h"

/*
 * Adding a verb: an index in verb.h, a row in verbs[], a row in VERB_TEXTS (summary and option
 * tables), and a line for each of its two commands in registry.c. A test compares the rows with the
 * enumeration of the schema.
 */

#define OPTION_END                         \
	{                                  \
		NULL, NULL, NULL, 0, false \
	}

/* clang-format off */
static const struct cli_option verb_device[] = {
	{ "device", "NAME", "kernel name of the device: sda, dm-3, nvme0n1, nvme0", 'D', false },
	{ "id", "SUBJECT_ID", "stable identity of the device: wwid:..., serial:..., dev:7:0", 0, false },
	{ "generation", "N", "only this generation of the device (the events tell it)", 0, false },
	OPTION_END,
};

static const struct cli_option verb_nqn[] = {
	{ "nqn", "NQN", "NVMe Qualified Name of the subsystem", 'q', false },
	OPTION_END,
};

static const struct cli_option verb_address[] = {
	{ "transport-address", "ADDRESS", "\"transport=tcp traddr=192.0.2.7 trsvcid=4420\"; or in parts:", 0, false },
	{ "transport", "NAME", "tcp, rdma, fc, loop", 't', false },
	{ "traddr", "ADDRESS", "transport address of the target's port", 'a', false },
	{ "trsvcid", "SERVICE", "transport service (tcp: the port; default 4420, for discovery 8009)", 0, false },
	{ "host-traddr", "ADDRESS", "from this address or port of the host", 0, false },
	{ "host-iface", "NAME", "through this network interface of the host", 0, false },
	OPTION_END,
};

static const struct cli_option verb_map[] = {
	{ "map", "UUID|NAME", "multipath map: mpath-..., its WWID, or its name", 'm', false },
	OPTION_END,
};

static const struct cli_option verb_path[] = {
	{ "path", "NAME|WWID", "the path: kernel name (sdb), H:C:T:L or WWID; twice: both must fit", 'p', false },
	OPTION_END,
};

static const struct cli_option verb_group[] = {
	{ "group", "N", "the path group, from 1", 'g', false },
	{ "only-if-inactive", NULL, "done at once where the group is in use already", 0, false },
	OPTION_END,
};

static const struct cli_option verb_last_path[] = {
	{ "override-last-path", NULL, "even if the target then has no usable path left (asks)", 0, false },
	OPTION_END,
};

static const struct cli_option verb_probe[] = {
	{ "read", NULL, "also read one sector with O_DIRECT", 0, false },
	OPTION_END,
};

static const struct cli_option verb_resync[] = {
	{ "collector", "NAME", "only this collector; may be repeated (default: all)", 'C', false },
	OPTION_END,
};

static const struct cli_option verb_uplink[] = {
	{ "address", "HOST:PORT", "which of the host's configured addresses (default: the next one)", 0, false },
	OPTION_END,
};

static const struct cli_option verb_connect[] = {
	{ "hostnqn", "NQN", "the host's NQN (default: /etc/nvme/hostnqn there)", 0, false },
	{ "hostid", "UUID", "the host's identifier (default: /etc/nvme/hostid there)", 0, false },
	{ "ctrl-loss-tmo", "SECONDS", "give a lost controller up after so long; -1 = never", 0, false },
	{ "reconnect-delay", "SECONDS", "pause between two attempts", 0, false },
	{ "keep-alive-tmo", "SECONDS", "keep-alive timeout", 0, false },
	{ "nr-io-queues", "N", "number of I/O queues", 0, false },
	{ "queue-size", "N", "entries of a queue", 0, false },
	{ "desired", NULL, "the host's monitor goes on wanting the connection", 0, false },
	OPTION_END,
};

static const struct cli_option verb_discover[] = {
	{ "connect", NULL, "connect what the log page names, as owners and exclusions allow", 0, false },
	{ "persistent", NULL, "the discovery controller stays", 0, false },
	OPTION_END,
};

static const struct cli_option verb_scsi[] = {
	{ "scsi-host", "N", "a whole SCSI host (host3: 3) instead of a device", 0, false },
	OPTION_END,
};

static const struct cli_option verb_diag[] = {
	{ "section", "NAME", "only this section of the bundle; may be repeated", 0, false },
	{ "max-bytes", "N", "cut the bundle there (default 262144, at most 1048576)", 0, false },
	{ "bundle-out", "FILE", "write the bundle to FILE (several hosts: FILE.HOST)", 0, false },
	OPTION_END,
};

/* INDEX, word, summary, tables */
#define VERB_TEXTS(ROW) \
	ROW(VERB_PROBE, "probe", "Have hosts read the state of a device again and report it", \
	    verb_device, verb_probe) \
	ROW(VERB_RESYNC, "resync", "Have hosts publish a snapshot of what they watch", \
	    verb_resync) \
	ROW(VERB_UPLINK_RECONNECT, "uplink-reconnect", \
	    "Have hosts drain their connection and connect again", verb_uplink) \
	ROW(VERB_NVME_CONNECT, "nvme-connect", "Connect hosts to an NVMe-oF subsystem", \
	    verb_nqn, verb_address, verb_connect) \
	ROW(VERB_NVME_DISCOVER, "nvme-discover", \
	    "Have hosts read a discovery log page, and connect what it names", \
	    verb_nqn, verb_address, verb_discover) \
	ROW(VERB_NVME_RESET, "nvme-reset", "Reset an NVMe controller of hosts", \
	    verb_nqn, verb_address, verb_device, verb_last_path) \
	ROW(VERB_NVME_RESCAN, "nvme-rescan", "Have hosts read an NVMe controller's namespaces again", \
	    verb_nqn, verb_address, verb_device) \
	ROW(VERB_NVME_DISCONNECT, "nvme-disconnect", "Disconnect an NVMe-oF controller of hosts", \
	    verb_nqn, verb_address, verb_device, verb_last_path) \
	ROW(VERB_MULTIPATH_REINSTATE, "multipath-reinstate", \
	    "Bring a failed path of a multipath map back", verb_map, verb_path, verb_device) \
	ROW(VERB_MULTIPATH_FAIL, "multipath-fail", "Take a path of a multipath map out of use", \
	    verb_map, verb_path, verb_device, verb_last_path) \
	ROW(VERB_MULTIPATH_SWITCH_GROUP, "multipath-switch-group", \
	    "Switch a multipath map to another path group", verb_map, verb_group, verb_last_path) \
	ROW(VERB_SCSI_RESCAN, "scsi-rescan", \
	    "Have hosts read a SCSI device again, or scan a SCSI host", \
	    verb_path, verb_device, verb_scsi) \
	ROW(VERB_DIAG, "diag", "Fetch a bounded bundle of state from hosts", verb_diag) \
	ROW(VERB_HALT, "halt", "Have hosts refuse every command but resume", NULL) \
	ROW(VERB_RESUME, "resume", "Have hosts accept commands again after halt", NULL)
/* clang-format on */

const struct verb verbs[VERB_COUNT] = {
	[VERB_PROBE] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE, "probe", VERB_NEEDS_DEVICE,
			 verb_build_probe },
	[VERB_RESYNC] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESYNC, "resync",
			  VERB_NEEDS_NOTHING, verb_build_resync },
	[VERB_UPLINK_RECONNECT] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_UPLINK_RECONNECT,
				    "uplink-reconnect", VERB_NEEDS_NOTHING, verb_build_reconnect },
	[VERB_NVME_CONNECT] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_CONNECT,
				"nvme-connect", VERB_NEEDS_SUBSYSTEM, verb_build_connect },
	[VERB_NVME_DISCOVER] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_DISCOVER,
				 "nvme-discover", VERB_NEEDS_ADDRESS, verb_build_discover },
	[VERB_NVME_RESET] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_RESET, "nvme-reset",
			      VERB_NEEDS_CONTROLLER, NULL },
	[VERB_NVME_RESCAN] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_RESCAN, "nvme-rescan",
			       VERB_NEEDS_CONTROLLER, NULL },
	[VERB_NVME_DISCONNECT] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_DISCONNECT,
				   "nvme-disconnect", VERB_NEEDS_CONTROLLER, NULL },
	[VERB_MULTIPATH_REINSTATE] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_REINSTATE,
				       "multipath-reinstate", VERB_NEEDS_PATH, NULL },
	[VERB_MULTIPATH_FAIL] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_FAIL,
				  "multipath-fail", VERB_NEEDS_PATH, NULL },
	[VERB_MULTIPATH_SWITCH_GROUP] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_SWITCH_GROUP,
					  "multipath-switch-group", VERB_NEEDS_GROUP,
					  verb_build_switch_group },
	[VERB_SCSI_RESCAN] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_SCSI_RESCAN, "scsi-rescan",
			       VERB_NEEDS_SCSI, verb_build_scsi_rescan },
	[VERB_DIAG] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_DIAG, "diag", VERB_NEEDS_NOTHING,
			verb_build_diag },
	[VERB_HALT] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_HALT, "halt", VERB_NEEDS_NOTHING,
			NULL },
	[VERB_RESUME] = { PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESUME, "resume",
			  VERB_NEEDS_NOTHING, NULL },
};

#define VERB_TABLES(index, word_, summary_, ...) \
	static const struct cli_option *const index##_tables[] = { __VA_ARGS__, NULL };
VERB_TEXTS(VERB_TABLES)

#define VERB_COMMAND(index, word_, summary_, ...)  \
	[index] = {                                \
		.path = "command " word_,          \
		.summary = summary_,               \
		.operands = "HOST...",             \
		.min_operands = 1,                 \
		.max_operands = COMMAND_MAX_HOSTS, \
		.help = COMMAND_HELP,              \
		.run = command_verb_run,           \
		.shared = index##_tables,          \
		.common = command_options,         \
		.data = &verbs[index],             \
	},
const struct cli_command verb_commands[VERB_COUNT] = { VERB_TEXTS(VERB_COMMAND) };

#define VERB_RECONNECT(index, word_, summary_, ...) \
	[index] = {                                 \
		.path = "reconnect " word_,         \
		.summary = summary_,                \
		.operands = "",                     \
		.options = reconnect_options,       \
		.help = RECONNECT_HELP,             \
		.run = reconnect_verb_run,          \
		.shared = index##_tables,           \
		.common = command_options,          \
		.data = &verbs[index],              \
		.unlisted = true,                   \
	},
const struct cli_command verb_reconnects[VERB_COUNT] = { VERB_TEXTS(VERB_RECONNECT) };

const struct verb *verb_find(unsigned number)
{
	for (size_t i = 0; i < VERB_COUNT; i++) {
		if (verbs[i].number == number)
			return &verbs[i];
	}
	return NULL;
}
