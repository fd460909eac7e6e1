/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "actions/nvme_target.h"
#include "core/clock.h"
#include "core/log.h"
#include "fabrics/connect.h"

/*
 * nvme.reset: reset_controller of one controller. The kernel resets only what is live
 * (nvme_change_ctrl_state, drivers/nvme/host/core.c, Linux 5.10 to 6.12): one that reconnects does
 * so by itself, every reconnect_delay seconds. The write returns once the reset is over, with an
 * error where the controller isn't live then; what counts is its state until the deadline.
 */
#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

struct nvme_reset {
	struct nvme_target target;
	char text[600], users[400];
};

static int nvme_reset_look(struct action *action, struct nvme_reset *reset)
{
	const struct nvme_target *target = &reset->target;

	if (nvme_target_find(action, &reset->target) ||
	    nvme_target_check_exclusions(action, &target->tid) ||
	    nvme_target_check_owner(action, target))
		return ACTION_E_DONE;
	nvme_target_describe(target, reset->text, sizeof(reset->text));
	if (!nvme_target_is_live(target))
		return action_refuse(action, REFUSAL(PRECONDITION),
				     "%s is %s: the kernel resets live controllers only",
				     reset->text, target->look.state);
	return nvme_target_check_last_path(action, target, reset->users, sizeof(reset->users));
}

static int nvme_reset_plan(struct action *action)
{
	struct nvme_reset reset = { 0 };
	int r = nvme_reset_look(action, &reset);

	if (r || !action->command->dry_run)
		return r;
	return action_finish(action, LIFE(SUCCEEDED), 0, "dry run: would reset %s%s%s", reset.text,
			     *reset.users ? "; " : "", reset.users);
}

static int nvme_reset_judge(struct action *action, struct nvme_reset *reset, int error,
			    uint64_t since_ns)
{
	const char *state = reset->target.look.state;
	int r = nvme_target_wait_live(action, &reset->target);
	uint64_t ms = (clock_monotonic_ns() - since_ns) / CLOCK_NS_PER_MS;

	if (r == NVME_TARGET_E_NONE)
		return action_finish(action, LIFE(WORSE), ENODEV,
				     "%s was live and is gone since the reset", reset->text);
	if (r != 0)
		return action_finish(action, LIFE(WORSE), -error,
				     "%s was live and is %s since the reset, %" PRIu64 " ms ago",
				     reset->text, state, ms);
	if (error == -EBUSY)
		return action_finish(action, LIFE(INEFFECTIVE), EBUSY,
				     "the kernel did not reset %s: it was busy with another change",
				     reset->text);
	return action_finish(action, LIFE(SUCCEEDED), 0,
			     "%s was reset and is live again after %" PRIu64 " ms", reset->text,
			     ms);
}

static int nvme_reset_apply(struct action *action)
{
	struct nvme_reset reset = { 0 };
	uint64_t since_ns = clock_monotonic_ns();
	int r = nvme_reset_look(action, &reset);

	if (r)
		return r;
	r = connect_reset(action->host->sysfs, reset.target.look.name);
	/* -ENETRESET: done, but not live at its end. */
	if (r < 0 && r != -EBUSY && r != -ENETRESET)
		return action_finish(action, LIFE(FAILED), -r, "the kernel did not reset %s: %s",
				     reset.text, log_errno(r));
	return nvme_reset_judge(action, &reset, r, since_ns);
}

static int nvme_reset_resolve(struct action *action)
{
	struct nvme_reset reset = { 0 };

	if (nvme_target_find(action, &reset.target)) {
		action->result->refusal = 0;
		return action_finish(action, LIFE(WORSE), ENODEV,
				     "the controller that was to be reset is gone");
	}
	nvme_target_describe(&reset.target, reset.text, sizeof(reset.text));
	if (!nvme_target_is_live(&reset.target))
		return action_finish(action, LIFE(WORSE), 0, "%s was live and is %s now",
				     reset.text, reset.target.look.state);
	return action_finish(action, LIFE(INEFFECTIVE), 0,
			     "%s is live; whether it was reset can't be told", reset.text);
}

const struct action_verb action_nvme_reset = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_RESET,
	.place = ACTION_IN_CHILD,
	.plan = nvme_reset_plan,
	.apply = nvme_reset_apply,
	.verify = action_is_told,
	.resolve = nvme_reset_resolve,
};
