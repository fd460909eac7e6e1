/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "actions/action.h"
#include "mapper/dm.h"
#include "mapper/status.h"

/*
 * The multipath map, and the path or group of it, that a command names. Everything here asks
 * device-mapper and sleeps for its locks: in the action's child only.
 *
 * The map: map_uuid ("mpath-..", or the WWID behind it), else map_name, else id ("uuid:.."). The
 * path: path_wwid, name (kernel name), transport_address "hctl=H:C:T:L", generation (DISKSEQ); all
 * that are given must fit, and exactly one path of the map may be left. All paths of one LUN have
 * the same WWID, so path_wwid alone names one only in a map of one path.
 */
struct map_path {
	char name[32]; /* sdb; "" = the device is gone */
	char hctl[64]; /* "" = not a SCSI device */
	char state[33];
	char wwid[257];
	uint64_t generation; /* DISKSEQ; 0 = not told (before 5.15) */
};

struct map_target {
	int control;
	struct dm_buffer buffer;
	uint32_t major, minor;
	char name[128], uuid[130];
	bool suspended;
	struct status info, table;
	size_t path; /* index into info.paths, of the one that is meant */
	struct map_path device;
	char multipathd[64]; /* "multipathd (pid N) manages it too", else "" */
};

/* Opens the control node and finds the map. 0, or ACTION_E_DONE with the refusal in the result. */
int map_target_open(struct action *action, struct map_target *target);
/* And the path. */
int map_target_find_path(struct action *action, struct map_target *target);
/* Reads both status lines anew. 0 or -errno. */
int map_target_read(struct map_target *target);
void map_target_close(struct map_target *target);

/* Paths that I/O may take now: active, in a group that is not disabled. */
size_t map_target_n_usable(const struct map_target *target);
/* Group of a path, from 0. */
size_t map_target_group_of(const struct map_target *target, size_t path);
/* What sysfs says of a path's device. */
void map_target_read_path(const char *sysfs, const struct status_path *path,
			  struct map_path *ret_path);
/* "map mp (uuid ..): 2 of 3 paths usable, group 1 in use[, managed by multipathd]" */
void map_target_describe(const struct map_target *target, char *ret_text, size_t size);
/* Reads one block through the path's own device. 0 or -errno of the read. */
int map_target_read_block(const struct action_host *host, const struct status_path *path,
			  const struct map_path *device);
