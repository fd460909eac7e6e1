/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/announce.h"
#include "agent/faults.h"
#include "agent/filter.h"
#include "agent/latency.h"
#include "agent/spool/spool.h"
#include "collectors/guard.h"
#include "core/counter.h"

/*
 * From a collector's struct to bytes in the spool: filter, stamp, encode once, append. An event
 * lives for this one call. Nothing here allocates for an event.
 */
struct pipeline;

struct pipeline_counters {
	counter_value captured;	   /* events handed over by collectors */
	counter_value filtered;	   /* dropped by a rule */
	counter_value appended;	   /* given to the spool, own events included */
	counter_value cut;	   /* too large: raw record and extra fields were left out */
	counter_value oversize;	   /* still too large: refused, a gap says so */
	counter_value full;	   /* the spool had no room: the collector was paused */
	counter_value own_queued;  /* own events that waited for room */
	counter_value own_dropped; /* ... and found the queue full */
	counter_value untold;	   /* whose collector will not be told of their delivery */
	counter_value twins;	   /* CLEARED events made for faults that ended unheard */
};

struct pipeline_options {
	const struct settings *settings; /* borrowed until configured anew */
	void *data;
	/* The event of @ticket of this collector is settled. */
	void (*delivered)(void *data, const struct collector_ops *ops, uint64_t ticket,
			  bool delivered);
	/* What is kept of open faults has changed. */
	void (*faults_changed)(void *data);
};

int pipeline_new(struct pipeline **ret_pipeline, const struct pipeline_options *options);
struct pipeline *pipeline_free(struct pipeline *pipeline);
/* Before anything is published; NULL before the spool is closed: then events are refused as full.
 */
void pipeline_attach(struct pipeline *pipeline, struct spool *spool);
void pipeline_configure(struct pipeline *pipeline, const struct settings *settings);

/* guard_sink.publish; @data is the pipeline. */
uint64_t pipeline_publish(void *data, const struct collector_ops *ops, Pathbell__V1__Event *event,
			  uint64_t cursor, bool *ret_full);
/* guard_sink.opened, guard_sink.settled: see faults.h. */
void pipeline_opened(void *data, const struct collector_ops *ops);
bool pipeline_settled(void *data, const struct collector_ops *ops);
/* The collector is disabled: its faults end here. False: no room for all, again later. */
bool pipeline_end_faults(struct pipeline *pipeline, const struct collector_ops *ops);
/* The agent's own events. */
struct announcer pipeline_announcer(struct pipeline *pipeline);

/* The spool has room: own events that wait go first. True: collectors may go on. */
bool pipeline_on_room(struct pipeline *pipeline);
/* Records became tombstones: which of them a collector waits for is found out while the spool
 * knows. */
void pipeline_on_lost(struct pipeline *pipeline);
void pipeline_on_acked(struct pipeline *pipeline, const uint8_t epoch[16], uint64_t seq);

const struct latency *pipeline_latency(const struct pipeline *pipeline);
const struct pipeline_counters *pipeline_counters(const struct pipeline *pipeline);
/* Of the pipeline; to be filled before the first event. */
struct faults *pipeline_faults(struct pipeline *pipeline);
const struct filter *pipeline_filter(const struct pipeline *pipeline);
