/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/multipath/map.h"

/* The output half of map.c: values of struct map_change, and the balance of told and ended. Only
 * for map.c. */
#define MAP_KIND(name)	   PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name
#define MAP_SEVERITY(name) PATHBELL__V1__SEVERITY__SEVERITY_##name
#define MAP_PHASE(name)	   PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_##name

/* Everything that a function here needs besides the map. */
struct map_turn {
	struct map *map;
	const struct map_clock *clock;
	struct map_changes *changes;
	const char *action;
	uint64_t seqnum, time_unix_ns;
	uint32_t valid_paths; /* by the event, before the first snapshot */
};

struct map_change map_tell_change(const struct map_turn *turn, Pathbell__V1__EventKind kind,
				  Pathbell__V1__Severity severity);
struct map_change map_tell_path_change(const struct map_turn *turn, const struct map_path *path,
				       Pathbell__V1__EventKind kind,
				       Pathbell__V1__Severity severity);
/* All below: 0 or -ENOMEM. */
int map_tell(const struct map_turn *turn, const struct map_change *change);
/* The state of @path as it is now, if it is another than the one told, or @always. */
int map_tell_path(const struct map_turn *turn, struct map_path *path, bool always);
/* Raises or clears; @kind is the raising one. */
int map_tell_fault(const struct map_turn *turn, struct map_fault *fault, bool is_now,
		   Pathbell__V1__EventKind kind);
int map_tell_marginal(const struct map_turn *turn, struct map_path *path);
/* @path is no part of the map any more: ends its faults. */
int map_tell_left(const struct map_turn *turn, const struct map_path *path);
