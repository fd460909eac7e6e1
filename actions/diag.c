/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "actions/action.h"
#include "actions/diag_sections.h"
#include "actions/sheet.h"

/*
 * diag: a bounded bundle of state as text, one section after the other. What the agent knows of
 * itself is written on the loop, right before the child begins (prepare): a child of a program with
 * threads must not ask for locks that a thread may have held. The child reads the system's files,
 * which may sleep in the kernel; what it wrote until its deadline is returned in any case. Names,
 * numbers and states only: no keys, no mount options, no data.
 */
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name
#define DIAG_BYTES    (256 * 1024) /* DiagArgs.max_bytes, command.proto */
#define DIAG_MAX      (1024 * 1024)
#define DIAG_MIN      1024
#define DIAG_SECTIONS (sizeof(diag_table) / sizeof(diag_table[0]))

static const struct {
	const char *name;
	void (*write)(const struct action_host *host, struct sheet *sheet); /* NULL: the agent's */
} diag_table[] = {
	{ "agent", NULL },	   { "collectors", NULL },     { "forwarder", NULL },
	{ "spool", NULL },	   { "topology", NULL },       { "commands", NULL },
	{ "audit", NULL },	   { "kernel", diag_kernel },  { "block", diag_block },
	{ "scsi", diag_scsi },	   { "multipath", diag_maps }, { "nvme", diag_nvme },
	{ "mounts", diag_mounts }, { "counters", NULL },       { "log", NULL },
};

static const Pathbell__V1__DiagArgs *diag_args(const Pathbell__V1__Command *command)
{
	return command->args_case == PATHBELL__V1__COMMAND__ARGS_DIAG ? command->diag : NULL;
}

static bool diag_wants(const Pathbell__V1__Command *command, const char *name)
{
	const Pathbell__V1__DiagArgs *args = diag_args(command);

	for (size_t i = 0; args && i < args->n_sections; i++)
		if (strcmp(args->sections[i], name) == 0)
			return true;
	return !args || args->n_sections == 0;
}

static size_t diag_bytes(const Pathbell__V1__Command *command)
{
	const Pathbell__V1__DiagArgs *args = diag_args(command);
	size_t bytes = args && args->max_bytes ? args->max_bytes : DIAG_BYTES;

	if (bytes < DIAG_MIN)
		return DIAG_MIN;
	return bytes < DIAG_MAX ? bytes : DIAG_MAX;
}

static bool diag_knows(const char *name)
{
	for (size_t i = 0; i < DIAG_SECTIONS; i++)
		if (strcmp(diag_table[i].name, name) == 0)
			return true;
	return false;
}

static int diag_plan(struct action *action)
{
	const Pathbell__V1__DiagArgs *args = diag_args(action->command);

	for (size_t i = 0; args && i < args->n_sections; i++)
		if (!diag_knows(args->sections[i]))
			return action_refuse(
				action, PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_MALFORMED,
				"there is no section \"%.64s\"", args->sections[i]);
	if (action->command->dry_run)
		return action_finish(action, LIFE(SUCCEEDED), 0,
				     "dry run: would return at most %zu bytes",
				     diag_bytes(action->command));
	return 0;
}

static void diag_prepare(struct action *action)
{
	action->sheet = sheet_new(diag_bytes(action->command));
	for (size_t i = 0; action->sheet && action->host->describe && i < DIAG_SECTIONS; i++) {
		if (diag_table[i].write || !diag_wants(action->command, diag_table[i].name))
			continue;
		sheet_print(action->sheet, "== %s\n", diag_table[i].name);
		action->host->describe(action->host->data, diag_table[i].name, action->sheet);
	}
}

static int diag_apply(struct action *action)
{
	if (!action->sheet)
		return action_finish(action, LIFE(FAILED), ENOMEM, "no memory for the bundle");
	for (size_t i = 0; i < DIAG_SECTIONS; i++) {
		if (!diag_table[i].write || !diag_wants(action->command, diag_table[i].name))
			continue;
		sheet_print(action->sheet, "== %s\n", diag_table[i].name);
		diag_table[i].write(action->host, action->sheet);
	}
	return 0;
}

static int diag_verify(struct action *action)
{
	return action_finish(action, LIFE(SUCCEEDED), 0, "%zu bytes%s", sheet_size(action->sheet),
			     sheet_is_cut(action->sheet) ? ", cut at the limit" : "");
}

static int diag_resolve(struct action *action)
{
	return action_finish(action, LIFE(FAILED), ECANCELED,
			     "the agent ended while it collected: ask again");
}

const struct action_verb action_diag = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_DIAG,
	.place = ACTION_IN_CHILD,
	.plan = diag_plan,
	.prepare = diag_prepare,
	.apply = diag_apply,
	.verify = diag_verify,
	.resolve = diag_resolve,
};
