/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "core/config.h"
#include "ctl/cli.h"

/* The CLI's configuration file with the command line over it. */
struct settings {
	char *server, *server_name;
	char *ca_file, *certificate_file, *key_file;
	char *signing_key;
	char *socket;
	uint64_t timeout_ns;
};

extern const struct config_table settings_table;
extern const char settings_heading[];

/* The file that is read: --config, $PATHBELL_CONFIG, ~/.config/pathbell/pathbell.yaml,
 * /etc/pathbell/pathbell.yaml; "" = none of them exists. */
void settings_path(const struct cli *cli, char *ret_path, size_t size);
/* CLI_OK, or the exit status of a failure that was printed. settings_deinit in every case. */
int settings_load(const struct cli *cli, struct settings *ret_settings);
void settings_deinit(struct settings *settings);
