/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "core/id.h"
#include "ctl/request.h"
#include "pathbell/v1/command.pb-c.h"
#include "pathbell/v1/fleet.pb-c.h"

#define COMMAND_MAX_COLLECTORS 16 /* ResyncArgs.collectors */
#define COMMAND_MAX_HOSTS      1000
#define COMMAND_MAX_REASON     512   /* Command.reason */
#define COMMAND_BACKDATE_MS    60000 /* not_before: clocks of hosts differ */

/* A command as the command line asks for it. It points into the struct cli and into itself: not to
 * be copied. */
struct command_plan {
	Pathbell__V1__Command command;
	Pathbell__V1__CommandTarget target;
	Pathbell__V1__ProbeArgs probe;
	Pathbell__V1__ResyncArgs resync;
	Pathbell__V1__UplinkReconnectArgs reconnect;
	uint8_t id[ID_SIZE];
	char issuer[512];
	char *collectors[COMMAND_MAX_COLLECTORS];
};

/* CLI_OK, or the exit status of a failure that was printed. @issuer: NULL where --issuer must say
 * it. */
int command_build(const struct cli *cli, unsigned verb, const char *issuer, uint64_t now_ns,
		  struct command_plan *ret_plan);

/* What to wait for. */
struct command_wait {
	uint8_t id[ID_SIZE];
	bool probe;		      /* show the device state that it brought */
	const char *device, *subject; /* only of these; NULL = any */
	uint64_t after_id;	      /* events above this id are new */
	uint64_t timeout_ns;
};
/* Prints the states as they come; CLI_OK when all hosts SUCCEEDED, else an exit status. Not
 * reentrant over one client. */
int command_wait(struct cli *cli, struct client *client, const struct command_wait *wait);

/* commands.c: one command with its hosts and their transitions. */
int command_show_record(struct cli *cli, const Pathbell__V1__CommandRecord *record);
/* TIME HOST LIFE (refusal): detail */
void command_show_transition(struct cli *cli, const char *host,
			     const Pathbell__V1__CommandTransition *transition);
