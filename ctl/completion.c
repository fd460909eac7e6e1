/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/completion.h"

#include <string.h>

#include "ctl/registry.h"

/*
 * Both scripts hold one row for each command (path, options) and one for each option with a value.
 * bash: the words before the cursor are matched against the paths; what may follow is a further
 * word of a path or an option. zsh: the same tables through bashcompinit's equivalent of compadd,
 * so that there is one logic to test.
 */

static int completion_options(const struct cli_option *options, struct buf *out)
{
	int r = 0;

	for (; r == 0 && options && options->name; options++) {
		if (!options->hidden)
			r = buf_printf(out, " --%s", options->name);
	}
	return r;
}

/* One row for each command: [path]="options". */
static int completion_table(const struct cli_command *const *registry, struct buf *out)
{
	int r = 0;

	for (; r == 0 && *registry; registry++) {
		const struct cli_option *tables[CLI_MAX_TABLES];
		size_t n = cli_tables(*registry, tables);

		r = buf_printf(out, "    '%s' '", (*registry)->path);
		for (size_t i = 0; r == 0 && i < n; i++)
			r = completion_options(tables[i], out);
		r = r ?: buf_printf(out, "' \\\n");
	}
	return r;
}

static bool completion_is_file(const struct cli_option *option)
{
	static const char *const files[] = { "FILE", "DIR", "SOCKET" };

	for (size_t i = 0; option->argument && i < sizeof(files) / sizeof(files[0]); i++) {
		if (strcmp(option->argument, files[i]) == 0)
			return true;
	}
	return false;
}

#define COMPLETION_MAX_NAMES 256

struct completion_names {
	const struct cli_option *rows[COMPLETION_MAX_NAMES];
	size_t n;
};

static void completion_add(struct completion_names *names, const struct cli_option *option)
{
	for (size_t i = 0; i < names->n; i++) {
		if (strcmp(names->rows[i]->name, option->name) == 0)
			return;
	}
	if (names->n < COMPLETION_MAX_NAMES)
		names->rows[names->n++] = option;
}

static void completion_collect_table(const struct cli_option *table, bool files,
				     struct completion_names *ret_names)
{
	for (; table->name; table++) {
		if (table->argument && !table->hidden && (!files || completion_is_file(table)))
			completion_add(ret_names, table);
	}
}

/* Every option with a value, once: of files only, or all. */
static void completion_collect(const struct cli_command *const *registry, bool files,
			       struct completion_names *ret_names)
{
	const struct cli_option *tables[CLI_MAX_TABLES] = { cli_global_options };
	size_t n = 1;

	for (;;) {
		for (size_t i = 0; i < n; i++)
			completion_collect_table(tables[i], files, ret_names);
		if (!*registry)
			return;
		n = cli_tables(*registry++, tables);
	}
}

/* As a pattern of case: --a|--b|-b. */
static int completion_valued(const struct cli_command *const *registry, bool files, struct buf *out)
{
	struct completion_names names = { .n = 0 };
	int r = 0;

	completion_collect(registry, files, &names);
	for (size_t i = 0; r == 0 && i < names.n; i++) {
		r = buf_printf(out, "%s--%s", i ? "|" : "", names.rows[i]->name);
		if (r == 0 && names.rows[i]->letter)
			r = buf_printf(out, "|-%c", names.rows[i]->letter);
	}
	return r;
}

/* The part that both shells run: fills $reply_words, or sets $reply_files. */
static int completion_logic(const struct cli_command *const *registry, struct buf *out)
{
	return buf_printf(out, "# Made by `pathbell completion` from the program's own tables.\n"
			       "_pathbell_reply() { # PREVIOUS-WORD WORDS-BEFORE-THE-CURSOR...\n"
			       "  local previous=$1 typed='' word row rest choices skip=0 best=''\n"
			       "  shift\n"
			       "  reply_words='' reply_files=''\n"
			       "  case $previous in\n    ") ?:
	       completion_valued(registry, true, out) ?:
	       buf_printf(out, ") reply_files=1; return ;;\n"
			       "    --output|-o) reply_words='text json'; return ;;\n    ") ?:
	       completion_valued(registry, false, out) ?:
	       buf_printf(out, ") return ;;\n  esac\n"
			       "  for word in \"$@\"; do\n"
			       "    if [ $skip = 1 ]; then skip=0; continue; fi\n"
			       "    case $word in\n      ") ?:
	       completion_valued(registry, false, out) ?:
	       buf_printf(out, ") skip=1 ;;\n"
			       "      -*) ;;\n"
			       "      *) typed=\"$typed$word \" ;;\n"
			       "    esac\n"
			       "  done\n"
			       "  set -- \\\n") ?:
	       completion_table(registry, out) ?:
	       buf_printf(out, "    ''\n"
			       "  while [ $# -gt 1 ]; do\n"
			       "    row=$1 choices=$2; shift 2\n"
			       "    case \"$row \" in\n"
			       "      \"$typed\"?*) rest=${row#\"$typed\"}; reply_words=\"$reply_words ${rest%%%% *}\" ;;\n"
			       "    esac\n"
			       "    case \"$typed\" in\n"
			       "      \"$row \"*) [ ${#row} -gt ${#best} ] && best=$row && reply_words=\"$choices\" ;;\n"
			       "    esac\n"
			       "  done\n"
			       "  [ -n \"$reply_words\" ] || reply_files=1\n"
			       "}\n");
}

int completion_bash(const struct cli_command *const *registry, struct buf *out)
{
	return buf_printf(out, "# bash completion for pathbell\n") ?: completion_logic(registry, out) ?:
	       buf_printf(out,
			  "_pathbell() {\n"
			  "  local current=${COMP_WORDS[COMP_CWORD]} reply_words reply_files\n"
			  "  _pathbell_reply \"${COMP_WORDS[COMP_CWORD-1]}\" \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"\n"
			  "  if [ -n \"$reply_files\" ]; then\n"
			  "    mapfile -t COMPREPLY < <(compgen -f -- \"$current\")\n"
			  "  else\n"
			  "    mapfile -t COMPREPLY < <(compgen -W \"$reply_words\" -- \"$current\" | sort -u)\n"
			  "  fi\n"
			  "}\n"
			  "complete -o filenames -o default -F _pathbell pathbell\n");
}

int completion_zsh(const struct cli_command *const *registry, struct buf *out)
{
	return buf_printf(out, "#compdef pathbell\n# zsh completion for pathbell\n") ?:
	       completion_logic(registry, out) ?:
	       buf_printf(out, "_pathbell() {\n"
			       "  local reply_words reply_files\n"
			       "  _pathbell_reply \"${words[CURRENT-1]}\" \"${(@)words[2,CURRENT-1]}\"\n"
			       "  if [[ -n $reply_files ]]; then\n"
			       "    _files\n"
			       "  else\n"
			       "    compadd -- ${=reply_words}\n"
			       "  fi\n"
			       "}\n"
			       "_pathbell \"$@\"\n");
}

static int completion_run(struct cli *cli)
{
	const char *shell = cli->operands[0];
	struct buf text = { 0 };
	int r;

	if (strcmp(shell, "bash") != 0 && strcmp(shell, "zsh") != 0)
		return cli_fail(CLI_USAGE, "no completions for '%s': bash or zsh", shell);
	r = shell[0] == 'b' ? completion_bash(registry_commands, &text)
			    : completion_zsh(registry_commands, &text);
	if (r == 0)
		fwrite(text.data, 1, text.size, cli->out.file);
	buf_deinit(&text);
	return r == 0 ? CLI_OK : cli_fail(CLI_FAILED, "out of memory");
}

const struct cli_command completion_command = {
	.path = "completion",
	.summary = "Print the shell completions",
	.operands = "bash|zsh",
	.min_operands = 1,
	.max_operands = 1,
	.run = completion_run,
};
