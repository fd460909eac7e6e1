/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/multipath/map_tell.h"

#include <errno.h>
#include <stdlib.h>

void map_changes_deinit(struct map_changes *changes)
{
	free(changes->items);
	*changes = (struct map_changes){ 0 };
}

uint32_t map_valid_paths(const struct map *map)
{
	uint32_t n = 0;

	for (size_t i = 0; i < map->n_paths; i++)
		n += map->paths[i].active && map->paths[i].present;
	return n;
}

struct map_change map_tell_change(const struct map_turn *turn, Pathbell__V1__EventKind kind,
				  Pathbell__V1__Severity severity)
{
	return (struct map_change){ .kind = kind,
				    .severity = severity,
				    .map = turn->map,
				    .group = turn->map->group,
				    .valid_paths = turn->map->is_known ? map_valid_paths(turn->map)
								       : turn->valid_paths,
				    .seqnum = turn->seqnum,
				    .time_unix_ns = turn->time_unix_ns,
				    .action = turn->action };
}

int map_tell(const struct map_turn *turn, const struct map_change *change)
{
	struct map_changes *changes = turn->changes;

	if (changes->n == changes->capacity) {
		size_t capacity = changes->capacity == 0 ? 64 : changes->capacity * 2;
		void *items = realloc(changes->items, capacity * sizeof(changes->items[0]));

		if (items == NULL)
			return -ENOMEM;
		changes->items = items;
		changes->capacity = capacity;
	}
	changes->items[changes->n++] = *change;
	return 0;
}

struct map_change map_tell_path_change(const struct map_turn *turn, const struct map_path *path,
				       Pathbell__V1__EventKind kind,
				       Pathbell__V1__Severity severity)
{
	struct map_change change = map_tell_change(turn, kind, severity);

	change.has_path = true;
	change.path_major = path->major;
	change.path_minor = path->minor;
	change.group = path->group;
	change.fail_count = path->fail_count;
	change.penalty = damp_penalty(&path->damp, &turn->clock->damp, turn->clock->now_ns);
	return change;
}

int map_tell_path(const struct map_turn *turn, struct map_path *path, bool always)
{
	bool failed = !path->active;
	struct map_change change = map_tell_path_change(
		turn, path,
		failed ? MAP_KIND(STORAGE_PATH_FAILED) : MAP_KIND(STORAGE_PATH_REINSTATED),
		failed ? MAP_SEVERITY(ERROR) : MAP_SEVERITY(NOTICE));

	if (failed == path->told_failed && !always)
		return 0;
	if (failed != path->told_failed)
		change.phase = failed ? MAP_PHASE(RAISED) : MAP_PHASE(CLEARED);
	change.since_unix_ns = failed ? turn->time_unix_ns : path->since_unix_ns;
	if (failed != path->told_failed)
		path->since_unix_ns = turn->time_unix_ns;
	path->told_failed = failed;
	return map_tell(turn, &change);
}

int map_tell_fault(const struct map_turn *turn, struct map_fault *fault, bool is_now,
		   Pathbell__V1__EventKind kind)
{
	struct map_change change = map_tell_change(turn, kind, MAP_SEVERITY(CRITICAL));

	if (is_now == fault->raised)
		return 0;
	fault->raised = is_now;
	change.phase = MAP_PHASE(RAISED);
	if (is_now) {
		fault->since_unix_ns = turn->time_unix_ns;
	} else {
		/* Each twin's number is the next one, event.proto. */
		change.kind = kind + 1;
		change.phase = MAP_PHASE(CLEARED);
		change.severity = MAP_SEVERITY(NOTICE);
	}
	change.since_unix_ns = fault->since_unix_ns;
	return map_tell(turn, &change);
}

int map_tell_marginal(const struct map_turn *turn, struct map_path *path)
{
	struct map_change change = map_tell_path_change(turn, path, MAP_KIND(STORAGE_PATH_MARGINAL),
							MAP_SEVERITY(WARNING));

	change.phase = MAP_PHASE(RAISED);
	path->n_hidden = 0;
	return map_tell(turn, &change);
}

int map_tell_left(const struct map_turn *turn, const struct map_path *path)
{
	struct map_change change = map_tell_path_change(turn, path, MAP_KIND(STORAGE_PATH_REMOVED),
							MAP_SEVERITY(NOTICE));
	int r = 0;

	if (path->damp.marginal) {
		struct map_change marginal = map_tell_path_change(
			turn, path, MAP_KIND(STORAGE_PATH_MARGINAL_CLEARED), MAP_SEVERITY(NOTICE));

		marginal.phase = MAP_PHASE(CLEARED);
		marginal.coalesced = path->n_hidden;
		r = map_tell(turn, &marginal);
	}
	if (path->told_failed) {
		change.phase = MAP_PHASE(CLEARED);
		change.since_unix_ns = path->since_unix_ns;
	}
	return r == 0 ? map_tell(turn, &change) : r;
}
