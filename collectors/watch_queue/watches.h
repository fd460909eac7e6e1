/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/watch_queue/describe.h"
#include "collectors/watch_queue/keys.h"
#include "collectors/watch_queue/watch_queue.h"

/*
 * The configured keys and which of them are watched now: key i has watch id i + 1. The kernel has
 * no sign for "a key appears": while one is missing it is looked for when any record comes, and by
 * a timer that backs off from 10 s to 10 min. When all are watched, or none can come back, no
 * timer.
 */
#define WATCHES_RETRY_MIN_NS UINT64_C(10000000000)
#define WATCHES_RETRY_MAX_NS UINT64_C(600000000000)

struct watches_key {
	const char *spec, *name;
	int32_t serial; /* 0 = not watched */
	bool for_ever;	/* missing, and it cannot come back */
	bool told;	/* that it is missing was logged */
	char description[KEYS_DESCRIPTION_SIZE];
};

struct watches {
	struct watches_key keys[WATCH_QUEUE_MAX_KEYS];
	size_t n_keys;
	uint64_t retry_ns; /* UINT64_MAX = nothing is missing */
	uint64_t pause_ns;
};

void watches_init(struct watches *watches, const struct config_maps *keys);
/* Looks for what is missing and watches it on @queue_fd. */
void watches_search(struct watches *watches, int queue_fd, uint64_t now_ns);
/* The names behind a watch id. */
struct note_watch watches_name(const struct watches *watches, uint32_t watch_id);
/* A removal record came: the watch is gone. @serial 0 = not told. */
void watches_removed(struct watches *watches, uint32_t watch_id, uint32_t serial, uint64_t now_ns);
/* Index from @from on of a watched key that does not exist any more, though no record told it;
 * n_keys = none. */
size_t watches_find_gone(const struct watches *watches, size_t from);
