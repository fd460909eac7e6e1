/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "actions/action.h"

static const struct action_verb *const action_table[] = {
	&action_probe,		&action_resync,
	&action_reconnect,	&action_multipath_reinstate,
	&action_multipath_fail, &action_multipath_switch_group,
	&action_scsi_rescan,	&action_nvme_connect,
	&action_nvme_discover,	&action_nvme_reset,
	&action_nvme_rescan,	&action_nvme_disconnect,
	&action_halt,		&action_resume,
	&action_diag,
};

const struct action_verb *action_find(unsigned verb)
{
	for (size_t i = 0; i < sizeof(action_table) / sizeof(action_table[0]); i++)
		if (action_table[i]->verb == verb)
			return action_table[i];
	return NULL;
}

const Pathbell__V1__CommandTarget *action_target(const Pathbell__V1__Command *command)
{
	if (command->args_case == PATHBELL__V1__COMMAND__ARGS_PROBE && command->probe->target)
		return command->probe->target;
	return command->target;
}

void action_target_format(const Pathbell__V1__CommandTarget *target, char *ret_text, size_t size)
{
	const char *const parts[] = { target ? target->id : "",
				      target ? target->name : "",
				      target ? target->map_name : "",
				      target ? target->map_uuid : "",
				      target ? target->path_wwid : "",
				      target ? target->nqn : "",
				      target ? target->transport_address : "" };

	snprintf(ret_text, size, "nothing");
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!parts[i] || !*parts[i])
			continue;
		snprintf(ret_text, size, "%s", parts[i]);
		return;
	}
}

int action_is_told(struct action *action)
{
	return ACTION_E_DONE;
}

int action_refuse(struct action *action, unsigned refusal, const char *format, ...)
{
	va_list args;

	action->result->life = PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_REJECTED;
	action->result->refusal = refusal;
	va_start(args, format);
	vsnprintf(action->result->detail, sizeof(action->result->detail), format, args);
	va_end(args);
	return ACTION_E_DONE;
}

int action_finish(struct action *action, unsigned life, int error_number, const char *format, ...)
{
	va_list args;

	action->result->life = life;
	action->result->error_number = error_number;
	va_start(args, format);
	vsnprintf(action->result->detail, sizeof(action->result->detail), format, args);
	va_end(args);
	return ACTION_E_DONE;
}

int action_end_resolve(struct action *action, int r)
{
	struct action_result *result = action->result;

	if (result->life == PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_REJECTED)
		result->life = PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_FAILED;
	return r;
}

int action_run(const struct action_verb *verb, struct action *action)
{
	int r;

	action->result->life = PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_SUCCEEDED;
	r = verb->plan(action);
	if (r || action->command->dry_run)
		return ACTION_E_DONE;
	r = verb->apply(action);
	return r ? r : verb->verify(action);
}
