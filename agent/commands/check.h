/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/commands/entry.h"
#include "agent/commands/keys.h"
#include "agent/settings.h"
#include "pathbell/v1/command.pb-c.h"

/*
 * May this command, whose signatures are good, execute here and now? Pure: everything that matters
 * comes in, time too. The order of the questions is part of the contract: it decides which reason a
 * refusal names.
 */
struct check_context {
	const char *host_id; /* NULL: not configured, then no command is for us */
	const struct settings_commands *settings;
	uint64_t now_ms;
	bool clock_synchronised;
	int64_t clock_step_ms;	 /* the clock was set by so much and nobody vouches for it; 0 */
	const uint8_t *sha256;	 /* of the signed bytes */
	const struct key *keys;	 /* trusted ones, see keys.h */
	const uint32_t *signers; /* indices into keys */
	size_t n_signers;
	const struct entry *known; /* journal's entry of this id, or NULL */
	const char *hold;	   /* why nothing executes, or NULL */
	const char *halted;	   /* why nothing but resume executes, or NULL */
	const char *audit_error;   /* why the audit cannot be written, or NULL */
	uint64_t floor_ms;	   /* journal_floor_ms */
};

enum check_verdict {
	CHECK_ACCEPTED,
	CHECK_REFUSED,
	CHECK_KNOWN, /* the very same command again: answer with what is recorded */
};

struct check_result {
	enum check_verdict verdict;
	uint32_t refusal; /* Pathbell__V1__CommandRefusal */
	bool final;	  /* worth a journal entry: the same bytes must not be accepted later */
	char detail[ENTRY_DETAIL_SIZE];
};

void check_command(const struct check_context *context, const Pathbell__V1__Command *command,
		   struct check_result *ret_result);

/* When it was made: the time in its UUIDv7 (RFC 9562 section 5.7), else not_before. */
uint64_t check_issued_ms(const Pathbell__V1__Command *command);
/* May it still begin? Asked again right before it does. */
bool check_is_expired(uint64_t expires_ms, uint64_t now_ms);
/* What may have changed between acceptance and start: halt, hold, audit. True: go on; else
 * @ret_result refuses. */
bool check_start(const struct check_context *context, unsigned verb,
		 struct check_result *ret_result);

/* Commands looked at in a minute: a bucket that starts full. */
struct check_rate {
	double tokens;
	uint64_t last_ns; /* 0: never used */
};
bool check_rate_take(struct check_rate *rate, uint64_t per_minute, uint64_t now_ns);
