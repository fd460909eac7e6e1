/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "actions/action.h"

/*
 * uplink.reconnect: the forwarder drains, leaves the aggregator and comes back. Verified by the
 * fact: a new session is up. Only addresses of the host's own configuration can be named, so that a
 * command never moves a host to a stranger.
 */
#define RECONNECT_FAILED    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_FAILED
#define RECONNECT_SUCCEEDED PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED

static const char *reconnect_address(const Pathbell__V1__Command *command)
{
	return command->args_case == PATHBELL__V1__COMMAND__ARGS_UPLINK_RECONNECT
		       ? command->uplink_reconnect->address
		       : "";
}

static int reconnect_plan(struct action *action)
{
	const char *address = reconnect_address(action->command);
	int r = action->host->may_reconnect(action->host->data, address);

	if (r == ACTION_E_UNKNOWN) {
		action->result->refusal = PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_POLICY;
		return action_finish(action, RECONNECT_FAILED, EPERM,
				     "%.256s is not one of the configured addresses", address);
	}
	if (r)
		return action_finish(action, RECONNECT_FAILED, ENOTCONN, "no uplink runs");
	if (action->command->dry_run)
		return action_finish(action, RECONNECT_SUCCEEDED, 0,
				     "dry run: would reconnect to %.256s",
				     *address ? address : "the next address");
	return 0;
}

static int reconnect_apply(struct action *action)
{
	if (action->host->reconnect(action->host->data, reconnect_address(action->command),
				    &action->token))
		return action_finish(action, RECONNECT_FAILED, ENOTCONN, "no uplink runs");
	return 0;
}

static int reconnect_verify(struct action *action)
{
	if (!action->host->is_reconnected(action->host->data, action->token))
		return ACTION_E_WAIT;
	return action_finish(action, RECONNECT_SUCCEEDED, 0, "a new session is up");
}

/* A restarted agent has a new session as soon as one is up: token 0 is older than any. */
static int reconnect_resolve(struct action *action)
{
	if (!action->host->is_reconnected(action->host->data, 0))
		return ACTION_E_WAIT;
	return action_finish(action, RECONNECT_SUCCEEDED, 0,
			     "the agent was restarted and a session is up");
}

const struct action_verb action_reconnect = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_UPLINK_RECONNECT,
	.place = ACTION_ON_LOOP,
	.plan = reconnect_plan,
	.apply = reconnect_apply,
	.verify = reconnect_verify,
	.resolve = reconnect_resolve,
};
