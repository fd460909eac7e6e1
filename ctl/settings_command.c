/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/registry.h"
#include "ctl/settings.h"

static int settings_show_run(struct cli *cli)
{
	struct settings settings;
	char path[512];
	int code = settings_load(cli, &settings);

	settings_path(cli, path, sizeof(path));
	if (code == CLI_OK) {
		output_line(&cli->out, "# %s",
			    *path ? path : "(no configuration file: defaults and options)");
		code = config_dump(&settings_table, &settings, cli->out.file) == 0 ? CLI_OK
										   : CLI_FAILED;
	}
	settings_deinit(&settings);
	return code;
}

static int settings_check_run(struct cli *cli)
{
	struct settings settings;
	char path[512];
	int code = settings_load(cli, &settings);

	settings_path(cli, path, sizeof(path));
	if (code == CLI_OK)
		output_line(&cli->out, "%s: valid", *path ? path : "no configuration file");
	settings_deinit(&settings);
	return code;
}

static int settings_sample_run(struct cli *cli)
{
	return config_sample(&settings_table, settings_heading, cli->out.file) == 0 ? CLI_OK
										    : CLI_FAILED;
}

static int settings_schema_run(struct cli *cli)
{
	return config_schema(&settings_table, "pathbell.yaml", cli->out.file) == 0 ? CLI_OK
										   : CLI_FAILED;
}

const struct cli_command config_show_command = {
	.path = "config show",
	.summary = "Show this program's settings in effect",
	.operands = "",
	.run = settings_show_run,
};

const struct cli_command config_check_command = {
	.path = "config check",
	.summary = "Check this program's configuration file (exit 0 or 78)",
	.operands = "",
	.run = settings_check_run,
};

const struct cli_command config_sample_command = {
	.path = "config sample",
	.summary = "Print a commented configuration file",
	.operands = "",
	.run = settings_sample_run,
};

const struct cli_command config_schema_command = {
	.path = "config schema",
	.summary = "Print the JSON Schema of the configuration file",
	.operands = "",
	.run = settings_schema_run,
};
