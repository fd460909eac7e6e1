/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "actions/nvme_make.h"
#include "core/log.h"

/*
 * nvme.connect: one controller at target.transport_address for target.nqn. Where one that fits is
 * live there is nothing to do; where one is reconnecting the kernel takes no second, so its own
 * next try is waited for. Proved by the controller's state: live.
 */
#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

struct nvme_connect {
	struct tid tid;
	struct nvme_make make;
	bool exists;
	struct nvme_target target;
	char text[600];
};

static const Pathbell__V1__NvmeConnectArgs *nvme_connect_args(const struct action *action)
{
	return action->command->args_case == PATHBELL__V1__COMMAND__ARGS_NVME_CONNECT
		       ? action->command->nvme_connect
		       : NULL;
}

static bool nvme_connect_is_desired(const struct action *action)
{
	const Pathbell__V1__NvmeConnectArgs *args = nvme_connect_args(action);

	return args && args->desired;
}

static void nvme_connect_describe(struct nvme_connect *connect)
{
	nvme_target_describe(&connect->target, connect->text, sizeof(connect->text));
}

/* Could it be made? */
static int nvme_connect_check(struct action *action, struct nvme_connect *connect)
{
	struct errmsg err = { 0 };
	int r = nvme_make_check(action->host, &connect->make, &err);

	if (r == 0)
		return 0;
	return action_refuse(action,
			     r == -EOPNOTSUPP ? REFUSAL(UNSUPPORTED)
			     : r == -EINVAL   ? REFUSAL(MALFORMED)
					      : REFUSAL(PRECONDITION),
			     "%s", err.text);
}

/* Everything that is known before acting. 0 to go on. */
static int nvme_connect_look(struct action *action, struct nvme_connect *connect)
{
	struct errmsg err = { 0 };

	if (nvme_target_wanted(action, NULL, &connect->tid) ||
	    nvme_target_check_exclusions(action, &connect->tid))
		return ACTION_E_DONE;
	if (nvme_connect_is_desired(action) && !action->host->nvme_want)
		return action_refuse(action, REFUSAL(UNSUPPORTED),
				     "this host has no NVMe monitor that could go on wanting it");
	if (nvme_make_prepare(action->host, &connect->tid, nvme_connect_args(action),
			      &connect->make, &err) < 0)
		return action_refuse(action, REFUSAL(MALFORMED), "%s", err.text);
	connect->exists =
		nvme_target_match(action->host, &connect->make.tid, &connect->target) == 0;
	if (!connect->exists)
		return nvme_connect_check(action, connect);
	nvme_connect_describe(connect);
	if (nvme_target_is_live(&connect->target))
		return action_finish(action, LIFE(SUCCEEDED), 0, "was connected already: %s",
				     connect->text);
	return 0;
}

static int nvme_connect_plan(struct action *action)
{
	struct nvme_connect connect = { 0 };
	int r = nvme_connect_look(action, &connect);

	nvme_make_wipe(&connect.make);
	if (r || !action->command->dry_run)
		return r;
	if (connect.exists)
		return action_finish(action, LIFE(SUCCEEDED), 0,
				     "dry run: would wait for %s, which is %s", connect.text,
				     connect.target.look.state);
	return action_finish(action, LIFE(SUCCEEDED), 0, "dry run: would connect %s",
			     action->result->object);
}

static int nvme_connect_judge(struct action *action, struct nvme_connect *connect)
{
	int r = nvme_target_wait_live(action, &connect->target);

	nvme_connect_describe(connect);
	if (r == 0)
		return action_finish(action, LIFE(SUCCEEDED), 0, "%s is live: %s",
				     connect->exists ? "the kernel reconnected it, it"
						     : "the new controller",
				     connect->text);
	if (r == NVME_TARGET_E_NONE)
		return action_finish(action, LIFE(INEFFECTIVE), ENODEV,
				     "%s went away before it was live", connect->text);
	return action_finish(action, LIFE(INEFFECTIVE), ETIMEDOUT, "%s is %s, not live",
			     connect->text, connect->target.look.state);
}

static int nvme_connect_act(struct action *action, struct nvme_connect *connect)
{
	struct errmsg err = { 0 };
	int r = nvme_connect_look(action, connect);

	if (r)
		return r;
	if (!connect->exists)
		r = nvme_make_controller(action, &connect->make, &connect->target, &err);
	if (r < 0)
		return action_finish(action, LIFE(FAILED), -r, "%s", err.text);
	if (r == NVME_MAKE_E_EXISTS) {
		connect->exists = true;
		if (nvme_target_match(action->host, &connect->make.tid, &connect->target) != 0)
			return action_finish(action, LIFE(INEFFECTIVE), EALREADY,
					     "the kernel says that it is connected already, but no "
					     "controller is found that fits");
	}
	return nvme_connect_judge(action, connect);
}

static int nvme_connect_apply(struct action *action)
{
	struct nvme_connect connect = { 0 };
	int r = nvme_connect_act(action, &connect);

	nvme_make_wipe(&connect.make);
	return r;
}

static int nvme_connect_resolve(struct action *action)
{
	struct nvme_connect connect = { 0 };

	if (nvme_target_wanted(action, NULL, &connect.tid))
		return ACTION_E_DONE;
	if (nvme_target_match(action->host, &connect.tid, &connect.target) != 0)
		return action_finish(action, LIFE(INEFFECTIVE), ENOTCONN,
				     "there is no such controller now");
	nvme_connect_describe(&connect);
	return action_finish(
		action, nvme_target_is_live(&connect.target) ? LIFE(SUCCEEDED) : LIFE(INEFFECTIVE),
		0, "%s is %s now", connect.text, connect.target.look.state);
}

static void nvme_connect_settle(struct action *action)
{
	struct action_result *result = action->result;
	struct tid tid;
	size_t len = strlen(result->detail);
	int r;

	if (!nvme_connect_is_desired(action) || result->life != LIFE(SUCCEEDED) ||
	    nvme_target_wanted(action, NULL, &tid))
		return;
	r = action->host->nvme_want ? action->host->nvme_want(action->host->data, &tid) : -ENOSYS;
	if (r == 0)
		return;
	result->life = LIFE(INEFFECTIVE);
	snprintf(result->detail + len, sizeof(result->detail) - len,
		 "; but the monitor does not want it: %s", log_errno(r));
}

const struct action_verb action_nvme_connect = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_CONNECT,
	.place = ACTION_IN_CHILD,
	.plan = nvme_connect_plan,
	.apply = nvme_connect_apply,
	.verify = action_is_told,
	.resolve = nvme_connect_resolve,
	.settle = nvme_connect_settle,
};
