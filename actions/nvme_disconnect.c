/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "actions/nvme_make.h"
#include "core/log.h"

/*
 * nvme.disconnect: delete_controller of one fabrics controller. The write returns when it is gone,
 * which may take as long as its namespaces need. Then it is looked for again for a second: some
 * other program that wants it may connect it at once, and the operator should know.
 */
#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

#define NVME_DISCONNECT_LOOKS 20 /* of 50 ms */

struct nvme_disconnect {
	struct nvme_target target;
	char text[600], users[400];
};

static int nvme_disconnect_look(struct action *action, struct nvme_disconnect *disconnect)
{
	const struct nvme_target *target = &disconnect->target;

	if (nvme_target_find(action, &disconnect->target) ||
	    nvme_target_check_exclusions(action, &target->tid) ||
	    nvme_target_check_owner(action, target))
		return ACTION_E_DONE;
	nvme_target_describe(target, disconnect->text, sizeof(disconnect->text));
	if (strcmp(target->look.transport, "pcie") == 0)
		return action_refuse(action, REFUSAL(PRECONDITION),
				     "%s is a PCIe device, no connection", target->look.name);
	return nvme_target_check_last_path(action, target, disconnect->users,
					   sizeof(disconnect->users));
}

static int nvme_disconnect_plan(struct action *action)
{
	struct nvme_disconnect disconnect = { 0 };
	int r = nvme_disconnect_look(action, &disconnect);

	if (r || !action->command->dry_run)
		return r;
	return action_finish(action, LIFE(SUCCEEDED), 0,
			     "dry run: would disconnect %s, which is %s%s%s", disconnect.text,
			     disconnect.target.look.state, *disconnect.users ? "; " : "",
			     disconnect.users);
}

/* Gone: does anybody connect it again? */
static int nvme_disconnect_judge(struct action *action, const struct nvme_disconnect *disconnect)
{
	const struct nvme_target *target = &disconnect->target;
	struct nvme_target other = { 0 };
	char text[300];

	for (unsigned i = 0; i < NVME_DISCONNECT_LOOKS; i++) {
		if (nvme_target_match(action->host, &target->tid, &other) == 0) {
			nvme_target_describe(&other, text, sizeof(text));
			return action_finish(action, LIFE(INEFFECTIVE), 0,
					     "%s was disconnected, but something connected it "
					     "again at once: %s",
					     target->look.name, text);
		}
		if (!nvme_target_pause(action))
			break;
	}
	return action_finish(action, LIFE(SUCCEEDED), 0, "%s is disconnected", disconnect->text);
}

static int nvme_disconnect_apply(struct action *action)
{
	struct nvme_disconnect disconnect = { 0 };
	struct nvme_target *target = &disconnect.target;
	int r = nvme_disconnect_look(action, &disconnect);

	if (r)
		return r;
	r = nvme_make_undo(action->host, target);
	if (r < 0)
		return action_finish(action, LIFE(FAILED), -r, "the kernel did not delete %s: %s",
				     disconnect.text, log_errno(r));
	while (nvme_target_read(action->host, target) == 0)
		if (!nvme_target_pause(action))
			return action_finish(action, LIFE(INEFFECTIVE), ETIMEDOUT, "%s is still %s",
					     disconnect.text, target->look.state);
	return nvme_disconnect_judge(action, &disconnect);
}

/* Gone is what was wanted, whoever did it. */
static int nvme_disconnect_resolve(struct action *action)
{
	struct nvme_disconnect disconnect = { 0 };
	unsigned refusal;

	if (nvme_target_find(action, &disconnect.target) == 0) {
		nvme_target_describe(&disconnect.target, disconnect.text, sizeof(disconnect.text));
		return action_finish(action, LIFE(INEFFECTIVE), 0, "%s is still there and %s",
				     disconnect.text, disconnect.target.look.state);
	}
	refusal = action->result->refusal;
	action->result->refusal = 0;
	if (refusal != REFUSAL(TARGET_ABSENT) && refusal != REFUSAL(TARGET_RECYCLED)) {
		action->result->life = LIFE(INEFFECTIVE);
		return ACTION_E_DONE;
	}
	return action_finish(action, LIFE(SUCCEEDED), 0, "the controller is not there any more");
}

/* What the operator ended must not come back by itself. */
static void nvme_disconnect_settle(struct action *action)
{
	struct errmsg err = { 0 };
	struct tid tid;

	if (action->result->life != LIFE(SUCCEEDED) || !action->host->nvme_forget ||
	    tid_parse(action->result->object, &tid, &err) < 0)
		return;
	action->host->nvme_forget(action->host->data, &tid);
}

const struct action_verb action_nvme_disconnect = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_DISCONNECT,
	.place = ACTION_IN_CHILD,
	.plan = nvme_disconnect_plan,
	.apply = nvme_disconnect_apply,
	.verify = action_is_told,
	.resolve = nvme_disconnect_resolve,
	.settle = nvme_disconnect_settle,
};
