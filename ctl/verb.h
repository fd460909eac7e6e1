/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/cli.h"

/*
 * The verbs of CommandVerb as data. A row makes two commands: `command WORD HOST...` for hosts that
 * are named, `reconnect WORD --where ...` for a campaign. Both have the row's option tables.
 */
enum verb_index {
	VERB_PROBE,
	VERB_RESYNC,
	VERB_UPLINK_RECONNECT,
	VERB_NVME_CONNECT,
	VERB_NVME_DISCOVER,
	VERB_NVME_RESET,
	VERB_NVME_RESCAN,
	VERB_NVME_DISCONNECT,
	VERB_MULTIPATH_REINSTATE,
	VERB_MULTIPATH_FAIL,
	VERB_MULTIPATH_SWITCH_GROUP,
	VERB_SCSI_RESCAN,
	VERB_DIAG,
	VERB_HALT,
	VERB_RESUME,
	VERB_COUNT
};

/* What of the target has to be named, by options or by what the campaign's plan found. */
enum verb_need {
	VERB_NEEDS_NOTHING,
	VERB_NEEDS_DEVICE,     /* name or id */
	VERB_NEEDS_SUBSYSTEM,  /* NQN and transport address */
	VERB_NEEDS_ADDRESS,    /* transport address */
	VERB_NEEDS_CONTROLLER, /* NQN, transport address, name or id */
	VERB_NEEDS_PATH,       /* map, and the path's WWID, name or address */
	VERB_NEEDS_GROUP,      /* map and group */
	VERB_NEEDS_SCSI,       /* WWID, name or id, or the number of a SCSI host */
};

struct command_plan;

struct verb {
	unsigned number; /* Pathbell__V1__CommandVerb */
	const char *word;
	enum verb_need need;
	/* Fills Command.args. CLI_OK, or the exit status of a failure that was printed. NULL: the
	 * verb has no arguments. */
	int (*build)(const struct cli *cli, struct command_plan *plan);
};

extern const struct verb verbs[VERB_COUNT];
/* The row of a CommandVerb; NULL where this program does not know it. */
const struct verb *verb_find(unsigned number);

extern const struct cli_command verb_commands[VERB_COUNT];   /* command WORD */
extern const struct cli_command verb_reconnects[VERB_COUNT]; /* reconnect WORD */

/* verb_build.c: the functions of the rows. */
int verb_build_probe(const struct cli *cli, struct command_plan *plan);
int verb_build_resync(const struct cli *cli, struct command_plan *plan);
int verb_build_reconnect(const struct cli *cli, struct command_plan *plan);
int verb_build_connect(const struct cli *cli, struct command_plan *plan);
int verb_build_discover(const struct cli *cli, struct command_plan *plan);
int verb_build_switch_group(const struct cli *cli, struct command_plan *plan);
int verb_build_scsi_rescan(const struct cli *cli, struct command_plan *plan);
int verb_build_diag(const struct cli *cli, struct command_plan *plan);
