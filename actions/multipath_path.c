/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actions/map_target.h"
#include "core/log.h"

/*
 * multipath.reinstate and multipath.fail: the messages reinstate_path and fail_path to one path of
 * one map (multipath_message, drivers/md/dm-mpath.c, Linux 6.12).
 *
 * device-mapper believes whoever tells it: a path whose disk was deleted is reinstated too, and
 * fails with the next request. So reinstate first reads a block through the path's own device, and
 * afterwards looks whether the path is still active and can still be read. fail refuses to take the
 * last path that I/O can use, whatever queue_if_no_path promises, unless the command says so.
 */
#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

/* After the message, so often: a path that fails again does so soon. */
#define MULTIPATH_LOOKS	  15
#define MULTIPATH_LOOK_NS 200000000L

struct multipath_work {
	struct map_target target;
	size_t usable_before;
	char before[400];
};

static struct multipath_work *multipath_begin(struct action *action, int *ret_r)
{
	struct multipath_work *work = calloc(1, sizeof(*work));

	if (!work) {
		*ret_r = action_finish(action, LIFE(FAILED), ENOMEM, "out of memory");
		return NULL;
	}
	*ret_r = map_target_open(action, &work->target);
	if (*ret_r == 0)
		*ret_r = map_target_find_path(action, &work->target);
	work->usable_before = map_target_n_usable(&work->target);
	map_target_describe(&work->target, work->before, sizeof(work->before));
	return work;
}

static void multipath_end(struct multipath_work *work)
{
	if (!work)
		return;
	map_target_close(&work->target);
	free(work);
}

static const struct status_path *multipath_path(const struct multipath_work *work)
{
	return &work->target.info.paths[work->target.path];
}

static int multipath_send(struct action *action, struct multipath_work *work, const char *message)
{
	const struct status_path *path = multipath_path(work);
	char text[64];
	int r;

	snprintf(text, sizeof(text), "%s %u:%u", message, path->major, path->minor);
	r = dm_message(work->target.control, &work->target.buffer, work->target.major,
		       work->target.minor, text);
	if (r == -EBUSY)
		return action_finish(action, LIFE(FAILED), EBUSY,
				     "map %s is suspended: it takes no messages",
				     work->target.name);
	if (r < 0)
		return action_finish(action, LIFE(FAILED), -r, "%s of %s was refused: %s", message,
				     work->target.device.name, log_errno(r));
	return 0;
}

/* The path by its numbers, after the status was read anew; groups may have changed. NULL: gone. */
static const struct status_path *multipath_reread(struct multipath_work *work)
{
	const struct status_path was = *multipath_path(work);

	if (map_target_read(&work->target) < 0)
		return NULL;
	for (size_t i = 0; i < work->target.info.n_paths; i++) {
		const struct status_path *path = &work->target.info.paths[i];

		if (path->major != was.major || path->minor != was.minor)
			continue;
		work->target.path = i;
		return path;
	}
	return NULL;
}

static void multipath_pause(void)
{
	const struct timespec time = { .tv_nsec = MULTIPATH_LOOK_NS };

	(void)nanosleep(&time, NULL);
}

/* reinstate */

static int reinstate_check(struct action *action, struct multipath_work *work)
{
	const struct map_path *device = &work->target.device;
	int r;

	if (!*device->name)
		return action_refuse(action, REFUSAL(PRECONDITION),
				     "the path's device is gone: reinstating it would only look "
				     "like success");
	if (*device->state && strcmp(device->state, "running") != 0)
		return action_refuse(action, REFUSAL(PRECONDITION),
				     "%s is %s: it can't take I/O, whatever the map believes",
				     device->name, device->state);
	r = map_target_read_block(action->host, multipath_path(work), device);
	if (r < 0)
		return action_refuse(action, REFUSAL(PRECONDITION),
				     "%s can't be read (%s): the path would fail again",
				     device->name, log_errno(r));
	return 0;
}

static int reinstate_plan_work(struct action *action, struct multipath_work *work)
{
	if (multipath_path(work)->active)
		return action_finish(action, LIFE(SUCCEEDED), 0, "%s is active already; %s",
				     work->target.device.name, work->before);
	if (reinstate_check(action, work))
		return ACTION_E_DONE;
	if (action->command->dry_run)
		return action_finish(action, LIFE(SUCCEEDED), 0, "dry run: would reinstate %s; %s",
				     work->target.device.name, work->before);
	return 0;
}

static int reinstate_plan(struct action *action)
{
	int r;
	struct multipath_work *work = multipath_begin(action, &r);

	if (r == 0)
		r = reinstate_plan_work(action, work);
	multipath_end(work);
	return r;
}

/* Active for the whole look, and readable at its end. */
static int reinstate_look(struct action *action, struct multipath_work *work)
{
	const struct status_path *path = NULL;
	const char *name = work->target.device.name;
	size_t usable;
	int r;

	for (unsigned i = 0; i < MULTIPATH_LOOKS; i++) {
		path = multipath_reread(work);
		if (!path || !path->active)
			break;
		multipath_pause();
	}
	r = path && path->active ? map_target_read_block(action->host, path, &work->target.device)
				 : -EIO;
	usable = map_target_n_usable(&work->target);
	if (usable < work->usable_before)
		return action_finish(action, LIFE(WORSE), 0,
				     "%zu paths were usable before, now %zu", work->usable_before,
				     usable);
	if (!path || !path->active)
		return action_finish(action, LIFE(INEFFECTIVE), 0,
				     "%s failed again at once%s%s; %zu of %zu paths are usable",
				     name, *work->target.multipathd ? ", perhaps because " : "",
				     work->target.multipathd, usable, work->target.info.n_paths);
	if (r < 0)
		return action_finish(action, LIFE(INEFFECTIVE), -r,
				     "%s is active, but can't be read: %s", name, log_errno(r));
	return action_finish(action, LIFE(SUCCEEDED), 0,
			     "%s is active and was read; %zu of %zu paths of map %s are usable",
			     name, usable, work->target.info.n_paths, work->target.name);
}

static int reinstate_apply(struct action *action)
{
	int r;
	struct multipath_work *work = multipath_begin(action, &r);

	if (r == 0)
		r = multipath_send(action, work, "reinstate_path");
	if (r == 0)
		r = reinstate_look(action, work);
	multipath_end(work);
	return r;
}

/* fail */

static int fail_plan_work(struct action *action, struct multipath_work *work)
{
	size_t group = map_target_group_of(&work->target, work->target.path);
	bool is_usable =
		multipath_path(work)->active && work->target.info.groups[group].state != 'D';

	if (!multipath_path(work)->active)
		return action_finish(action, LIFE(SUCCEEDED), 0, "%s has failed already; %s",
				     work->target.device.name, work->before);
	if (is_usable && work->usable_before == 1 && !action->command->override_last_path)
		return action_refuse(action, REFUSAL(LAST_PATH),
				     "%s is the last usable path of map %s%s",
				     work->target.device.name, work->target.name,
				     work->target.table.queue_if_no_path
					     ? " (I/O would queue until another comes back)"
					     : " (I/O would fail)");
	if (action->command->dry_run)
		return action_finish(action, LIFE(SUCCEEDED), 0, "dry run: would fail %s; %s",
				     work->target.device.name, work->before);
	return 0;
}

static int fail_plan(struct action *action)
{
	int r;
	struct multipath_work *work = multipath_begin(action, &r);

	if (r == 0)
		r = fail_plan_work(action, work);
	multipath_end(work);
	return r;
}

static int fail_look(struct action *action, struct multipath_work *work)
{
	const struct status_path *path = NULL;

	for (unsigned i = 0; i < MULTIPATH_LOOKS; i++) {
		path = multipath_reread(work);
		if (!path || path->active)
			break;
		multipath_pause();
	}
	if (path && path->active)
		return action_finish(action, LIFE(INEFFECTIVE), 0, "%s is active again%s%s",
				     work->target.device.name,
				     *work->target.multipathd ? ", perhaps because " : "",
				     work->target.multipathd);
	return action_finish(action, LIFE(SUCCEEDED), 0,
			     "%s has failed; %zu of %zu paths of map %s are usable",
			     work->target.device.name, map_target_n_usable(&work->target),
			     work->target.info.n_paths, work->target.name);
}

static int fail_apply(struct action *action)
{
	int r;
	struct multipath_work *work = multipath_begin(action, &r);

	/* Between plan and this another path may have failed. */
	if (r == 0)
		r = fail_plan_work(action, work);
	if (r == 0)
		r = multipath_send(action, work, "fail_path");
	if (r == 0)
		r = fail_look(action, work);
	multipath_end(work);
	return r;
}

/* After a crash: how is the path now? */

static int multipath_resolve(struct action *action, bool wants_active)
{
	int r;
	struct multipath_work *work = multipath_begin(action, &r);

	if (r == 0) {
		bool is_active = multipath_path(work)->active;

		r = action_finish(action,
				  is_active == wants_active ? LIFE(SUCCEEDED) : LIFE(INEFFECTIVE),
				  0, "%s is %s now; %s", work->target.device.name,
				  is_active ? "active" : "failed", work->before);
	}
	multipath_end(work);
	return action_end_resolve(action, r);
}

static int reinstate_resolve(struct action *action)
{
	return multipath_resolve(action, true);
}

static int fail_resolve(struct action *action)
{
	return multipath_resolve(action, false);
}

const struct action_verb action_multipath_reinstate = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_REINSTATE,
	.place = ACTION_IN_CHILD,
	.plan = reinstate_plan,
	.apply = reinstate_apply,
	.verify = action_is_told,
	.resolve = reinstate_resolve,
};

const struct action_verb action_multipath_fail = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_MULTIPATH_FAIL,
	.place = ACTION_IN_CHILD,
	.plan = fail_plan,
	.apply = fail_apply,
	.verify = action_is_told,
	.resolve = fail_resolve,
};
