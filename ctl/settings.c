/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/settings.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"

const char settings_heading[] =
	"Configuration of pathbell(1), the command line tool. Looked for in this order: --config,\n"
	"$PATHBELL_CONFIG, ~/.config/pathbell/pathbell.yaml, /etc/pathbell/pathbell.yaml.\n"
	"Options of the command line go over it.";

#define SETTINGS_OPTION(field) .name = #field, .offset = offsetof(struct settings, field)

static const struct config_option settings_options[] = {
	{ SETTINGS_OPTION(server), .type = CONFIG_STRING, .initial = "localhost:7441", .min = 1,
	  .max = 300, .help = "Aggregator to ask, host:port." },
	{ SETTINGS_OPTION(server_name), .type = CONFIG_STRING, .max = 255,
	  .help = "Name expected in the aggregator's certificate, where it is not the host of "
		  "server." },
	{ SETTINGS_OPTION(ca_file), .type = CONFIG_PATH, .initial = "/etc/pathbell/pki/ca.pem",
	  .help = "Certificate authority to trust (PEM)." },
	{ SETTINGS_OPTION(certificate_file), .type = CONFIG_PATH,
	  .help = "Operator certificate (PEM), from: pathbell pki operator NAME." },
	{ SETTINGS_OPTION(key_file), .type = CONFIG_PATH,
	  .help = "Private key of the certificate (PEM)." },
	{ SETTINGS_OPTION(signing_key), .type = CONFIG_PATH,
	  .help = "Ed25519 key that signs commands (PEM), from: pathbell key new FILE. Hosts list "
		  "its public half in commands.trusted_keys." },
	{ SETTINGS_OPTION(socket), .type = CONFIG_PATH, .initial = "/run/pathbell/agent.sock",
	  .help = "Control socket of this host's agent, for: pathbell local." },
	{ .name = "timeout",
	  .offset = offsetof(struct settings, timeout_ns),
	  .type = CONFIG_DURATION,
	  .initial = "10s",
	  .min = CLOCK_NS_PER_MS,
	  .max = 86400 * CLOCK_NS_PER_S,
	  .help = "Longest wait for an answer." },
};

const struct config_table settings_table = {
	.options = settings_options,
	.n_options = sizeof(settings_options) / sizeof(settings_options[0]),
	.size = sizeof(struct settings),
};

void settings_path(const struct cli *cli, char *ret_path, size_t size)
{
	const char *explicit = cli_get(cli, "config");
	const char *home = getenv("HOME");
	const char *xdg = getenv("XDG_CONFIG_HOME");

	if (!explicit)
		explicit = getenv("PATHBELL_CONFIG");
	if (explicit && *explicit) {
		snprintf(ret_path, size, "%s", explicit);
		return;
	}
	if (xdg && *xdg)
		snprintf(ret_path, size, "%s/pathbell/pathbell.yaml", xdg);
	else
		snprintf(ret_path, size, "%s/.config/pathbell/pathbell.yaml", home ? home : "");
	if (access(ret_path, F_OK) == 0)
		return;
	snprintf(ret_path, size, "/etc/pathbell/pathbell.yaml");
	if (access(ret_path, F_OK) != 0)
		ret_path[0] = '\0';
}

static int settings_override(const struct cli *cli, const char *option, char **field)
{
	const char *text = cli_get(cli, option);
	char *copy;

	if (!text)
		return CLI_OK;
	if (!*text)
		return cli_fail(CLI_USAGE, "--%s is empty", option);
	copy = strdup(text);
	if (!copy)
		return cli_fail(CLI_FAILED, "out of memory");
	free(*field);
	*field = copy;
	return CLI_OK;
}

static int settings_override_all(const struct cli *cli, struct settings *settings)
{
	const struct {
		const char *option;
		char **field;
	} rows[] = {
		{ "server", &settings->server }, { "server-name", &settings->server_name },
		{ "ca", &settings->ca_file },	 { "certificate", &settings->certificate_file },
		{ "key", &settings->key_file },	 { "signing-key", &settings->signing_key },
		{ "socket", &settings->socket },
	};
	const char *timeout = cli_get(cli, "timeout");
	struct errmsg err = { 0 };
	int r = CLI_OK;

	for (size_t i = 0; r == CLI_OK && i < sizeof(rows) / sizeof(rows[0]); i++)
		r = settings_override(cli, rows[i].option, rows[i].field);
	if (r == CLI_OK && timeout &&
	    config_parse_duration(timeout, &settings->timeout_ns, &err) != 0)
		r = cli_fail(CLI_USAGE, "--timeout: %s", err.text);
	if (r == CLI_OK && (settings->timeout_ns < CLOCK_NS_PER_MS ||
			    settings->timeout_ns > 7 * 86400 * CLOCK_NS_PER_S))
		r = cli_fail(CLI_USAGE, "--timeout: from 1ms to 7d");
	return r;
}

int settings_load(const struct cli *cli, struct settings *ret_settings)
{
	struct errmsg err = { 0 };
	char path[512];
	int r = 0;

	*ret_settings = (struct settings){ 0 };
	settings_path(cli, path, sizeof(path));
	if (*path)
		r = config_load(&settings_table, path, ret_settings, &err);
	else
		config_defaults(&settings_table, ret_settings);
	if (r != 0)
		return cli_fail_errmsg(CLI_CONFIG, &err);
	return settings_override_all(cli, ret_settings);
}

void settings_deinit(struct settings *settings)
{
	config_free(&settings_table, settings);
}
