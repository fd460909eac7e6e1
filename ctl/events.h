/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "ctl/request.h"
#include "pathbell/v1/fleet.pb-c.h"

#define EVENTS_MAX_HOSTS 64 /* EventFilter.host_ids */

/* The filter of the command line; points into @cli. */
struct events_query {
	Pathbell__V1__EventFilter filter;
	char *hosts[EVENTS_MAX_HOSTS];
	size_t limit; /* 0 = none */
	uint64_t after_id;
	bool from_oldest; /* --since or --after: oldest first */
};

/* One event on the output. CLI_OK or printed. */
int events_show(struct cli *cli, const Pathbell__V1__StoredEvent *stored);

/*
 * Pages of QueryEvents, oldest first, from behind @after_id; at most @limit (0 = all). Each event
 * goes to @show(data); anything but CLI_OK from it stops. *ret_last is the largest id seen.
 */
int events_pages(struct client *client, const Pathbell__V1__EventFilter *filter, uint64_t after_id,
		 size_t limit, int (*show)(void *data, const Pathbell__V1__StoredEvent *stored),
		 void *data);
/* The largest id in the store; 0 when it is empty. */
int events_tail(struct client *client, uint64_t *ret_id);
/* The newest @limit that fit, shown oldest first. */
int events_newest(struct client *client, const struct events_query *query,
		  int (*show)(void *data, const Pathbell__V1__StoredEvent *stored), void *data);

/* events_follow.c: until interrupted; reconnects without loss or duplicate. */
int events_follow(struct cli *cli, struct client *client, const struct events_query *query);
