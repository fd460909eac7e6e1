/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actions/map_target.h"
#include "actions/pg_init.h"
#include "core/log.h"
#include "handlers/handlers.h"

/*
 * multipath.switch-group: I/O of a map goes to another path group.
 *
 * 1. The hardware handler of the group's paths makes it ready (pg_init.c). Its completion flags
 *    decide: FAIL_PATH fails that path and the next path of the group is tried; BYPASS_PG disables
 *    the group; 0 goes on.
 * 2. The message switch_group N (multipath_message, drivers/md/dm-mpath.c, Linux 6.12): the kernel
 *    takes the group with the next request.
 * 3. One block is read through the map; then the status must name the group, and the block must
 *    have been read.
 *
 * A path is failed only where another usable one is left in the map.
 */
#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

#define GROUP_LOOKS   25
#define GROUP_LOOK_NS 200000000L

struct group_work {
	struct map_target target;
	uint32_t number; /* 1-based */
	size_t usable_before;
	char before[400], note[200];
};

static const struct status_group *group_of(const struct group_work *work)
{
	return &work->target.info.groups[work->number - 1];
}

static int group_find(struct action *action, struct group_work *work)
{
	work->number = action_target(action->command)->group;
	if (work->number == 0)
		return action_refuse(action, REFUSAL(MALFORMED), "no path group is named");
	if (work->number > work->target.info.n_groups)
		return action_refuse(action, REFUSAL(TARGET_ABSENT),
				     "map %s has %zu path groups, no group %u", work->target.name,
				     work->target.info.n_groups, work->number);
	return 0;
}

static struct group_work *group_begin(struct action *action, int *ret_r)
{
	struct group_work *work = calloc(1, sizeof(*work));

	if (!work) {
		*ret_r = action_finish(action, LIFE(FAILED), ENOMEM, "out of memory");
		return NULL;
	}
	*ret_r = map_target_open(action, &work->target);
	if (*ret_r == 0)
		*ret_r = group_find(action, work);
	work->usable_before = map_target_n_usable(&work->target);
	map_target_describe(&work->target, work->before, sizeof(work->before));
	return work;
}

static void group_end(struct group_work *work)
{
	if (!work)
		return;
	map_target_close(&work->target);
	free(work);
}

/* The first active path of the group; false: there is none. */
static bool group_take_path(struct action *action, struct group_work *work)
{
	const struct status_group *group = group_of(work);

	for (size_t i = 0; i < group->n_paths; i++) {
		work->target.path = group->first_path + i;
		if (!work->target.info.paths[work->target.path].active)
			continue;
		map_target_read_path(action->host->sysfs,
				     &work->target.info.paths[work->target.path],
				     &work->target.device);
		if (*work->target.device.name)
			return true;
	}
	return false;
}

static int group_plan_work(struct action *action, struct group_work *work)
{
	const struct map_target *target = &work->target;

	if (target->info.group == work->number && group_of(work)->state == 'A')
		return action_finish(action, LIFE(SUCCEEDED), 0, "group %u is in use already; %s",
				     work->number, work->before);
	if (!group_take_path(action, work))
		return action_refuse(
			action, REFUSAL(PRECONDITION),
			"group %u has no active path: I/O would have nowhere to go; %s",
			work->number, work->before);
	if (pg_init_check(action->host, &target->info.paths[target->path], &target->device,
			  work->note, sizeof(work->note)))
		return action_refuse(action, REFUSAL(PRECONDITION), "group %u: %s", work->number,
				     work->note);
	if (action->command->dry_run)
		return action_finish(action, LIFE(SUCCEEDED), 0,
				     "dry run: would switch to group %u by %s%s%s; %s",
				     work->number, target->device.name, *work->note ? ", " : "",
				     work->note, work->before);
	return 0;
}

static int group_plan(struct action *action)
{
	int r;
	struct group_work *work = group_begin(action, &r);

	if (r == 0)
		r = group_plan_work(action, work);
	group_end(work);
	return r;
}

static int group_message(struct action *action, struct group_work *work, const char *text)
{
	int r = dm_message(work->target.control, &work->target.buffer, work->target.major,
			   work->target.minor, text);

	if (r < 0)
		return action_finish(action, LIFE(FAILED), -r, "map %s refused \"%s\": %s",
				     work->target.name, text, log_errno(r));
	return 0;
}

static int group_fail_path(struct action *action, struct group_work *work)
{
	const struct status_path *path = &work->target.info.paths[work->target.path];
	char text[64];

	if (map_target_n_usable(&work->target) < 2)
		return action_finish(action, LIFE(FAILED), 0,
				     "group %u could not be made ready (%s); the path was not "
				     "failed, since it is the last usable one",
				     work->number, work->note);
	snprintf(text, sizeof(text), "fail_path %u:%u", path->major, path->minor);
	return group_message(action, work, text);
}

static int group_bypass(struct action *action, struct group_work *work)
{
	char text[64];
	int r;

	snprintf(text, sizeof(text), "disable_group %u", work->number);
	r = group_message(action, work, text);
	return r ? r
		 : action_finish(action, LIFE(FAILED), 0,
				 "the controller is busy (%s): group %u is bypassed", work->note,
				 work->number);
}

/* 0: the group is ready. */
static int group_init(struct action *action, struct group_work *work)
{
	struct pg_init_report report;
	int r;

	while (group_take_path(action, work)) {
		r = pg_init_run(action->host, &work->target.info.paths[work->target.path],
				&work->target.device, group_of(work)->state == 'D', &report);
		snprintf(work->note, sizeof(work->note), "handler %s by %s%s%s", report.handler,
			 work->target.device.name, *report.text ? ": " : "", report.text);
		if (r < 0)
			return action_finish(action, LIFE(FAILED), -r, "%s: %s", work->note,
					     log_errno(r));
		if (report.flags == 0)
			return 0;
		r = report.flags & HANDLER_FAIL_PATH ? group_fail_path(action, work) : 0;
		if (r == 0 && report.flags & HANDLER_BYPASS_PG)
			r = group_bypass(action, work);
		if (r == 0)
			r = map_target_read(&work->target);
		if (r)
			return r < 0 ? action_finish(action, LIFE(FAILED), -r,
						     "the map's status can't be read: %s",
						     log_errno(r))
				     : r;
	}
	return action_finish(action, LIFE(FAILED), 0,
			     "no path of group %u could be made ready; the last: %s", work->number,
			     work->note);
}

static int group_look(struct action *action, struct group_work *work)
{
	struct status_path map = { .major = work->target.major, .minor = work->target.minor };
	struct map_path device;
	size_t usable;
	int read = -EIO;

	map_target_read_path(action->host->sysfs, &map, &device);
	for (unsigned i = 0; i < GROUP_LOOKS; i++) {
		const struct timespec pause = { .tv_nsec = GROUP_LOOK_NS };

		read = map_target_read_block(action->host, &map, &device);
		if (map_target_read(&work->target) == 0 &&
		    work->target.info.group == work->number && group_of(work)->state == 'A' &&
		    read == 0)
			break;
		(void)nanosleep(&pause, NULL);
	}
	usable = map_target_n_usable(&work->target);
	if (read < 0)
		return action_finish(action, LIFE(WORSE), -read,
				     "map %s can't be read after the switch: %s; %zu paths usable",
				     work->target.name, log_errno(read), usable);
	if (work->target.info.group != work->number)
		return action_finish(
			action, usable < work->usable_before ? LIFE(WORSE) : LIFE(INEFFECTIVE), 0,
			"group %u is in use, not group %u%s%s (%s)", work->target.info.group,
			work->number, *work->target.multipathd ? "; " : "", work->target.multipathd,
			work->note);
	return action_finish(action, LIFE(SUCCEEDED), 0,
			     "group %u is in use and map %s was read through it (%s)", work->number,
			     work->target.name, work->note);
}

static int group_apply(struct action *action)
{
	char text[64];
	int r;
	struct group_work *work = group_begin(action, &r);

	if (r == 0)
		r = group_plan_work(action, work);
	if (r == 0)
		r = group_init(action, work);
	if (r == 0) {
		snprintf(text, sizeof(text), "switch_group %u", work->number);
		r = group_message(action, work, text);
	}
	if (r == 0)
		r = group_look(action, work);
	group_end(work);
	return r;
}

static int group_resolve(struct action *action)
{
	int r;
	struct group_work *work = group_begin(action, &r);

	if (r == 0)
		r = action_finish(action,
				  work->target.info.group == work->number ? LIFE(SUCCEEDED)
									  : LIFE(INEFFECTIVE),
				  0, "now: %s", work->before);
	group_end(work);
	return action_end_resolve(action, r);
}

const struct action_verb action_multipath_switch_group = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_SWITCH_GROUP,
	.place = ACTION_IN_CHILD,
	.plan = group_plan,
	.apply = group_apply,
	.verify = action_is_told,
	.resolve = group_resolve,
};
