/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/multipath/damp.h"
#include "collectors/multipath/order.h"
#include "mapper/status.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * The state of one multipath map, and what changed in it: two inputs (path events of the kernel,
 * snapshots of the status lines), one output (changes). Pure: times come from outside.
 */
#define MAP_NAME_SIZE 128 /* DM_NAME_LEN, include/uapi/linux/dm-ioctl.h, Linux 6.12 */
#define MAP_UUID_SIZE 129 /* DM_UUID_LEN */

struct map_path {
	uint32_t major, minor;
	uint32_t group;	  /* 1-based, 0 = not in a snapshot yet */
	bool active;	  /* to the kernel */
	bool present;	  /* its device exists */
	bool gone;	  /* its removal was heard */
	bool told_failed; /* the last that was published of it */
	bool compared;	  /* `active` was found by comparing; the kernel's event may still come */
	uint32_t fail_count;
	uint32_t n_hidden; /* changes that damping kept back */
	struct damp damp;
	uint64_t since_unix_ns; /* in the state that was told of */
};

struct map_fault {
	bool raised;
	uint64_t since_unix_ns;
};

struct map {
	char name[MAP_NAME_SIZE], uuid[MAP_UUID_SIZE];
	uint32_t major, minor, event_nr;
	uint64_t diskseq; /* 0 = unknown */
	bool is_known;	  /* a snapshot was applied */
	bool touched;	  /* by an event, since the caller cleared it */
	/* The caller's: seen by the running survey; order_mark at its start; its status could not
	 * be read and that was told; its state has to be told with the next survey. */
	bool listed, is_bad, owes_state;
	uint64_t mark;
	bool suspended, queueing, queue_io;
	char handler[STATUS_NAME_SIZE];
	uint32_t group; /* in use */
	size_t n_groups, n_paths;
	struct status_group groups[STATUS_MAX_GROUPS]; /* first_path, n_paths: of `paths` */
	struct map_path *paths;
	struct order order;
	struct map_fault all_paths_down, permanent_loss;
};

/* What became of a map; a value, except for the pointers. */
struct map_change {
	Pathbell__V1__EventKind kind;
	Pathbell__V1__Severity severity;
	Pathbell__V1__FaultPhase phase;
	const struct map *map;
	bool has_path;
	uint32_t path_major, path_minor;
	uint32_t group, previous_group;
	uint32_t valid_paths, fail_count, penalty, coalesced;
	uint64_t seqnum;	/* DM_SEQNUM, 0 = not from an event */
	uint64_t since_unix_ns; /* how long the state that begins or ends has lasted */
	uint64_t time_unix_ns;
	const char *action; /* constant: PATH_FAILED as the kernel said it, or how we know */
};

struct map_changes {
	struct map_change *items;
	size_t n, capacity, next; /* `next`: first one that is not published */
};

struct map_clock {
	uint64_t now_ns; /* CLOCK_MONOTONIC */
	uint64_t unix_ns;
	struct damp_options damp;
};

/* NULL: no memory. */
struct map *map_new(uint32_t major, uint32_t minor, const char *name, const char *uuid);
struct map *map_free(struct map *map);
void map_changes_deinit(struct map_changes *changes);

/* All below: 0 or -ENOMEM; changes are appended. */

/*
 * A path event of the kernel. Held while an earlier one is missing. MAP_E_HELD: look at the map
 * again soon (then map_expire); MAP_E_OLD: had its turn.
 */
#define MAP_E_HELD 1
#define MAP_E_OLD  2
int map_apply_event(struct map *map, const struct order_event *event, const struct map_clock *clock,
		    struct map_changes *changes);
/* Events up to @mark (order_mark at an earlier time) that are still held: their turn, whatever is
 * missing. *ret_missing: how many are. */
int map_expire(struct map *map, uint64_t mark, const struct map_clock *clock,
	       struct map_changes *changes, uint64_t *ret_missing);

/* What a survey saw. info and table tell of the same groups; @present has one flag for each of
 * info's paths. */
struct map_snapshot {
	const char *name, *uuid;
	uint32_t event_nr;
	bool suspended;
	const struct status *info, *table;
	const bool *present;
};
int map_apply_snapshot(struct map *map, const struct map_snapshot *snapshot,
		       const struct map_clock *clock, struct map_changes *changes);
/* The device of a path is gone (uevent remove). False as *ret_ours: no path of this map. */
int map_path_gone(struct map *map, uint32_t major, uint32_t minor, const struct map_clock *clock,
		  struct map_changes *changes, bool *ret_ours);
/* A disk came with that number; uevents were lost: it may be there again. */
void map_path_back(struct map *map, uint32_t major, uint32_t minor);
void map_paths_back(struct map *map);
/* Ends every fault of the map, then map.removed. */
int map_remove(struct map *map, const struct map_clock *clock, struct map_changes *changes);
/* Damping: tells of paths that have calmed down. *ret_due_ns: when to call again; UINT64_MAX. */
int map_settle(struct map *map, const struct map_clock *clock, struct map_changes *changes,
	       uint64_t *ret_due_ns);
/* A multipath.map.state, multipath.map.added change. */
int map_tell_added(const struct map *map, const struct map_clock *clock,
		   struct map_changes *changes);
int map_tell_state(const struct map *map, const struct map_clock *clock,
		   struct map_changes *changes);
uint32_t map_valid_paths(const struct map *map); /* active and with a device */
