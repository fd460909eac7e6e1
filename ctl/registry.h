/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/cli.h"

/* All commands, in the order of --help; NULL ends. One file per noun defines them. */
extern const struct cli_command *const registry_commands[];

extern const struct cli_command hosts_command, hosts_one_command; /* hosts.c */
extern const struct cli_command events_command;			  /* events.c */
extern const struct cli_command command_submit;			  /* command.c; verbs: verb.h */
extern const struct cli_command command_sign_command, command_cancel_command; /* command_sign.c */
extern const struct cli_command reconnect_command; /* reconnect.c; verbs: verb.h */
extern const struct cli_command campaign_list_command, campaign_show_command,
	campaign_watch_command, campaign_pause_command, campaign_resume_command,
	campaign_halt_command, campaign_submit_command;			 /* campaign.c */
extern const struct cli_command commands_command, commands_show_command; /* commands.c */
extern const struct cli_command pki_init_command, pki_aggregator_command, pki_host_command,
	pki_operator_command, pki_show_command;				   /* pki.c */
extern const struct cli_command key_new_command, key_show_command;	   /* key.c */
extern const struct cli_command key_list_command;			   /* key_list.c */
extern const struct cli_command key_authorize_command, key_revoke_command; /* key_authorize.c */
extern const struct cli_command audit_command;				   /* audit.c */
extern const struct cli_command local_audit_command;			   /* local_audit.c */
extern const struct cli_command local_status_command, local_collectors_command, local_stats_command,
	local_log_command; /* local.c */
extern const struct cli_command local_nvme_list_command, local_nvme_log_command,
	local_nvme_mode_command, local_nvme_discover_command,
	local_nvme_forget_command;					 /* local_nvme.c */
extern const struct cli_command spool_check_command, spool_dump_command; /* spool.c */
extern const struct cli_command config_show_command, config_sample_command, config_check_command,
	config_schema_command;			    /* settings_command.c */
extern const struct cli_command completion_command; /* completion.c */
extern const struct cli_command explain_command;    /* meaning.c */
extern const struct cli_command version_command;    /* version.c */
