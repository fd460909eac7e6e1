/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the store gives of campaigns, the audit and hosts' storage. Everything is borrowed for the
 * call unless said otherwise. */

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
