/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "core/counter.h"

/* Everything that the aggregator counts; any thread may add. metrics.c has names and help. */
struct metrics {
	/* store, written by its two threads */
	counter_value ready; /* 1 or 0 */
	counter_value commits, commit_failures;
	counter_value commit_ns; /* sum over commits */
	counter_value events_stored, events_duplicate, events_conflicting, events_rejected;
	counter_value events_tombstoned, events_retired;
	counter_value store_bytes;
	counter_value queue_jobs, queue_bytes;
	counter_value reads, reads_refused, read_failures;
	/* gRPC thread */
	counter_value hosts_connected;
	counter_value sessions_events, sessions_control, sessions_total;
	counter_value batches, batch_bytes, acks, holds, heartbeats;
	counter_value refused_identity, refused_host_id, refused_protocol, refused_fenced;
	counter_value refused_limit, refused_role, refused_method, refused_gap, refused_expired;
	counter_value resends, declared_lost, mark_regressions;
	counter_value watchers, watch_refused, watch_events;
	counter_value calls;
	counter_value commands_submitted, commands_delivered, commands_expired, commands_pending;
	counter_value campaigns_open, campaigns_submitted, campaign_dispatches, campaign_stops;
	counter_value campaign_hosts_lost, commands_cancelled;
	counter_value audit_refused, audit_suppressed, audit_lost, audit_failures;
	counter_value command_changes[16];   /* by life */
	counter_value certificate_not_after; /* seconds */
	counter_value credential_failures;
	/* loop */
	counter_value http_requests, http_refused, sse_clients;
	counter_value reloads, reload_failures;
};

/* Appends the whole exposition. 0 or the error of buf_append. */
int metrics_render(struct buf *out, const struct metrics *metrics);
