/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"

/*
 * What the journal knows of one command. Every record of the file is a whole entry, so the last one
 * of an id is its state and nothing has to be replayed. Pure.
 */
#define ENTRY_DETAIL_SIZE   1025
#define ENTRY_ISSUER_SIZE   257
#define ENTRY_KEY_ID_SIZE   32
#define ENTRY_COMMAND_MAX   8192
#define ENTRY_OBJECT_SIZE   257
#define ENTRY_CAMPAIGN_SIZE 33 /* hexadecimal digits */
#define ENTRY_RECORD_MAX                                                        \
	(12 + 128 + ENTRY_DETAIL_SIZE + ENTRY_ISSUER_SIZE + ENTRY_KEY_ID_SIZE + \
	 ENTRY_COMMAND_MAX + 16 + ENTRY_OBJECT_SIZE + ENTRY_CAMPAIGN_SIZE + 20)

struct entry {
	uint8_t id[16];
	uint8_t sha256[32]; /* of the signed bytes: the same id with other bytes is a replay */
	uint64_t received_ms, issued_ms, not_before_ms, expires_ms;
	uint32_t verb, life, refusal;
	int32_t error_number;
	bool dry_run;
	bool reported; /* the event of `life` was durable in the spool */
	char detail[ENTRY_DETAIL_SIZE];
	char issuer[ENTRY_ISSUER_SIZE];
	char key_id[ENTRY_KEY_ID_SIZE]; /* the first signer's */
	char object[ENTRY_OBJECT_SIZE]; /* what the verb acts on, as the plan resolved it */
	char campaign_id[ENTRY_CAMPAIGN_SIZE];
	uint64_t started_ms;  /* 0 = not started */
	uint32_t duration_ms; /* from then to the end */
	uint8_t *command;     /* packed Command without host_ids and reason, until the end is known;
				 owned */
	size_t command_size;
};

/* 0 or the error of buf_append. */
int entry_encode(const struct entry *entry, struct buf *out);
/*
 * One record at @data. 0 and *ret_used; ENTRY_E_TORN: bytes are missing at the end or zero up to
 * it; -EBADMSG; -ENOMEM.
 */
#define ENTRY_E_TORN 1
int entry_decode(const uint8_t *data, size_t size, struct entry *ret_entry, size_t *ret_used);
void entry_deinit(struct entry *entry);
