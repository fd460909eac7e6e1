/* SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "agent/agent.h"
#include "collectors/offspring.h"
#include "core/clock.h"
#include "core/log.h"

#define MAIN_LEFT_NS (20 * CLOCK_NS_PER_S) /* below TimeoutStopSec of the unit */
#define MAIN_CONFIG  "/etc/pathbell/pathbelld.yaml"

enum main_mode { MAIN_RUN, MAIN_CHECK, MAIN_DUMP };

static const char main_usage[] =
	"Usage: pathbelld [OPTION]...\n"
	"Hears this host's storage fabric break, keeps what it hears safe, and sends it on.\n\n"
	"  --config FILE   configuration (default " MAIN_CONFIG ")\n"
	"  --check         check the configuration: exit 0 if it is good, 78 if not\n"
	"  --dump-config   print the configuration in effect, defaults included\n"
	"  --sample        print a commented sample configuration\n"
	"  --schema        print the JSON Schema of the configuration\n"
	"  --version       print the version\n"
	"  --help          print this\n\n"
	"SIGHUP reloads the configuration; a bad one changes nothing. SIGTERM stops.\n";

static const char main_heading[] =
	"pathbelld.yaml: the agent of Pathbell. `pathbelld --check --config FILE` checks a file.";

static int main_check(const struct settings *settings, const char *path)
{
	printf("%s: good (%zu filter rules, uplink %s, %zu trusted keys)\n", path,
	       settings->filters.n_items, settings->uplink.enabled ? "on" : "off",
	       settings->commands.trusted_keys.n_items);
	return EXIT_SUCCESS;
}

static int main_run(struct settings *settings, const char *path)
{
	static struct agent agent;
	const struct rlimit none = { 0, 0 };
	struct errmsg err = { 0 };
	char text[800];
	size_t n_left;

	log_open("pathbelld", settings_log_level(settings));
	setrlimit(RLIMIT_CORE, &none); /* captured data must not end up in a core file */
	if (agent_open(&agent, settings, path, &err)) {
		errmsg_format(&err, text, sizeof(text));
		log_error("cannot start: %s", text);
		return EXIT_FAILURE;
	}
	agent_run(&agent);
	agent_close(&agent);
	n_left = offspring_wait_left(MAIN_LEFT_NS);
	if (n_left > 0)
		log_warning("stopped, but children that clean up still run n=%zu", n_left);
	else
		log_notice("stopped");
	return EXIT_SUCCESS;
}

static int main_load(enum main_mode mode, const char *path)
{
	struct errmsg err = { 0 };
	struct settings *settings = settings_load(path, &err);
	char text[800];
	int status;

	if (!settings) {
		errmsg_format(&err, text, sizeof(text));
		fprintf(stderr, "%s\n", text);
		return EX_CONFIG;
	}
	if (mode == MAIN_RUN)
		return main_run(settings, path);
	if (mode == MAIN_CHECK)
		status = main_check(settings, path);
	else
		status = config_dump(settings_table(), settings, stdout) ? EXIT_FAILURE
									 : EXIT_SUCCESS;
	settings_unref(settings);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'k' },
		{ "dump-config", no_argument, NULL, 'd' },  { "sample", no_argument, NULL, 's' },
		{ "schema", no_argument, NULL, 'j' },	    { "version", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },	    { NULL, 0, NULL, 0 },
	};
	enum main_mode mode = MAIN_RUN;
	const char *path = MAIN_CONFIG;
	int option;

	while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'k':
			mode = MAIN_CHECK;
			break;
		case 'd':
			mode = MAIN_DUMP;
			break;
		case 's':
			return config_sample(settings_table(), main_heading, stdout) ? EXIT_FAILURE
										     : 0;
		case 'j':
			return config_schema(settings_table(), "pathbelld.yaml", stdout)
				       ? EXIT_FAILURE
				       : 0;
		case 'v':
			puts("pathbelld " PATHBELL_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			fputs(main_usage, stdout);
			return EXIT_SUCCESS;
		default:
			fputs(main_usage, stderr);
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "pathbelld: \"%s\" is not an option\n", argv[optind]);
		return EX_USAGE;
	}
	return main_load(mode, path);
}
