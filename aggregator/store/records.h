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

#define STORE_LIVES 16 /* above every CommandLife */

struct store_campaign_failure {
	const char *host_id, *detail;
	uint32_t life, refusal;
	uint64_t unix_ns;
};

struct store_campaign {
	uint8_t id[16];
	uint64_t ordinal; /* order of submission */
	const char *name, *verb, *issuer, *submitted_by, *reason, *state_reason;
	const uint8_t *policy;
	size_t policy_size;
	uint64_t submitted_unix_ns, not_before_unix_ns, expires_unix_ns, changed_unix_ns;
	uint64_t timeout_ns, forgiven, version;
	uint32_t state, total, wave, wave_size, wave_used;
	uint32_t lives[STORE_LIVES]; /* hosts in each */
	uint32_t n_lost;	     /* of them, those without an end that were given up */
	const struct store_campaign_failure *failures; /* newest first, at most 100 */
	size_t n_failures;
};

/* Exactly one way of choosing: id; else newest first, behind before_ordinal. */
struct store_campaign_query {
	const uint8_t *id; /* 16 bytes */
	bool open;	   /* RUNNING, PAUSED, STOPPED */
	uint64_t before_ordinal;
	uint32_t limit;
};

struct store_member {
	const char *host_id, *target;
	const uint8_t *command_id;
	uint32_t life;
	uint64_t dispatched_unix_ns;
	bool lost;
};

struct store_audit_record {
	uint64_t seq, unix_ns;
	const char *actor, *certificate, *key_ids, *action, *host_id, *detail;
	const uint8_t *command_id, *campaign_id; /* 16 bytes or NULL */
	uint8_t previous_hash[32], hash[32];
};

struct store_audit_query {
	uint64_t after_seq;
	uint32_t limit;
	const uint8_t *command_id, *campaign_id; /* NULL: all */
	const char *host_id;			 /* NULL: all */
	uint64_t deadline_ns;
	uint64_t ret_last_seq; /* looked at */
	bool ret_more;
	uint64_t ret_head_seq;
	uint8_t ret_head_hash[32];
};

enum store_object_type { STORE_OBJECT_MAP = 1, STORE_OBJECT_CONTROLLER, STORE_OBJECT_DEVICE };

/* A thing on a host as its newest event told it. Paths: total, and how many carry I/O. */
struct store_object {
	enum store_object_type type;
	const char *key; /* unique on the host */
	const char *name, *map_uuid, *wwid, *vendor, *model, *serial, *nqn, *address, *port;
	uint32_t usable, total;
	uint64_t changed_unix_ns;
};
#define STORE_MAX_OBJECTS 1024 /* of one host; the longest unchanged go first */

/* How a command names its target, where it is more than nothing. */
struct store_target {
	const char *nqn, *address, *map_uuid, *wwid;
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
