/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "ctl/output.h"

/*
 * The command line as data. A command is a path of words ("local spool check"), a table of options
 * and a function. The same tables are parsed by getopt_long, printed by --help and written out as
 * shell completions, so the three cannot differ.
 */
enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,	    /* the request was made and failed; findings; bad data */
	CLI_USAGE = 2,	    /* the command line was wrong; nothing was done */
	CLI_NOT_FOUND = 3,  /* no such host, command, file */
	CLI_PERMISSION = 4, /* refused: certificate, role, file mode */
	CLI_UNAVAILABLE =
		5, /* no aggregator or agent could be reached, or it gave no answer in time */
	CLI_UNSUCCESSFUL = 6, /* the fleet command ended, but not SUCCEEDED on every host */
	CLI_CONFIG = 78,      /* bad configuration file (EX_CONFIG of sysexits.h) */
};

struct cli_option {
	const char *name; /* long name; NULL ends a table */
	/* placeholder; NULL = a switch; FILE, DIR and SOCKET complete to files */
	const char *argument;
	const char *help;
	char letter; /* 0 = none */
	bool hidden; /* for tests: not in --help, not in completions */
};

#define CLI_MAX_OPTIONS 96 /* of one command, global ones included */
#define CLI_MAX_TABLES	12 /* of options, of one command */
#define CLI_MAX_VALUES	128
#define CLI_ANY_NUMBER	1000 /* operands */

struct cli;

struct cli_command {
	const char *path; /* words with one blank between */
	const char *summary;
	const char *operands; /* for the usage line; "" = none */
	int min_operands, max_operands;
	const struct cli_option *options; /* own ones; NULL = none */
	const char *help;		  /* paragraphs behind the options; NULL = none */
	int (*run)(struct cli *cli);	  /* returns enum cli_exit */
	/* Tables that several commands have, behind their own: some (NULL ends), and one for all of
	 * a kind. */
	const struct cli_option *const *shared;
	const struct cli_option *common;
	const void *data; /* for run: the command's row in a table of its own kind */
	bool unlisted;	  /* not in the program's --help: that of the words before it shows it */
};

struct cli_value {
	const struct cli_option *option;
	const char *text; /* "" for a switch */
};

struct cli {
	const struct cli_command *command;
	struct cli_value values[CLI_MAX_VALUES];
	size_t n_values;
	char **operands;
	int n_operands;
	struct output out;
};

extern const struct cli_option cli_global_options[];

/* Parses, dispatches over the registry (NULL-terminated), returns the exit status. */
int cli_main(const struct cli_command *const *registry, int argc, char **argv);

/* All option tables of a command: its own, shared, common, global ones. NULL: global ones only.
 * Returns how many. */
size_t cli_tables(const struct cli_command *command,
		  const struct cli_option *ret_tables[CLI_MAX_TABLES]);

/* The last value of an option; NULL when it was not given. @name must be in the tables. */
const char *cli_get(const struct cli *cli, const char *name);
bool cli_has(const struct cli *cli, const char *name);
/* All values in order; returns how many (at most @max are written). */
size_t cli_get_all(const struct cli *cli, const char *name, const char **ret_values, size_t max);
/* A decimal number of an option within [min, max], or @initial. False after it printed why not. */
bool cli_get_number(const struct cli *cli, const char *name, size_t initial, size_t min, size_t max,
		    size_t *ret_number);

/* "pathbell: TEXT" on standard error; control characters are escaped. Returns @code. */
int cli_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same from an errmsg. */
struct errmsg;
int cli_fail_errmsg(int code, const struct errmsg *err);

/* Text of --help: of one command, or (NULL) of the program. Pure. */
int cli_help(const struct cli_command *const *registry, const struct cli_command *command,
	     struct buf *out);
