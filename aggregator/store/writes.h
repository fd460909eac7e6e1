/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/store/writes_campaign.h"

/* What goes into the store. Everything is borrowed for the call; results are named ret_. */

enum store_write_type {
	STORE_HELLO, /* a session begins: host and epochs become known, marks are read */
	STORE_BATCH,
	STORE_GONE,
	STORE_SEEN,	     /* last word of or about a host */
	STORE_COMMAND,	     /* a new command, QUEUED for each host */
	STORE_COMMAND_STATE, /* DISPATCHED, RECEIVED (receipt) or EXPIRED, told by the aggregator
				itself */
	STORE_CANCEL,	     /* hosts that are QUEUED become CANCELLED */
	STORE_CAMPAIGN,	     /* a new campaign with all its commands */
	STORE_CAMPAIGN_STATE,
	STORE_AUDIT, /* nothing but the audit record, e.g. of a refused attempt */
	STORE_PROBE, /* proves that a commit works */
};

#define STORE_MAX_EPOCHS     64
#define STORE_MAX_REJECTIONS 64

struct store_hello {
	const char *hostname, *agent_version, *kernel_release, *peer;
	const uint8_t *boot_id; /* 16 bytes or NULL */
	uint64_t certificate_not_after_unix_ns;
	const uint8_t *epochs; /* 16 bytes each, in order of creation */
	size_t n_epochs;
	uint64_t ret_marks[STORE_MAX_EPOCHS];
};

struct store_rejection {
	uint64_t seq;
	const char *reason; /* static */
};

/* A change of a command's state that came out of a write. */
struct store_change {
	uint8_t command_id[16];
	uint32_t life;
};

struct store_batch {
	uint8_t epoch[16];
	uint64_t first_seq;
	uint32_t count;
	const uint8_t *events; /* framed as Batch.events */
	size_t events_size;
	uint64_t ret_mark;
	uint32_t ret_stored, ret_duplicates, ret_conflicts;
	uint64_t ret_rejected; /* how many; the first STORE_MAX_REJECTIONS are named */
	struct store_rejection ret_rejections[STORE_MAX_REJECTIONS];
	struct store_change *ret_changes; /* store_write_release */
	size_t ret_n_changes;
	uint32_t ret_faults;	 /* fresh events of faults: what a storm is made of */
	uint32_t ret_audit_lost; /* lives that are stored but could not be audited */
};

struct store_gone {
	uint8_t epoch[16];
	uint64_t first_seq, last_seq;
	uint32_t reason; /* Pathbell__V1__GoneReason */
	uint64_t ret_mark;
};

struct store_seen {
	uint64_t unacked;
	bool degraded;
};

struct store_new_command {
	uint8_t id[16];
	const uint8_t *envelope;
	size_t envelope_size;
	const char *verb, *issuer, *submitted_by, *reason, *target;
	uint64_t not_before_unix_ns, expires_unix_ns;
	const char *const *host_ids;
	size_t n_hosts;
	const struct store_audit *audit; /* of a command of a campaign; NULL = none */
	char ret_detail[160];		 /* the host of STORE_E_UNKNOWN_HOST */
};

struct store_command_state {
	uint8_t id[16];
	uint32_t life;
	const char *detail;
	bool ret_changed; /* false: the host had said something later already */
};

struct store_write {
	enum store_write_type type;
	const char *host_id; /* of what a host sends, and COMMAND_STATE */
	uint64_t now_unix_ns;
	const struct store_actor *actor; /* NULL: the aggregator itself */
	/* Written in the same transaction when the outcome is 0; the write fails if it can't be. */
	const struct store_audit *audit;
	int ret_outcome; /* 0 or STORE_E_ */
	union {
		struct store_hello hello;
		struct store_batch batch;
		struct store_gone gone;
		struct store_seen seen;
		struct store_new_command command;
		struct store_command_state state;
		struct store_cancel cancel;
		struct store_new_campaign campaign;
		struct store_campaign_state campaign_state;
	};
};
