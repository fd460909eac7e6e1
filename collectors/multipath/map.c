/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/multipath/map.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/multipath/map_tell.h"

/*
 * Events lead, snapshots correct. An event changes the path that it names at once. A snapshot is
 * compared with what the events left: what they did not tell of (a group switch, bypassing,
 * queueing, a lost path event) is a change too, with the action "compared".
 *
 * One happening is told once. The kernel sets the state of a path before it queues the uevent, so a
 * snapshot may be first: the event that then confirms it is taken in silently.
 *
 * Lasting faults are balanced. path.failed is ended by path.reinstated, or by path.removed when the
 * path leaves the map; all_paths_down (no path is active and has a device) and permanent_loss (no
 * path has a device: it was deleted, reinstating can't help) by their twins; map_remove ends all.
 *
 * A flapping path (damp.h) becomes marginal: its changes are applied but not told of, until it has
 * calmed down. Then marginal_cleared says how many there were, and the state it ended in is told if
 * that is another one than the last told. The faults of the whole map are never kept back.
 */
#define MAP_COMPARED "compared"

struct map *map_new(uint32_t major, uint32_t minor, const char *name, const char *uuid)
{
	struct map *map = calloc(1, sizeof(*map));

	if (map == NULL)
		return NULL;
	map->major = major;
	map->minor = minor;
	snprintf(map->name, sizeof(map->name), "%s", name);
	snprintf(map->uuid, sizeof(map->uuid), "%s", uuid);
	return map;
}

struct map *map_free(struct map *map)
{
	if (map != NULL)
		free(map->paths);
	free(map);
	return NULL;
}

static struct map_path *map_find(const struct map *map, uint32_t major, uint32_t minor)
{
	for (size_t i = 0; i < map->n_paths; i++)
		if (map->paths[i].major == major && map->paths[i].minor == minor)
			return &map->paths[i];
	return NULL;
}

/* The faults of the whole map, after any change of a path. */
static int map_judge(const struct map_turn *turn)
{
	struct map *map = turn->map;
	bool any_present = false, down;
	int r;

	/* Before the first snapshot not all paths are known. */
	if (!map->is_known)
		return 0;
	for (size_t i = 0; i < map->n_paths; i++)
		any_present |= map->paths[i].present;
	down = map->n_paths > 0 && map_valid_paths(map) == 0;
	r = map_tell_fault(turn, &map->all_paths_down, down,
			   MAP_KIND(STORAGE_DEVICE_ALL_PATHS_DOWN));
	if (r == 0)
		r = map_tell_fault(turn, &map->permanent_loss, down && !any_present,
				   MAP_KIND(STORAGE_DEVICE_PERMANENT_LOSS));
	return r;
}

/* Path states. */

/* @again: the kernel says a state that the path has already. */
static int map_set_path(const struct map_turn *turn, struct map_path *path, bool active)
{
	bool again = path->active == active, was_marginal = path->damp.marginal, worse = false;
	int r;

	path->active = active;
	if (!again && !active)
		worse = damp_fail(&path->damp, &turn->clock->damp, turn->clock->now_ns);
	if (was_marginal) {
		path->n_hidden++;
		return 0;
	}
	r = map_tell_path(turn, path, again);
	if (r == 0 && worse)
		r = map_tell_marginal(turn, path);
	return r;
}

static struct map_path *map_add_path(struct map *map, uint32_t major, uint32_t minor)
{
	struct map_path *paths;

	if (map->n_paths == STATUS_MAX_PATHS)
		return NULL;
	paths = realloc(map->paths, (map->n_paths + 1) * sizeof(*paths));
	if (paths == NULL)
		return NULL;
	map->paths = paths;
	paths += map->n_paths++;
	*paths = (struct map_path){
		.major = major, .minor = minor, .active = true, .present = true
	};
	return paths;
}

/* Events. */

static int map_play_event(struct map *map, const struct order_event *event,
			  const struct map_clock *clock, struct map_changes *changes)
{
	struct map_turn turn = { .map = map,
				 .clock = clock,
				 .changes = changes,
				 .action = event->failed ? "PATH_FAILED" : "PATH_REINSTATED",
				 .seqnum = event->seqnum,
				 .time_unix_ns = event->time_unix_ns,
				 .valid_paths = event->valid_paths };
	struct map_path *path = map_find(map, event->path_major, event->path_minor);
	bool confirms;
	int r;

	map->touched = true;
	if (path == NULL) {
		path = map_add_path(map, event->path_major, event->path_minor);
		if (path == NULL)
			return -ENOMEM;
		/* It was in the other state, whichever that is told now. */
		path->active = event->failed;
		path->told_failed = !event->failed;
	}
	confirms = path->compared && path->active == !event->failed;
	path->compared = false;
	if (confirms)
		return 0;
	r = map_set_path(&turn, path, !event->failed);
	return r == 0 ? map_judge(&turn) : r;
}

static int map_play(struct map *map, const struct map_clock *clock, struct map_changes *changes)
{
	struct order_event event;
	int r = 0;

	while (r == 0 && order_pop(&map->order, &event) == 0)
		r = map_play_event(map, &event, clock, changes);
	return r;
}

int map_apply_event(struct map *map, const struct order_event *event, const struct map_clock *clock,
		    struct map_changes *changes)
{
	int r = order_push(&map->order, event);

	if (r == ORDER_E_OLD)
		return MAP_E_OLD;
	if (r == ORDER_E_FULL)
		return -ENOBUFS;
	map->touched = true;
	r = map_play(map, clock, changes);
	if (r < 0)
		return r;
	return map->order.n_held > 0 ? MAP_E_HELD : 0;
}

int map_expire(struct map *map, uint64_t mark, const struct map_clock *clock,
	       struct map_changes *changes, uint64_t *ret_missing)
{
	int r = 0;

	*ret_missing = 0;
	while (r == 0 && map->order.n_held > 0 && map->order.held[0].seqnum <= mark) {
		*ret_missing += order_expire(&map->order, mark);
		r = map_play(map, clock, changes);
	}
	return r;
}

/* Snapshots. */

static int map_compare_path(const struct map_turn *turn, struct map_path *path,
			    const struct status_path *seen, bool present)
{
	int r = 0;

	path->fail_count = seen->fail_count;
	path->present = present && !path->gone;
	if (path->active != seen->active) {
		path->compared = true;
		r = map_set_path(turn, path, seen->active);
	}
	return r;
}

/* The paths of the snapshot with what is known of them. Told of: paths that came or left. */
static int map_take_paths(const struct map_turn *turn, const struct status *info)
{
	struct map *map = turn->map;
	struct map_path *paths = calloc(info->n_paths + 1, sizeof(*paths)), *old = map->paths;
	size_t n_old = map->n_paths;
	int r = 0;

	if (paths == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < info->n_paths; i++) {
		const struct status_path *seen = &info->paths[i];
		struct map_path *known = map_find(map, seen->major, seen->minor);

		if (known != NULL) {
			paths[i] = *known;
			/* Taken: the same device twice in one table is two paths to us. */
			known->major = known->minor = UINT32_MAX;
		} else {
			paths[i] = (struct map_path){ .major = seen->major, .minor = seen->minor };
			paths[i].active = paths[i].present = true;
			paths[i].group = map->is_known ? UINT32_MAX : 0;
		}
	}
	map->paths = paths;
	map->n_paths = info->n_paths;
	for (size_t i = 0; r == 0 && i < n_old; i++)
		if (old[i].major != UINT32_MAX)
			r = map_tell_left(turn, &old[i]);
	free(old);
	return r;
}

static int map_compare_paths(const struct map_turn *turn, const struct map_snapshot *snapshot)
{
	const struct status *info = snapshot->info;
	int r = map_take_paths(turn, info);

	for (size_t g = 0; r == 0 && g < info->n_groups; g++) {
		size_t end = info->groups[g].first_path + info->groups[g].n_paths;

		for (size_t i = info->groups[g].first_path; r == 0 && i < end; i++) {
			struct map_path *path = &turn->map->paths[i];
			bool is_new = path->group == UINT32_MAX;
			struct map_change added;

			path->group = (uint32_t)g + 1;
			added = map_tell_path_change(turn, path, MAP_KIND(STORAGE_PATH_ADDED),
						     MAP_SEVERITY(INFO));
			if (is_new)
				r = map_tell(turn, &added);
			if (r == 0)
				r = map_compare_path(turn, path, &info->paths[i],
						     snapshot->present[i]);
		}
	}
	return r;
}

static int map_compare_group(const struct map_turn *turn, size_t index, char seen)
{
	struct map *map = turn->map;
	bool was_off = map->groups[index].state == 'D', is_off = seen == 'D';
	struct map_change change = map_tell_change(
		turn,
		is_off ? MAP_KIND(MULTIPATH_GROUP_DISABLED) : MAP_KIND(MULTIPATH_GROUP_ENABLED),
		is_off ? MAP_SEVERITY(WARNING) : MAP_SEVERITY(NOTICE));

	change.group = (uint32_t)index + 1;
	return was_off == is_off ? 0 : map_tell(turn, &change);
}

static int map_compare_groups(const struct map_turn *turn, const struct status *info)
{
	struct map *map = turn->map;
	struct map_change change =
		map_tell_change(turn, MAP_KIND(MULTIPATH_GROUP_SWITCHED), MAP_SEVERITY(NOTICE));
	int r = 0;

	/* In another table the numbers mean other groups. */
	if (!map->is_known || map->n_groups != info->n_groups)
		return 0;
	for (size_t i = 0; r == 0 && i < info->n_groups; i++)
		r = map_compare_group(turn, i, info->groups[i].state);
	change.group = info->group;
	change.previous_group = map->group;
	if (r == 0 && info->group != map->group)
		r = map_tell(turn, &change);
	return r;
}

/* Queueing, and the end of an initialisation by a hardware handler. */
static int map_compare_features(const struct map_turn *turn, const struct map_snapshot *snapshot)
{
	struct map *map = turn->map;
	bool queueing = snapshot->table->queue_if_no_path;
	bool was_queueing = map->queueing, was_waiting = map->queue_io;
	struct map_change change;
	int r = 0;

	map->queueing = queueing;
	map->queue_io = snapshot->info->queue_io;
	if (!map->is_known)
		return 0;
	change = map_tell_change(turn, MAP_KIND(MULTIPATH_QUEUEING_CHANGED), MAP_SEVERITY(NOTICE));
	if (queueing != was_queueing)
		r = map_tell(turn, &change);
	change = map_tell_change(turn, MAP_KIND(MULTIPATH_GROUP_INITIALISED), MAP_SEVERITY(INFO));
	change.group = snapshot->info->group;
	if (r == 0 && was_waiting && !map->queue_io && snapshot->table->handler[0] != '\0')
		r = map_tell(turn, &change);
	return r;
}

static void map_take(struct map *map, const struct map_snapshot *snapshot)
{
	const struct status *info = snapshot->info, *table = snapshot->table;

	snprintf(map->name, sizeof(map->name), "%s", snapshot->name);
	snprintf(map->uuid, sizeof(map->uuid), "%s", snapshot->uuid);
	memcpy(map->handler, table->handler, sizeof(map->handler));
	map->event_nr = snapshot->event_nr;
	map->suspended = snapshot->suspended;
	map->group = info->group;
	map->n_groups = info->n_groups;
	for (size_t i = 0; i < info->n_groups; i++) {
		map->groups[i] = info->groups[i];
		if (i < table->n_groups)
			memcpy(map->groups[i].selector, table->groups[i].selector,
			       sizeof(map->groups[i].selector));
	}
	map->is_known = true;
}

int map_apply_snapshot(struct map *map, const struct map_snapshot *snapshot,
		       const struct map_clock *clock, struct map_changes *changes)
{
	struct map_turn turn = { .map = map,
				 .clock = clock,
				 .changes = changes,
				 .action = MAP_COMPARED,
				 .time_unix_ns = clock->unix_ns };
	int r = map_compare_groups(&turn, snapshot->info);

	if (r == 0)
		r = map_compare_features(&turn, snapshot);
	if (r == 0)
		r = map_compare_paths(&turn, snapshot);
	if (r != 0)
		return r;
	map_take(map, snapshot);
	return map_judge(&turn);
}

/* What comes from elsewhere: removed devices, the clock. */

int map_path_gone(struct map *map, uint32_t major, uint32_t minor, const struct map_clock *clock,
		  struct map_changes *changes, bool *ret_ours)
{
	struct map_turn turn = { .map = map,
				 .clock = clock,
				 .changes = changes,
				 .action = "device_removed",
				 .time_unix_ns = clock->unix_ns };
	struct map_path *path = map_find(map, major, minor);
	struct map_change change;
	int r;

	*ret_ours = path != NULL;
	if (path == NULL || !path->present)
		return 0;
	path->present = false;
	path->gone = true;
	change = map_tell_path_change(&turn, path, MAP_KIND(STORAGE_PATH_REMOVED),
				      MAP_SEVERITY(ERROR));
	r = map_tell(&turn, &change);
	return r == 0 ? map_judge(&turn) : r;
}

void map_path_back(struct map *map, uint32_t major, uint32_t minor)
{
	struct map_path *path = map_find(map, major, minor);

	if (path != NULL)
		path->gone = false;
}

void map_paths_back(struct map *map)
{
	for (size_t i = 0; i < map->n_paths; i++)
		map->paths[i].gone = false;
}

int map_remove(struct map *map, const struct map_clock *clock, struct map_changes *changes)
{
	struct map_turn turn = { .map = map,
				 .clock = clock,
				 .changes = changes,
				 .action = "map_removed",
				 .time_unix_ns = clock->unix_ns };
	struct map_change removed;
	uint64_t missing;
	/* What is held has happened, and what is missing need not have. */
	int r = map_expire(map, UINT64_MAX, clock, changes, &missing);

	for (size_t i = 0; r == 0 && i < map->n_paths; i++)
		if (map->paths[i].told_failed || map->paths[i].damp.marginal)
			r = map_tell_left(&turn, &map->paths[i]);
	map->n_paths = 0;
	if (r == 0)
		r = map_judge(&turn);
	removed = map_tell_change(&turn, MAP_KIND(MULTIPATH_MAP_REMOVED), MAP_SEVERITY(INFO));
	return r == 0 ? map_tell(&turn, &removed) : r;
}

static int map_settle_path(const struct map_turn *turn, struct map_path *path, uint64_t *due_ns)
{
	uint64_t path_due_ns;
	int r = 0;

	if (damp_settle(&path->damp, &turn->clock->damp, turn->clock->now_ns)) {
		struct map_change change = map_tell_path_change(
			turn, path, MAP_KIND(STORAGE_PATH_MARGINAL_CLEARED), MAP_SEVERITY(NOTICE));

		change.phase = MAP_PHASE(CLEARED);
		change.coalesced = path->n_hidden;
		r = map_tell(turn, &change);
		if (r == 0)
			r = map_tell_path(turn, path, false);
	}
	path_due_ns = damp_due(&path->damp, &turn->clock->damp);
	if (path_due_ns < *due_ns)
		*due_ns = path_due_ns;
	return r;
}

int map_settle(struct map *map, const struct map_clock *clock, struct map_changes *changes,
	       uint64_t *ret_due_ns)
{
	struct map_turn turn = { .map = map,
				 .clock = clock,
				 .changes = changes,
				 .action = "settled",
				 .time_unix_ns = clock->unix_ns };
	int r = 0;

	*ret_due_ns = UINT64_MAX;
	for (size_t i = 0; r == 0 && i < map->n_paths; i++)
		r = map_settle_path(&turn, &map->paths[i], ret_due_ns);
	return r;
}

int map_tell_state(const struct map *map, const struct map_clock *clock,
		   struct map_changes *changes)
{
	struct map_turn turn = { .map = (struct map *)map,
				 .clock = clock,
				 .changes = changes,
				 .action = "",
				 .time_unix_ns = clock->unix_ns };
	struct map_change change =
		map_tell_change(&turn, MAP_KIND(MULTIPATH_MAP_STATE), MAP_SEVERITY(INFO));

	if (map->all_paths_down.raised)
		change.since_unix_ns = map->all_paths_down.since_unix_ns;
	return map_tell(&turn, &change);
}

int map_tell_added(const struct map *map, const struct map_clock *clock,
		   struct map_changes *changes)
{
	struct map_turn turn = { .map = (struct map *)map,
				 .clock = clock,
				 .changes = changes,
				 .action = MAP_COMPARED,
				 .time_unix_ns = clock->unix_ns };
	struct map_change change =
		map_tell_change(&turn, MAP_KIND(MULTIPATH_MAP_ADDED), MAP_SEVERITY(INFO));

	return map_tell(&turn, &change);
}
