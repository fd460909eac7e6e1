/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/multipath/maps.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A survey is older than what was heard since it started: a map that an event touched since then
 * keeps what the event said, and is looked at again. What was held for its turn when the survey
 * started has its turn when it ends: the kernel sends the uevents of a batch before it counts
 * event_nr (event_callback, drivers/md/dm.c, Linux 6.12), so the missing ones would have come.
 */
static int maps_grow(struct map ***items, size_t *capacity)
{
	size_t more = *capacity == 0 ? 16 : *capacity * 2;
	void *grown = realloc(*items, more * sizeof(struct map *));

	if (grown == NULL)
		return -ENOMEM;
	*items = grown;
	*capacity = more;
	return 0;
}

int maps_init(struct maps *maps)
{
	*maps = (struct maps){ .due_ns = UINT64_MAX };
	maps->info = malloc(sizeof(*maps->info));
	maps->table = malloc(sizeof(*maps->table));
	if (maps->info != NULL && maps->table != NULL)
		return 0;
	maps_deinit(maps);
	return -ENOMEM;
}

void maps_deinit(struct maps *maps)
{
	for (size_t i = 0; i < maps->n; i++)
		map_free(maps->items[i]);
	maps_published(maps);
	free(maps->items);
	free(maps->dead);
	free(maps->info);
	free(maps->table);
	map_changes_deinit(&maps->changes);
	*maps = (struct maps){ 0 };
}

void maps_published(struct maps *maps)
{
	for (size_t i = 0; i < maps->n_dead; i++)
		map_free(maps->dead[i]);
	maps->n_dead = 0;
	maps->changes.n = maps->changes.next = 0;
}

static struct map *maps_find(const struct maps *maps, uint32_t major, uint32_t minor)
{
	for (size_t i = 0; i < maps->n; i++)
		if (maps->items[i]->major == major && maps->items[i]->minor == minor)
			return maps->items[i];
	return NULL;
}

/* True once for a disk that came while we listened: its DM_SEQNUM starts at 1. */
static bool maps_is_fresh(struct maps *maps, uint32_t major, uint32_t minor)
{
	for (size_t i = 0; i < MAPS_FRESH; i++) {
		struct maps_device *device = &maps->fresh[i];

		if (device->major == major && device->minor == minor && major != 0) {
			*device = (struct maps_device){ 0 };
			return true;
		}
	}
	return false;
}

/* *ret_map NULL: the limit is reached. */
static int maps_add(struct maps *maps, uint32_t major, uint32_t minor, const char *name,
		    const char *uuid, struct map **ret_map)
{
	struct map *map;

	*ret_map = NULL;
	if (maps->n == MAPS_MAX) {
		maps->n_oversize++;
		return 0;
	}
	if (maps->n == maps->capacity && maps_grow(&maps->items, &maps->capacity) != 0)
		return -ENOMEM;
	map = map_new(major, minor, name, uuid);
	if (map == NULL)
		return -ENOMEM;
	if (maps_is_fresh(maps, major, minor))
		map->order.next = 1;
	maps->items[maps->n++] = map;
	*ret_map = map;
	return 0;
}

static int maps_remove(struct maps *maps, struct map *map, const struct map_clock *clock)
{
	size_t i = 0;

	if (maps->n_dead == maps->dead_capacity &&
	    maps_grow(&maps->dead, &maps->dead_capacity) != 0)
		return -ENOMEM;
	while (maps->items[i] != map)
		i++;
	maps->items[i] = maps->items[--maps->n];
	maps->dead[maps->n_dead++] = map;
	return map_remove(map, clock, &maps->changes);
}

/* Uevents. */

static int maps_hear_removed(struct maps *maps, const struct event *event,
			     const struct map_clock *clock)
{
	struct map *map = maps_find(maps, event->major, event->minor);
	bool ours;
	int r = 0;

	(void)maps_is_fresh(maps, event->major, event->minor);
	if (map != NULL)
		return maps_remove(maps, map, clock);
	for (size_t i = 0; r == 0 && i < maps->n; i++)
		r = map_path_gone(maps->items[i], event->major, event->minor, clock, &maps->changes,
				  &ours);
	return r;
}

/* The map of a path event; another disk under the number of a known one is another map. */
static int maps_of_event(struct maps *maps, const struct event *event,
			 const struct map_clock *clock, struct map **ret_map)
{
	struct map *map = maps_find(maps, event->major, event->minor);
	int r = 0;

	if (map != NULL && map->diskseq != 0 && event->diskseq != 0 &&
	    map->diskseq != event->diskseq) {
		r = maps_remove(maps, map, clock);
		map = NULL;
	}
	if (r == 0 && map == NULL)
		r = maps_add(maps, event->major, event->minor, event->name, event->uuid, &map);
	if (map != NULL)
		map->diskseq = event->diskseq;
	*ret_map = map;
	return r;
}

static int maps_settle_map(struct maps *maps, struct map *map, const struct map_clock *clock)
{
	uint64_t due_ns;
	int r = map_settle(map, clock, &maps->changes, &due_ns);

	if (due_ns < maps->due_ns)
		maps->due_ns = due_ns;
	return r;
}

static int maps_expire(struct maps *maps, struct map *map, uint64_t mark,
		       const struct map_clock *clock)
{
	uint64_t missing = 0;
	int r = map_expire(map, mark, clock, &maps->changes, &missing);

	maps->n_missing += missing;
	maps->wants_all |= missing > 0;
	return r;
}

static int maps_hear_path(struct maps *maps, const struct event *event,
			  const struct map_clock *clock)
{
	struct map *map;
	int r = maps_of_event(maps, event, clock, &map);

	if (r != 0 || map == NULL)
		return r;
	if (map->order.n_held == ORDER_WINDOW)
		r = maps_expire(maps, map, UINT64_MAX, clock);
	if (r == 0)
		r = map_apply_event(map, &event->path, clock, &maps->changes);
	maps->wants_survey |= r == MAP_E_HELD || !map->is_known;
	return r < 0 ? r : maps_settle_map(maps, map, clock);
}

/* A number can't be used again as long as a map holds it, so a path that is gone stays gone. */
static int maps_hear_added(struct maps *maps, const struct event *event)
{
	maps->fresh[maps->next_fresh++ % MAPS_FRESH] =
		(struct maps_device){ event->major, event->minor };
	for (size_t i = 0; i < maps->n; i++)
		map_path_back(maps->items[i], event->major, event->minor);
	return 0;
}

int maps_hear(struct maps *maps, const struct event *event, const struct map_clock *clock)
{
	switch (event->kind) {
	case EVENT_PATH:
		return maps_hear_path(maps, event, clock);
	case EVENT_DEVICE_REMOVED:
		return maps_hear_removed(maps, event, clock);
	case EVENT_DEVICE_ADDED:
		return maps_hear_added(maps, event);
	default:
		return 0;
	}
}

int maps_forget_order(struct maps *maps, const struct map_clock *clock)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < maps->n; i++) {
		struct map *map = maps->items[i];
		uint64_t missing;

		/* What is missing is in the count of the socket already. */
		r = map_expire(map, UINT64_MAX, clock, &maps->changes, &missing);
		map->order.next = 0;
		map_paths_back(map);
	}
	memset(maps->fresh, 0, sizeof(maps->fresh));
	maps->wants_all = true;
	return r;
}

/* Surveys. */

int maps_begin(struct maps *maps, bool all, struct survey_known **ret_known, size_t *ret_n_known)
{
	struct survey_known *known = NULL;
	size_t n = 0;

	if (!all) {
		known = calloc(maps->n + 1, sizeof(*known));
		if (known == NULL)
			return -ENOMEM;
	}
	for (size_t i = 0; i < maps->n; i++) {
		struct map *map = maps->items[i];

		map->mark = order_mark(&map->order);
		if (!all && map->is_known && !map->touched && !map->is_bad)
			known[n++] = (struct survey_known){ map->major, map->minor, map->event_nr };
		map->touched = map->listed = false;
	}
	maps->wants_survey = maps->wants_all = false;
	*ret_known = known;
	*ret_n_known = n;
	return 0;
}

/* False: not such lines; told once. */
static bool maps_parse(struct maps *maps, struct map *map, const struct report_record *record)
{
	int r = record->error;

	if (r == 0)
		r = status_parse_info(record->info, maps->info);
	if (r == 0)
		r = status_parse_table(record->table, maps->table);
	if (r != 0 && !map->is_bad) {
		maps->n_oversize += r == -E2BIG;
		maps->n_bad += r != -E2BIG;
	}
	map->is_bad = r != 0;
	return r == 0;
}

static int maps_take(struct maps *maps, struct map *map, const struct report_record *record,
		     const struct map_clock *clock, maps_present present, void *data)
{
	struct map_snapshot snapshot = { .name = record->name,
					 .uuid = record->uuid,
					 .event_nr = record->event_nr,
					 .suspended = record->suspended != 0,
					 .info = maps->info,
					 .table = maps->table };
	bool exists[STATUS_MAX_PATHS];
	bool is_new = !map->is_known;
	int r;

	for (size_t i = 0; i < maps->info->n_paths; i++)
		exists[i] = present(data, maps->info->paths[i].major, maps->info->paths[i].minor);
	snapshot.present = exists;
	r = map_apply_snapshot(map, &snapshot, clock, &maps->changes);
	/* Behind the first survey a new map is news; before it all are. */
	if (r == 0 && is_new && maps->complete)
		r = map_tell_added(map, clock, &maps->changes);
	return r;
}

static int maps_apply_map(struct maps *maps, struct map *map, const struct report_record *record,
			  const struct map_clock *clock, maps_present present, void *data)
{
	map->event_nr = record->event_nr;
	if (record->kind == REPORT_SAME)
		return 0;
	if (!maps_parse(maps, map, record))
		return 0;
	/* Two ioctls: the table was swapped in between. */
	if (maps->info->n_groups != maps->table->n_groups ||
	    maps->info->n_paths != maps->table->n_paths) {
		map->touched = maps->wants_survey = true;
		return 0;
	}
	return maps_take(maps, map, record, clock, present, data);
}

static int maps_of_record(struct maps *maps, const struct report_record *record,
			  const struct map_clock *clock, struct map **ret_map)
{
	struct map *map = maps_find(maps, record->major, record->minor);
	int r = 0;

	/* Only for kernels without DISKSEQ: a map may get its first UUID by a renaming. */
	if (map != NULL && record->kind == REPORT_MAP && record->error == 0 && map->is_known &&
	    map->uuid[0] != '\0' && strcmp(map->uuid, record->uuid) != 0) {
		r = maps_remove(maps, map, clock);
		map = NULL;
	}
	if (r == 0 && map == NULL && record->kind == REPORT_MAP)
		r = maps_add(maps, record->major, record->minor, record->name, record->uuid, &map);
	*ret_map = map;
	return r;
}

static int maps_apply_record(struct maps *maps, const struct report_record *record, bool tell_state,
			     const struct map_clock *clock, maps_present present, void *data)
{
	struct map *map;
	int r = maps_of_record(maps, record, clock, &map);

	if (r != 0 || map == NULL)
		return r;
	map->listed = true;
	map->owes_state |= tell_state;
	if (map->touched) {
		maps->wants_survey = true;
		return 0;
	}
	r = maps_expire(maps, map, map->mark, clock);
	map->touched = false;
	if (r == 0)
		r = maps_apply_map(maps, map, record, clock, present, data);
	if (r == 0 && map->owes_state && map->is_known && !map->touched) {
		map->owes_state = false;
		r = map_tell_state(map, clock, &maps->changes);
	}
	return r == 0 ? maps_settle_map(maps, map, clock) : r;
}

/* Maps that the survey did not see are gone, unless an event told of them since it started. */
static int maps_end(struct maps *maps, const struct map_clock *clock)
{
	int r = 0;

	for (size_t i = maps->n; r == 0 && i-- > 0;) {
		struct map *map = maps->items[i];

		if (map->listed)
			continue;
		if (map->touched)
			maps->wants_survey = true;
		else
			r = maps_remove(maps, map, clock);
	}
	maps->complete = true;
	return r;
}

int maps_apply(struct maps *maps, const struct report_record *record, bool tell_state,
	       const struct map_clock *clock, maps_present present, void *data)
{
	if (record->kind == REPORT_END)
		return maps_end(maps, clock);
	return maps_apply_record(maps, record, tell_state, clock, present, data);
}

int maps_settle(struct maps *maps, const struct map_clock *clock)
{
	int r = 0;

	maps->due_ns = UINT64_MAX;
	for (size_t i = 0; r == 0 && i < maps->n; i++)
		r = maps_settle_map(maps, maps->items[i], clock);
	return r;
}
