/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pathbell/v1/event.pb-c.h"

/*
 * Device number -> stable identity, from sysfs, through a bounded cache. One thread. An entry is
 * compared with the device's DISKSEQ at most once a second and read anew when that changed, or
 * after 30 s (holders change without it). An entry outlives its device, so that the last errors of
 * a disk still name it.
 */
struct topology;

struct topology_options {
	const char *sysfs_path; /* NULL: /sys */
	size_t max_devices;	/* 0: 4096; the least recently used is forgotten */
};

enum topology_presence {
	TOPOLOGY_UNKNOWN, /* never seen: only the number is known */
	TOPOLOGY_PRESENT,
	TOPOLOGY_GONE, /* known from before it vanished */
};

/* 0 or -ENOMEM. */
int topology_new(struct topology **ret_topology, const struct topology_options *options);
struct topology *topology_free(struct topology *topology); /* returns NULL */

/* Always makes a usable subject. Its strings are the topology's until the next call of any function
 * here. */
enum topology_presence topology_fill_subject(struct topology *topology, uint32_t major,
					     uint32_t minor, Pathbell__V1__Subject *ret_subject);
/* The next call for each device reads sysfs again. */
void topology_invalidate(struct topology *topology);

struct topology_place {
	uint32_t major, minor;
	char name[64];
	char path[512]; /* the device's folder, absolute: /sys/devices/.../block/sda */
};

/*
 * For what a person or a command names: kernel name (sda, /dev/sda), "8:16" or "dev:8:16",
 * Subject.id, or a WWID, serial number, NQN, dm name, dm UUID without its prefix. A kernel name or
 * number wins; else every device is looked at, and whole disks win over their partitions. 0,
 * TOPOLOGY_E_UNKNOWN, TOPOLOGY_E_AMBIGUOUS (several; *ret_place is one of them), -errno.
 */
#define TOPOLOGY_E_UNKNOWN   1
#define TOPOLOGY_E_AMBIGUOUS 2
int topology_find(struct topology *topology, const char *id_or_name,
		  struct topology_place *ret_place);

/* Every whole disk that exists now, by kernel name; at most 16384. Loop and RAM disks that hold
 * nothing are left out. */
struct topology_disk {
	uint32_t major, minor;
};
/* *ret_disks is for free(). 0 or -errno. */
int topology_list_disks(struct topology *topology, struct topology_disk **ret_disks,
			size_t *ret_n_disks);

/* Fills present, state, size_sectors, read_only, removable, io_errors, in_flight; state points into
 * @ret_text. */
void topology_read_state(struct topology *topology, uint32_t major, uint32_t minor,
			 char ret_text[64], Pathbell__V1__DeviceState *ret_state);

const char *topology_sysfs_path(const struct topology *topology);

struct topology_stats {
	size_t n_devices;
	uint64_t hits, reads, checks, evicted;
};
void topology_stats(const struct topology *topology, struct topology_stats *ret_stats);
