/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/aggregator.h"

#define MAIN_CONFIG    "/etc/pathbell/pathbell-aggregator.yaml"
#define MAIN_EX_USAGE  64 /* sysexits.h */
#define MAIN_EX_CONFIG 78

enum main_action {
	MAIN_RUN,
	MAIN_CHECK,
	MAIN_DUMP,
	MAIN_SAMPLE,
	MAIN_SCHEMA,
	MAIN_VERSION,
	MAIN_HELP
};

static const struct option main_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "check", no_argument, NULL, MAIN_CHECK },
	{ "dump-config", no_argument, NULL, MAIN_DUMP },
	{ "sample", no_argument, NULL, MAIN_SAMPLE },
	{ "schema", no_argument, NULL, MAIN_SCHEMA },
	{ "version", no_argument, NULL, MAIN_VERSION },
	{ "help", no_argument, NULL, MAIN_HELP },
	{ NULL, 0, NULL, 0 },
};

static int main_usage(FILE *out)
{
	fputs("Usage: pathbell-aggregator [--config FILE] [ACTION]\n"
	      "\n"
	      "Takes events of hosts, stores them once, serves operators.\n"
	      "\n"
	      "  --config FILE   default " MAIN_CONFIG "\n"
	      "  --check         check the configuration and its certificates: exit 0, or 78\n"
	      "  --dump-config   print all options with their values\n"
	      "  --sample        print a commented configuration with the defaults\n"
	      "  --schema        print the JSON Schema of the configuration\n"
	      "  --version       print the version\n"
	      "\n"
	      "Exit status: 0 stopped by a signal, 1 failure, 64 usage, 78 configuration.\n",
	      out);
	return out == stderr ? MAIN_EX_USAGE : 0;
}

static int main_config(enum main_action action, const char *path)
{
	struct settings settings;
	struct errmsg err = { 0 };
	char text[1024];
	int r = settings_load(path, &settings, &err);

	if (r != 0) {
		errmsg_format(&err, text, sizeof(text));
		fprintf(stderr, "pathbell-aggregator: %s\n", text);
		return MAIN_EX_CONFIG;
	}
	if (action == MAIN_DUMP)
		r = config_dump(&settings_table, &settings, stdout);
	settings_free(&settings);
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int main_run(const char *path)
{
	struct aggregator *aggregator = calloc(1, sizeof(*aggregator));
	int status;

	if (!aggregator)
		return EXIT_FAILURE;
	log_open("pathbell-aggregator", LOG_LEVEL_INFO);
	status = aggregator_run(aggregator, path);
	free(aggregator);
	return status;
}

static int main_act(enum main_action action, const char *path)
{
	switch (action) {
	case MAIN_CHECK:
	case MAIN_DUMP:
		return main_config(action, path);
	case MAIN_SAMPLE:
		return config_sample(&settings_table, "Pathbell aggregator", stdout) < 0;
	case MAIN_SCHEMA:
		return config_schema(&settings_table, "pathbell-aggregator.yaml", stdout) < 0;
	case MAIN_VERSION:
		puts("pathbell-aggregator " PATHBELL_VERSION);
		return EXIT_SUCCESS;
	case MAIN_HELP:
		return main_usage(stdout);
	case MAIN_RUN:
		break;
	}
	return main_run(path);
}

int main(int argc, char **argv)
{
	enum main_action action = MAIN_RUN;
	const char *path = MAIN_CONFIG;
	int option;

	while ((option = getopt_long(argc, argv, "c:", main_options, NULL)) != -1) {
		if (option == '?')
			return main_usage(stderr);
		if (option == 'c')
			path = optarg;
		else
			action = (enum main_action)option;
	}
	if (optind < argc)
		return main_usage(stderr);
	return main_act(action, path);
}
