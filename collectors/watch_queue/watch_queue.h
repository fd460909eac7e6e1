/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/collector.h"

/* Records of the kernel's notification queue, by the pipe or by the earlier ring; see
 * watch_queue.c. */
struct watch_queue_key {
	char *key;  /* as keys_find reads it */
	char *name; /* NULL: the same as key */
};

struct watch_queue_devices {
	uint64_t syscall; /* 0 = none */
	int dialect;	  /* enum note_dialect, of the pipe's */
};

struct watch_queue_ring {
	char *path; /* NULL = none */
	uint64_t pages;
	int dialect; /* enum note_dialect - NOTE_RING_V1 */
};

struct watch_queue_config {
	uint64_t pipe_notes;
	struct config_maps keys;    /* struct watch_queue_key */
	struct config_maps filters; /* struct filter_rule */
	struct watch_queue_devices devices;
	struct watch_queue_ring ring;
};

#define WATCH_QUEUE_MAX_KEYS 128
/* The watch id of block records; keys have 1 to WATCH_QUEUE_MAX_KEYS, and 0 is the kernel's for
 * loss. */
#define WATCH_QUEUE_DEVICES_ID 255

extern const struct config_table watch_queue_config_table;
extern const struct collector_ops watch_queue_collector;
