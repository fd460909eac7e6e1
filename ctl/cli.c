/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/errmsg.h"
#include "ctl/suggest.h"

/*
 * pathbell WORDS... with options and operands anywhere
 *
 * 1. The words of the command are looked for among the arguments that are neither options nor their
 * values. Whether an option takes a value is asked of all tables at once: a name or letter means
 * the same kind everywhere (tested).
 * 2. The longest path of the registry that fits the words is the command; its words are taken out.
 * 3. getopt_long runs over the rest with the command's options and the global ones. Values are kept
 * with a pointer to their row; commands ask by name.
 */

#define CLI_LONG_BASE 256 /* getopt's value of the i-th option: above every letter */

const struct cli_option cli_global_options[] = {
	{ "config", "FILE",
	  "configuration file (default: $PATHBELL_CONFIG, ~/.config/pathbell/pathbell.yaml, "
	  "/etc/pathbell/pathbell.yaml)",
	  'c', false },
	{ "server", "HOST:PORT", "aggregator to ask", 's', false },
	{ "server-name", "NAME",
	  "name expected in the aggregator's certificate, where it is not HOST", 0, false },
	{ "ca", "FILE", "certificate authority to trust (PEM)", 0, false },
	{ "certificate", "FILE", "operator certificate (PEM)", 0, false },
	{ "key", "FILE", "private key of the certificate (PEM)", 0, false },
	{ "timeout", "DURATION", "longest wait for an answer (10s, 2m)", 0, false },
	{ "output", "text|json", "form of the output; JSON is one object per line", 'o', false },
	{ "utc", NULL, "show times in UTC instead of local time", 0, false },
	{ "help", NULL, "show help", 'h', false },
	{ "version", NULL, "show the version", 'V', false },
	{ NULL, NULL, NULL, 0, false },
};

/* What getopt_long wants, built from our tables. */
struct cli_getopt {
	const struct cli_option *rows[CLI_MAX_OPTIONS];
	struct option longs[CLI_MAX_OPTIONS + 1];
	char letters[2 * CLI_MAX_OPTIONS + 2];
	size_t n_rows;
};

static void cli_getopt_add(struct cli_getopt *getopt, const struct cli_option *options)
{
	size_t len = strlen(getopt->letters);

	for (; options && options->name && getopt->n_rows < CLI_MAX_OPTIONS; options++) {
		size_t i = getopt->n_rows++;

		getopt->rows[i] = options;
		getopt->longs[i] =
			(struct option){ options->name,
					 options->argument ? required_argument : no_argument, NULL,
					 CLI_LONG_BASE + (int)i };
		if (!options->letter)
			continue;
		getopt->letters[len++] = options->letter;
		if (options->argument)
			getopt->letters[len++] = ':';
	}
	getopt->letters[len] = '\0';
}

size_t cli_tables(const struct cli_command *command,
		  const struct cli_option *ret_tables[CLI_MAX_TABLES])
{
	const struct cli_option *const *shared = command ? command->shared : NULL;
	size_t n = 0;

	if (command && command->options)
		ret_tables[n++] = command->options;
	for (; shared && *shared && n < CLI_MAX_TABLES - 2; shared++)
		ret_tables[n++] = *shared;
	if (command && command->common)
		ret_tables[n++] = command->common;
	ret_tables[n++] = cli_global_options;
	return n;
}

static const struct cli_option *cli_getopt_row(const struct cli_getopt *getopt, int value)
{
	if (value >= CLI_LONG_BASE)
		return getopt->rows[value - CLI_LONG_BASE];
	for (size_t i = 0; i < getopt->n_rows; i++) {
		if (getopt->rows[i]->letter == value)
			return getopt->rows[i];
	}
	return NULL;
}

int cli_fail(int code, const char *format, ...)
{
	struct output err;
	char *text = NULL;
	va_list args;
	int len;

	output_init(&err, stderr);
	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	if (len >= 0) {
		output_line(&err, "pathbell: %s", text);
		free(text);
	}
	return code;
}

int cli_fail_errmsg(int code, const struct errmsg *err)
{
	char text[1024];

	errmsg_format(err, text, sizeof(text));
	return cli_fail(code, "%s", text);
}

const char *cli_get(const struct cli *cli, const char *name)
{
	const char *found = NULL;

	for (size_t i = 0; i < cli->n_values; i++) {
		if (strcmp(cli->values[i].option->name, name) == 0)
			found = cli->values[i].text;
	}
	return found;
}

bool cli_has(const struct cli *cli, const char *name)
{
	return cli_get(cli, name) != NULL;
}

size_t cli_get_all(const struct cli *cli, const char *name, const char **ret_values, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < cli->n_values; i++) {
		if (strcmp(cli->values[i].option->name, name) != 0)
			continue;
		if (n < max)
			ret_values[n] = cli->values[i].text;
		n++;
	}
	return n;
}

bool cli_get_number(const struct cli *cli, const char *name, size_t initial, size_t min, size_t max,
		    size_t *ret_number)
{
	const char *text = cli_get(cli, name);
	unsigned long long value;
	char *end = NULL;

	*ret_number = initial;
	if (!text)
		return true;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || value < min || value > max) {
		cli_fail(CLI_USAGE, "--%s: '%.40s' is not a number from %zu to %zu", name, text,
			 min, max);
		return false;
	}
	*ret_number = (size_t)value;
	return true;
}

/* ---- help ---- */

static int cli_help_options(const struct cli_option *options, struct buf *out)
{
	int r = 0;

	for (; r == 0 && options && options->name; options++) {
		char left[64];

		if (options->hidden)
			continue;
		snprintf(left, sizeof(left), "%c%c%s --%s%s%s", options->letter ? '-' : ' ',
			 options->letter ? options->letter : ' ', options->letter ? "," : " ",
			 options->name, options->argument ? " " : "",
			 options->argument ? options->argument : "");
		r = buf_printf(out, "  %-30s %s\n", left, options->help);
	}
	return r;
}

static int cli_help_command(const struct cli_command *command, struct buf *out)
{
	const struct cli_option *tables[CLI_MAX_TABLES];
	size_t n_own = cli_tables(command, tables) - 1;
	int r = buf_printf(out, "Usage: pathbell %s%s%s%s\n\n%s.\n", command->path,
			   n_own ? " [OPTION]..." : "", *command->operands ? " " : "",
			   command->operands, command->summary);

	if (r == 0 && n_own)
		r = buf_printf(out, "\nOptions:\n");
	for (size_t i = 0; r == 0 && i < n_own; i++)
		r = cli_help_options(tables[i], out);
	if (r == 0 && command->help)
		r = buf_printf(out, "\n%s\n", command->help);
	return r ?: buf_printf(out, "\nGlobal options: pathbell --help\n");
}

static int cli_help_program(const struct cli_command *const *registry, struct buf *out)
{
	int r = buf_printf(
		out,
		"Usage: pathbell [OPTION]... COMMAND [OPTION]... [OPERAND]...\n\n"
		"Asks the Pathbell aggregator, commands hosts, makes keys and certificates, and "
		"looks into the agent of this host.\n\nCommands:\n");

	for (; r == 0 && *registry; registry++) {
		if (!(*registry)->unlisted)
			r = buf_printf(out, "  %-30s %s\n", (*registry)->path,
				       (*registry)->summary);
	}
	r = r ?: buf_printf(out, "\nGlobal options:\n") ?: cli_help_options(cli_global_options, out);
	return r
		       ?: buf_printf(out, "\nExit status: 0 done, 1 the request failed, 2 wrong "
					  "usage, 3 not found, 4 not permitted,\n"
					  "5 not reachable, 6 the command ended without success on "
					  "a host, 78 bad configuration.\n"
					  "Manual: pathbell(1)\n");
}

int cli_help(const struct cli_command *const *registry, const struct cli_command *command,
	     struct buf *out)
{
	return command ? cli_help_command(command, out) : cli_help_program(registry, out);
}

static int cli_print_help(const struct cli_command *const *registry,
			  const struct cli_command *command)
{
	struct buf text = { 0 };
	int r = cli_help(registry, command, &text);

	if (r == 0)
		fwrite(text.data, 1, text.size, stdout);
	buf_deinit(&text);
	return r ? CLI_FAILED : CLI_OK;
}

/* ---- finding the command ---- */

#define CLI_MAX_WORDS 3

struct cli_words {
	char *text[CLI_MAX_WORDS];
	int at[CLI_MAX_WORDS]; /* index in argv */
	int n;
};

static bool cli_table_takes_value(const struct cli_option *options, const char *typed, size_t len)
{
	bool is_long = typed[0] == '-';

	for (; options && options->name; options++) {
		if (is_long && len > 1 && strncmp(options->name, typed + 1, len - 1) == 0 &&
		    options->argument)
			return true;
		if (!is_long && options->letter == typed[len - 1] && options->argument)
			return true;
	}
	return false;
}

/* @typed is behind its first hyphen. "--a=b" and "-ofoo" bring their value along. */
static bool cli_takes_value(const struct cli_command *const *registry, const char *typed)
{
	const struct cli_option *tables[CLI_MAX_TABLES] = { cli_global_options };
	size_t len = strlen(typed);
	size_t n = 1;
	bool found = false;

	if (strchr(typed, '=') || len == 0)
		return false;
	for (;;) {
		for (size_t i = 0; i < n && !found; i++)
			found = cli_table_takes_value(tables[i], typed, len);
		if (found || !*registry)
			break;
		n = cli_tables(*registry++, tables);
	}
	return found && (typed[0] == '-' || len == 1);
}

static void cli_find_words(const struct cli_command *const *registry, int argc, char **argv,
			   struct cli_words *words)
{
	for (int i = 1; i < argc && words->n < CLI_MAX_WORDS; i++) {
		if (strcmp(argv[i], "--") == 0)
			return;
		if (argv[i][0] == '-' && argv[i][1]) {
			i += cli_takes_value(registry, argv[i] + 1);
			continue;
		}
		words->text[words->n] = argv[i];
		words->at[words->n++] = i;
	}
}

/* How many of the words the path takes; 0 = it does not fit. */
static int cli_match(const char *path, const struct cli_words *words)
{
	int n = 0;

	while (*path) {
		size_t len = strcspn(path, " ");

		if (n == words->n || strlen(words->text[n]) != len ||
		    strncmp(words->text[n], path, len) != 0)
			return 0;
		n++;
		path += len + (path[len] == ' ');
	}
	return n;
}

static const struct cli_command *cli_find(const struct cli_command *const *registry,
					  const struct cli_words *words, int *ret_n)
{
	const struct cli_command *best = NULL;

	*ret_n = 0;
	for (; *registry; registry++) {
		int n = cli_match((*registry)->path, words);

		if (n > *ret_n) {
			*ret_n = n;
			best = *registry;
		}
	}
	return best;
}

/* The first @max words with blanks between. */
static void cli_typed(const struct cli_words *words, int max, char *ret_text, size_t size)
{
	size_t len = 0;

	ret_text[0] = '\0';
	for (int i = 0; i < words->n && i < max && len < size; i++)
		len += (size_t)snprintf(ret_text + len, size - len, "%s%s", i ? " " : "",
					words->text[i]);
}

/* `pathbell pki`, `pathbell local spool`: the commands that go on from there; returns how many. */
static int cli_print_noun(const struct cli_command *const *registry, const struct cli_words *words,
			  FILE *file)
{
	char typed[256];
	size_t len;
	int n = 0;

	cli_typed(words, CLI_MAX_WORDS, typed, sizeof(typed));
	len = strlen(typed);
	for (; *registry; registry++) {
		const char *path = (*registry)->path;

		if (strncmp(path, typed, len) == 0 && path[len] == ' ')
			n += fprintf(file, "  pathbell %-26s %s\n", path, (*registry)->summary) > 0;
	}
	return n;
}

static int cli_unknown(const struct cli_command *const *registry, const struct cli_words *words)
{
	const char *paths[128];
	char typed[256];
	const char *near = NULL;
	size_t n = 0;

	if (cli_print_noun(registry, words, stderr) > 0)
		return cli_fail(CLI_USAGE, "'%s' needs one of these words behind it",
				words->text[words->n - 1]);
	for (; registry[n] && n < 128; n++)
		paths[n] = registry[n]->path;
	for (int max = CLI_MAX_WORDS; max > 0 && !near; max--) {
		cli_typed(words, max, typed, sizeof(typed));
		near = suggest_nearest(typed, paths, n);
	}
	cli_typed(words, 3, typed, sizeof(typed));
	if (near)
		return cli_fail(CLI_USAGE,
				"unknown command '%s'; did you mean 'pathbell %s'? (pathbell "
				"--help lists all)",
				typed, near);
	return cli_fail(CLI_USAGE, "unknown command '%s'; pathbell --help lists all", typed);
}

/* ---- options ---- */

static int cli_bad_option(const struct cli_getopt *getopt, char **argv, int value)
{
	const char *names[CLI_MAX_OPTIONS];
	const char *typed = argv[optind - 1];
	const char *near;

	for (size_t i = 0; i < getopt->n_rows; i++)
		names[i] = getopt->rows[i]->name;
	if (value == ':')
		return cli_fail(CLI_USAGE, "option '%s' needs a value", typed);
	if (optopt && optopt < CLI_LONG_BASE)
		return cli_fail(CLI_USAGE, "unknown option '-%c'; see --help", optopt);
	if (optopt >= CLI_LONG_BASE)
		return cli_fail(CLI_USAGE, "option '%s' takes no value", typed);
	near = suggest_nearest(typed + strspn(typed, "-"), names, getopt->n_rows);
	return cli_fail(CLI_USAGE,
			near ? "unknown option '%s'; did you mean --%s?"
			     : "unknown option '%s'; see --help",
			typed, near);
}

static int cli_take(struct cli *cli, const struct cli_option *option)
{
	if (cli->n_values == CLI_MAX_VALUES)
		return cli_fail(CLI_USAGE, "more than %d options", CLI_MAX_VALUES);
	cli->values[cli->n_values++] = (struct cli_value){ option, optarg ? optarg : "" };
	return CLI_OK;
}

/* Runs getopt_long over argv from index 1; -1 or the exit status of a failure. */
static int cli_parse(struct cli *cli, int argc, char **argv)
{
	const struct cli_option *tables[CLI_MAX_TABLES];
	size_t n = cli_tables(cli->command, tables);
	struct cli_getopt getopt = { .letters = ":" };
	int value;

	for (size_t i = 0; i < n; i++)
		cli_getopt_add(&getopt, tables[i]);
	optind = 0; /* glibc: start anew */
	opterr = 0;
	while ((value = getopt_long(argc, argv, getopt.letters, getopt.longs, NULL)) != -1) {
		const struct cli_option *option = cli_getopt_row(&getopt, value);

		if (!option || value == '?' || value == ':')
			return cli_bad_option(&getopt, argv, value);
		if (cli_take(cli, option) != CLI_OK)
			return CLI_USAGE;
	}
	return -1;
}

static int cli_check_operands(const struct cli *cli)
{
	const struct cli_command *command = cli->command;

	if (cli->n_operands < command->min_operands)
		return cli_fail(CLI_USAGE, "missing operand; usage: pathbell %s %s", command->path,
				command->operands);
	if (cli->n_operands > command->max_operands)
		return cli_fail(CLI_USAGE, "unexpected operand '%s'; usage: pathbell %s %s",
				cli->operands[command->max_operands], command->path,
				command->operands);
	return CLI_OK;
}

static int cli_check_output(struct cli *cli)
{
	const char *form = cli_get(cli, "output");

	output_init(&cli->out, stdout);
	cli->out.utc = cli_has(cli, "utc");
	if (!form || strcmp(form, "text") == 0)
		return CLI_OK;
	if (strcmp(form, "json") != 0)
		return cli_fail(CLI_USAGE, "--output: '%s' is neither text nor json", form);
	cli->out.json = true;
	return CLI_OK;
}

static int cli_run(struct cli *cli)
{
	int code = cli_check_output(cli);

	if (code == CLI_OK)
		code = cli_check_operands(cli);
	if (code == CLI_OK)
		code = cli->command->run(cli);
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == CLI_OK)
		code = cli_fail(CLI_FAILED, "cannot write the output: %s", strerror(errno));
	return code;
}

/* --help and --version without a command. */
static int cli_without_command(const struct cli_command *const *registry, struct cli *cli, int argc,
			       char **argv)
{
	int r = cli_parse(cli, argc, argv);

	if (r >= 0)
		return r;
	if (cli_has(cli, "help"))
		return cli_print_help(registry, NULL);
	if (!cli_has(cli, "version"))
		return cli_fail(CLI_USAGE, "no command; pathbell --help lists all");
	printf("pathbell %s\n", PATHBELL_VERSION);
	return CLI_OK;
}

/* argv without the words of the command. */
static int cli_without_words(const struct cli_words *words, int n_words, int argc, char **argv)
{
	int n = 0;

	for (int i = 0; i < argc; i++) {
		bool word = false;

		for (int w = 0; w < n_words; w++)
			word |= words->at[w] == i;
		if (!word)
			argv[n++] = argv[i];
	}
	argv[n] = NULL;
	return n;
}

static bool cli_asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	}
	return false;
}

int cli_main(const struct cli_command *const *registry, int argc, char **argv)
{
	struct cli cli = { 0 };
	struct cli_words words = { 0 };
	int n_words = 0;
	int r;

	cli_find_words(registry, argc, argv, &words);
	if (words.n == 0)
		return cli_without_command(registry, &cli, argc, argv);
	cli.command = cli_find(registry, &words, &n_words);
	if (!cli.command && cli_asks_for_help(argc, argv) &&
	    cli_print_noun(registry, &words, stdout) > 0)
		return CLI_OK;
	if (!cli.command)
		return cli_unknown(registry, &words);
	argc = cli_without_words(&words, n_words, argc, argv);
	r = cli_parse(&cli, argc, argv);
	if (r >= 0)
		return r;
	cli.operands = argv + optind;
	cli.n_operands = argc - optind;
	if (cli_has(&cli, "help"))
		return cli_print_help(registry, cli.command);
	return cli_run(&cli);
}
