/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Order of the path events of one map by DM_SEQNUM, which the kernel counts from 1 for each device
 * (dm_next_uevent_seq, drivers/md/dm.c, Linux 6.12). Two paths that fail in one go come in the
 * wrong order (a list is emptied from its end), so an event ahead of its turn is held in a small
 * window. Whether a missing one still comes can't be known from here: the caller says when it would
 * have come (order_expire). Pure.
 */
#define ORDER_WINDOW 32

struct order_event {
	uint64_t seqnum;
	bool failed; /* PATH_FAILED, else PATH_REINSTATED */
	uint32_t path_major, path_minor, valid_paths;
	uint64_t time_unix_ns;
};

struct order {
	uint64_t next; /* 0: not known yet, the first event is held */
	uint64_t duplicates;
	size_t n_held; /* ascending by seqnum */
	struct order_event held[ORDER_WINDOW];
};

/* 0; ORDER_E_OLD: had its turn already, or is held; ORDER_E_FULL: expire first. */
#define ORDER_E_OLD  1
#define ORDER_E_FULL 2
int order_push(struct order *order, const struct order_event *event);
/* The next in turn. 0 or ORDER_E_NONE. */
#define ORDER_E_NONE 3
int order_pop(struct order *order, struct order_event *ret_event);
/* The highest seqnum that is held, 0 = none. */
uint64_t order_mark(const struct order *order);
/*
 * Whatever is missing below the first held event, if that is at most @mark, will not come. Returns
 * the number of missing ones; order_pop goes on then. There may be another hole behind.
 */
uint64_t order_expire(struct order *order, uint64_t mark);
