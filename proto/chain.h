/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "pathbell/v1/fleet.pb-c.h"

/*
 * The aggregator's audit chain (docs/formats/audit.md):
 *	hash = SHA-256("pathbell-audit-v1" NUL || previous_hash || seq || unix_ns || fields)
 * with big-endian numbers of 8 bytes, and each of actor, certificate, key_ids, action, command_id,
 * campaign_id, host_id, detail as its length (4 bytes, big-endian) and its bytes.
 */
#define CHAIN_HASH_SIZE 32

/* SHA-256 of @size bytes, lower-case hexadecimal. 0 or -ENOMEM. */
int chain_digest(const void *data, size_t size, char ret_text[2 * CHAIN_HASH_SIZE + 1]);
/* Of all fields of @record but `hash`. previous_hash must have 32 bytes. 0, -EINVAL or -ENOMEM. */
int chain_hash(const Pathbell__V1__AuditRecord *record, uint8_t ret_hash[CHAIN_HASH_SIZE]);
