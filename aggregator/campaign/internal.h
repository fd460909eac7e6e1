/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <sys/queue.h>

#include "aggregator/campaign/campaigns.h"
#include "aggregator/campaign/loading.h"
#include "aggregator/campaign/storm.h"
#include "aggregator/store/map.h"

/* What campaigns.c (all of them) and drive.c (one step of one) share. */
struct campaigns {
	struct aggregator *aggregator;
	struct map by_id; /* struct campaign */
	struct storm storm;
	struct rpc_timer *timer;
	LIST_HEAD(, campaigns_adding) adding; /* durable, being read back */
	size_t n_adding;
	LIST_HEAD(, watch_campaign) watches; /* WatchCampaign streams */
};

/* Lets the engine decide and writes what it decided. False: the campaign is over, remove it. */
bool drive_run(struct campaigns *campaigns, struct campaign *campaign);
/* Its commands are delivered while it runs, and held otherwise. */
void drive_hold(struct campaigns *campaigns, struct campaign *campaign);
