/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "actions/action.h"

/* resync: collectors publish what is present now. It touches only the agent itself: on the loop. */
static int resync_plan(struct action *action)
{
	const Pathbell__V1__Command *command = action->command;

	if (!command->dry_run)
		return 0;
	if (command->args_case != PATHBELL__V1__COMMAND__ARGS_RESYNC ||
	    !command->resync->n_collectors)
		return action_finish(action, PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED, 0,
				     "dry run: would take a snapshot of all collectors");
	return action_finish(action, PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED, 0,
			     "dry run: would take a snapshot of %zu collectors",
			     command->resync->n_collectors);
}

static int resync_apply(struct action *action)
{
	const Pathbell__V1__Command *command = action->command;
	bool named = command->args_case == PATHBELL__V1__COMMAND__ARGS_RESYNC;
	const char *unknown = "";
	size_t n = 0;

	if (action->host->resync(action->host->data, named ? command->resync->collectors : NULL,
				 named ? command->resync->n_collectors : 0, &n, &unknown))
		return action_finish(action, PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_FAILED,
				     ENOENT, "no collector \"%.64s\" runs here", unknown);
	return action_finish(action,
			     n ? PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED
			       : PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_INEFFECTIVE,
			     0, "%zu collectors took a snapshot", n);
}

/* Every start takes a snapshot of every collector: what was asked for has come about. */
static int resync_resolve(struct action *action)
{
	return action_finish(action, PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED, 0,
			     "the agent was restarted, which takes a snapshot of all collectors");
}

const struct action_verb action_resync = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_RESYNC,
	.place = ACTION_ON_LOOP,
	.plan = resync_plan,
	.apply = resync_apply,
	.verify = action_is_told,
	.resolve = resync_resolve,
};
