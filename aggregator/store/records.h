/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What goes through the store contract. Everything is borrowed for the call unless said otherwise.
 */

struct store_filter {
	const char *const *host_ids; /* NULL: all */
	size_t n_hosts;
	const char *kind_glob; /* NULL: all */
	uint32_t min_severity;
	uint64_t since_unix_ns, until_unix_ns; /* event time; 0 = open */
	const char *subject_id;		       /* NULL: all */
};

struct store_query {
	struct store_filter filter;
	uint64_t after_id; /* 0: start (or, newest first, the end) */
	bool newest_first;
	uint32_t limit;	      /* matching rows */
	uint64_t max_bytes;   /* of events; stops before the row that would pass it, but gives at
				 least one */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC: stop looking then; 0 = none */
};

struct store_page {
	uint64_t last_id; /* looked at; 0 = none */
	bool more;	  /* there may be more behind last_id */
};

struct store_event {
	uint64_t id, seq, time_unix_ns, stored_unix_ns;
	const char *host_id, *hostname;
	const uint8_t *epoch;
	uint32_t kind, severity;
	const uint8_t *event;
	size_t event_size;
};

struct store_epoch {
	uint8_t epoch[16];
	uint64_t mark, events, tombstoned;
};

struct store_host {
	const char *host_id, *hostname, *agent_version, *kernel_release, *peer;
	uint8_t boot_id[16];
	bool has_boot_id, degraded;
	uint64_t first_seen_unix_ns, last_seen_unix_ns, last_event_unix_ns;
	uint64_t certificate_not_after_unix_ns;
	uint64_t events, tombstoned, unacked;
	const struct store_epoch *epochs; /* newest last */
	size_t n_epochs;
};

struct store_transition {
	uint32_t life, refusal;
	uint64_t unix_ns;
	const char *detail;
};

struct store_command_host {
	const char *host_id, *detail;
	uint32_t life, refusal;
	uint64_t changed_unix_ns;
	const struct store_transition *transitions;
	size_t n_transitions;
};

struct store_command {
	uint8_t id[16];
	bool has_campaign;
	uint8_t campaign_id[16];
	uint64_t cancelled_unix_ns; /* 0 = not */
	uint64_t ordinal;	    /* order of submission */
	uint64_t last_change;	    /* id of its newest transition */
	const char *verb, *issuer, *submitted_by, *reason, *target;
	uint64_t submitted_unix_ns, not_before_unix_ns, expires_unix_ns;
	const uint8_t *envelope;
	size_t envelope_size;
	const struct store_command_host *hosts;
	size_t n_hosts;
};

/* Exactly one way of choosing: id; changed_after; unreceived; else newest first, behind
 * before_ordinal. */
struct store_command_query {
	const uint8_t *id; /* 16 bytes */
	bool by_change;	   /* commands with a transition above changed_after, oldest change first */
	uint64_t changed_after;
	bool unreceived;	 /* with a host that is QUEUED or DISPATCHED */
	bool unfinished;	 /* with a host that is not in a final state */
	uint64_t before_ordinal; /* 0: from the newest */
	const char *host_id;	 /* NULL: all */
	uint32_t limit;
};

struct store_retention {
	uint64_t now_unix_ns;
	uint64_t age_ns, bytes; /* 0 = no limit */
	uint64_t audit_age_ns;	/* of the audit chain; 0 = no limit */
};

struct store_retained {
	uint64_t deleted;
	bool more;
};
