/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "aggregator/store/records_campaign.h"

struct store_new_command;

/* Who caused a write, for the audit. */
struct store_actor {
	const char *uri, *certificate; /* SPIFFE URI; fingerprint, hexadecimal */
};

struct store_audit {
	const char *action, *key_ids, *host_id, *detail; /* NULL is "" */
	const uint8_t *command_id, *campaign_id;	 /* 16 bytes or NULL */
};

struct store_cancel {
	uint8_t id[16];
	const char *detail;
	uint32_t ret_cancelled, ret_too_late;
};

/* The hosts of all commands together are the campaign's, in this order but for those that have no
 * usable path on the command's target any more: they come first. */
struct store_new_campaign {
	uint8_t id[16];
	const char *name, *verb, *issuer, *submitted_by, *reason;
	const uint8_t *policy; /* CommandCampaign, serialised */
	size_t policy_size;
	uint64_t not_before_unix_ns, expires_unix_ns, timeout_ns;
	uint32_t wave_size;
	struct store_new_command *commands;
	const struct store_target *targets; /* one for each command */
	size_t n_commands, n_hosts;	    /* of all commands */
	char ret_detail[160];		    /* the host of STORE_E_UNKNOWN_HOST */
};

/* What the engine decided. Positions are of the campaign's order. */
struct store_campaign_state {
	uint8_t id[16];
	uint32_t state;
	const char *reason;
	uint32_t wave, wave_size, wave_used;
	uint64_t forgiven;
	const uint32_t *marks;	 /* QUEUED -> DISPATCHED, before the envelope leaves */
	const uint32_t *unmarks; /* the envelope did not leave: DISPATCHED -> QUEUED */
	const uint32_t *lost;
	size_t n_marks, n_unmarks, n_lost;
	uint32_t sweep; /* the life that all QUEUED hosts get; 0 = none */
	const char *sweep_detail;
};
