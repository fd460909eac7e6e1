/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "core/id.h"
#include "ctl/request.h"
#include "pathbell/v1/command.pb-c.h"
#include "pathbell/v1/fleet.pb-c.h"

#define COMMAND_MAX_LIST    16 /* ResyncArgs.collectors, DiagArgs.sections */
#define COMMAND_MAX_HOSTS   1000
#define COMMAND_MAX_REASON  512	  /* Command.reason */
#define COMMAND_BACKDATE_MS 60000 /* not_before: clocks of hosts differ */
#define COMMAND_MAX_ADDRESS 1024

#define COMMAND_HELP \
	"Exit status 0 only when the command SUCCEEDED on every host; 6 when it ended otherwise."

extern const struct cli_option command_options[]; /* what every verb has */

/* A command as the command line asks for it. It points into the struct cli and into itself: not to
 * be copied. */
struct command_plan {
	Pathbell__V1__Command command;
	Pathbell__V1__CommandTarget target;
	union {
		Pathbell__V1__ProbeArgs probe;
		Pathbell__V1__ResyncArgs resync;
		Pathbell__V1__UplinkReconnectArgs reconnect;
		Pathbell__V1__NvmeConnectArgs connect;
		Pathbell__V1__NvmeDiscoverArgs discover;
		Pathbell__V1__MultipathSwitchGroupArgs switch_group;
		Pathbell__V1__ScsiRescanArgs scsi;
		Pathbell__V1__DiagArgs diag;
	} args;
	uint8_t id[ID_SIZE];
	char issuer[512];
	char *list[COMMAND_MAX_LIST];
	char address[COMMAND_MAX_ADDRESS], nqn[256], map_uuid[256], device_id[64];
};

/*
 * The hosts are the operands. CLI_OK, or the exit status of a failure that was printed. @issuer:
 * NULL where --issuer must say it.
 */
int command_build(const struct cli *cli, unsigned verb, const char *issuer, uint64_t now_ns,
		  struct command_plan *ret_plan);
/*
 * The same without hosts, for a campaign: @planned is what the selector means on the hosts (NULL:
 * nothing); an identity on the command line replaces it, --group and --generation add to it.
 */
int command_build_for(const struct cli *cli, unsigned verb, const char *issuer, uint64_t now_ns,
		      const Pathbell__V1__CommandTarget *planned, struct command_plan *ret_plan);

/* command_target.c: Command.target from the options; see command_build_for. */
int command_target(const struct cli *cli, const Pathbell__V1__CommandTarget *planned,
		   struct command_plan *plan);
/* Do the options name a thing (--group and --generation alone do not)? */
bool command_target_is_given(const struct cli *cli);
/* One line: "map mpath-... path naa...."; "" where nothing is named. */
void command_target_text(const Pathbell__V1__CommandTarget *target, char *ret_text, size_t size);

/* What to wait for. */
struct command_wait {
	uint8_t id[ID_SIZE];
	bool probe;		      /* show the device state that it brought */
	const char *device, *subject; /* only of these; NULL = any */
	bool quiet;		      /* no states on the standard output */
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

/* command.c: `command VERB HOST...`, by the row in cli->command->data. */
int command_verb_run(struct cli *cli);
/* The operator's name in the certificate; NULL where it cannot be read. */
struct rpc_spiffe;
const char *command_issuer(const struct settings *settings, struct rpc_spiffe *ret_id);
/* The key of --signing-key or signing_key. CLI_OK (envelope_key_free) or printed. */
struct envelope_key;
int command_signing_key(const struct settings *settings, struct envelope_key **ret_key);
/* Submits one envelope that holds @command and waits, as the options say. */
int command_send(struct cli *cli, const struct settings *settings,
		 const Pathbell__V1__Command *command, const void *envelope, size_t size);
