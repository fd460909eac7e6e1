/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "actions/action.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/id.h"
#include "core/log.h"

/*
 * halt: the agent has stopped executing in its memory before this runs; here the halt becomes
 * durable, so that a restart does not end it. The line is what agent/commands/halt.c reads.
 */
#define LIFE(name) PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

static int halt_plan(struct action *action)
{
	if (action->command->dry_run)
		return action_finish(action, LIFE(SUCCEEDED), 0,
				     "dry run: nothing but resume, probe and diag would execute");
	return 0;
}

static int halt_apply(struct action *action)
{
	const Pathbell__V1__Command *command = action->command;
	char text[512], id[ID_TEXT_SIZE];
	int len, r;

	id_format(command->id.data, id);
	len = snprintf(text, sizeof(text), "%llu %s %.256s",
		       (unsigned long long)(clock_realtime_ns() / CLOCK_NS_PER_MS), id,
		       command->issuer);
	for (char *c = text; *c; c++)
		if (*c == '\n') /* the record is one line */
			*c = ' ';
	text[len] = '\n';
	r = file_replace(action->host->halt_file, text, (size_t)len + 1, 0600);
	if (r)
		return action_finish(action, LIFE(FAILED), -r,
				     "halted until the agent ends; it cannot be made durable: %s",
				     log_errno(r));
	return 0;
}

static int halt_verify(struct action *action)
{
	return action_finish(action, LIFE(SUCCEEDED), 0,
			     "halted: nothing but resume, probe and diag executes");
}

static int halt_resolve(struct action *action)
{
	char line[512];

	if (file_read_line(AT_FDCWD, action->host->halt_file, line, sizeof(line)) == 0)
		return action_finish(action, LIFE(SUCCEEDED), 0, "the host is halted");
	return action_finish(action, LIFE(FAILED), ENOENT,
			     "the agent ended before the halt was durable: the host is not halted");
}

const struct action_verb action_halt = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_HALT,
	.place = ACTION_IN_CHILD,
	.plan = halt_plan,
	.apply = halt_apply,
	.verify = halt_verify,
	.resolve = halt_resolve,
};
