/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/multipath/event.h"
#include "collectors/multipath/map.h"
#include "collectors/multipath/report.h"
#include "collectors/multipath/survey.h"

/*
 * All maps: takes decoded uevents and the records of surveys, gives changes and wishes. No
 * descriptor, no clock, no ioctl: `now` comes in struct map_clock.
 */
#define MAPS_MAX   16384
#define MAPS_FRESH 64

struct maps_device {
	uint32_t major, minor;
};

struct maps {
	struct map **items;
	size_t n, capacity;
	struct map **dead; /* freed when their last changes are published */
	size_t n_dead, dead_capacity;
	struct map_changes changes;
	struct maps_device fresh[MAPS_FRESH]; /* disks that were added while we listened */
	size_t next_fresh;
	bool complete; /* one survey was applied to its end */
	struct status *info, *table;

	/* Wishes; the caller takes them. */
	bool wants_survey;		       /* of what has changed */
	bool wants_all;			       /* of every map */
	uint64_t n_missing, n_bad, n_oversize; /* losses to be told */
	uint64_t due_ns;		       /* of maps_settle */
};

/* A path's device exists. */
typedef bool (*maps_present)(void *data, uint32_t major, uint32_t minor);

int maps_init(struct maps *maps); /* 0 or -ENOMEM */
void maps_deinit(struct maps *maps);

/* All changes are published: what they point to may go. */
void maps_published(struct maps *maps);

/* All below: 0 or -ENOMEM. */
int maps_hear(struct maps *maps, const struct event *event, const struct map_clock *clock);
/* Uevents were lost: the numbers start anew. */
int maps_forget_order(struct maps *maps, const struct map_clock *clock);
/* A survey starts now. *ret_known is for free(); NULL when @all. */
int maps_begin(struct maps *maps, bool all, struct survey_known **ret_known, size_t *ret_n_known);
/* One record of it; END completes. @tell_state: multipath.map.state of each map. */
int maps_apply(struct maps *maps, const struct report_record *record, bool tell_state,
	       const struct map_clock *clock, maps_present present, void *data);
int maps_settle(struct maps *maps, const struct map_clock *clock);
