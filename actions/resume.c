/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actions/action.h"
#include "core/file.h"
#include "core/log.h"

/* resume: takes the durable halt away; the agent executes again once this has succeeded. */
#define LIFE(name) PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

static int resume_plan(struct action *action)
{
	if (action->command->dry_run)
		return action_finish(action, LIFE(SUCCEEDED), 0,
				     access(action->host->halt_file, F_OK)
					     ? "dry run: the host is not halted"
					     : "dry run: commands would execute again");
	return 0;
}

static int resume_apply(struct action *action)
{
	char dir[4096];
	char *slash;
	int r = 0;

	if (unlink(action->host->halt_file) && errno != ENOENT)
		r = -errno;
	snprintf(dir, sizeof(dir), "%s", action->host->halt_file);
	slash = strrchr(dir, '/');
	if (r == 0 && slash && slash != dir) {
		*slash = 0;
		r = file_sync_dir(dir);
	}
	if (r)
		return action_finish(action, LIFE(FAILED), -r, "cannot end the halt: %s",
				     log_errno(r));
	return 0;
}

static int resume_verify(struct action *action)
{
	return action_finish(action, LIFE(SUCCEEDED), 0, "commands execute again");
}

static int resume_resolve(struct action *action)
{
	if (access(action->host->halt_file, F_OK))
		return action_finish(action, LIFE(SUCCEEDED), 0, "the host is not halted");
	return action_finish(action, LIFE(FAILED), EEXIST,
			     "the agent ended before the halt was taken away: the host is halted");
}

const struct action_verb action_resume = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESUME,
	.place = ACTION_IN_CHILD,
	.plan = resume_plan,
	.apply = resume_apply,
	.verify = resume_verify,
	.resolve = resume_resolve,
};
