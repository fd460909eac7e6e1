/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "actions/action.h"
#include "core/log.h"

/*
 * probe: read the state of one device again and report it. The target is resolved to one device by
 * its stable identity (plan); its sysfs attributes are read and, where wished, one sector with
 * O_DIRECT (apply). Nothing on the host changes, so verify only judges what was read.
 */
#define PROBE_FAILED	PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_FAILED
#define PROBE_SUCCEEDED PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED

static bool probe_wants_read(const Pathbell__V1__Command *command)
{
	return command->args_case == PATHBELL__V1__COMMAND__ARGS_PROBE &&
	       command->probe->read_sector;
}

static int probe_plan(struct action *action)
{
	const Pathbell__V1__CommandTarget *target = action_target(action->command);
	struct action_result *result = action->result;
	char text[300];
	int r;

	if (!target) {
		result->refusal = PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_MALFORMED;
		return action_finish(action, PROBE_FAILED, EINVAL, "no target is given");
	}
	action_target_format(target, text, sizeof(text));
	r = action->host->find(action->host->data, target, &result->device);
	if (r == ACTION_E_ABSENT)
		return action_finish(action, PROBE_FAILED, ENODEV, "no device fits %s", text);
	if (r == ACTION_E_AMBIGUOUS) {
		result->refusal = PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_AMBIGUOUS_TARGET;
		return action_finish(action, PROBE_FAILED, EEXIST,
				     "more than one device fits %s: name it by its identity", text);
	}
	if (r)
		return action_finish(action, PROBE_FAILED, -r, "cannot look up %s: %s", text,
				     log_errno(r));
	if (action->command->dry_run)
		return action_finish(
			action, PROBE_SUCCEEDED, 0, "dry run: would read %s (%u:%u)%s",
			result->device.name, result->device.major, result->device.minor,
			probe_wants_read(action->command) ? " and one sector of it" : "");
	return 0;
}

static int probe_apply(struct action *action)
{
	struct action_result *result = action->result;
	const struct action_host *host = action->host;
	int r = device_read_state(host->sysfs, &result->device, &result->state);

	if (r)
		return action_finish(action, PROBE_FAILED, -r, "cannot read the state of %s: %s",
				     result->device.name, log_errno(r));
	result->has_device = true;
	if (result->state.present && probe_wants_read(action->command))
		device_read_sector(host->sysfs, host->dev, &result->device, &result->state);
	return 0;
}

static int probe_verify(struct action *action)
{
	const struct action_result *result = action->result;
	const struct device_state *state = &result->state;
	char read[96] = "";

	if (!state->present)
		return action_finish(action, PROBE_FAILED, ENODEV, "%s (%s) is gone",
				     result->device.name, result->device.id);
	if (state->read_tried && state->readable)
		snprintf(read, sizeof(read), ", one sector was read");
	else if (state->read_tried)
		snprintf(read, sizeof(read), ", reading one sector failed: %s",
			 log_errno(state->read_error));
	/* A device that cannot be read is a good answer to the question: the probe succeeded. */
	return action_finish(action, PROBE_SUCCEEDED, 0, "%s is present, %llu sectors%s%s%s%s",
			     result->device.name, (unsigned long long)state->size_sectors,
			     state->state[0] ? ", " : "", state->state,
			     state->read_only ? ", read-only" : "", read);
}

/* The probe itself only reads: its report is made again. */
static int probe_resolve(struct action *action)
{
	int r = probe_plan(action);

	if (r == 0)
		r = probe_apply(action);
	return r ? r : probe_verify(action);
}

const struct action_verb action_probe = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_PROBE,
	.place = ACTION_IN_CHILD,
	.plan = probe_plan,
	.apply = probe_apply,
	.verify = probe_verify,
	.resolve = probe_resolve,
};
