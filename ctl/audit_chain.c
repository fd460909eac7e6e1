/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/audit_chain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/id.h"

bool audit_head_parse(const char *text, struct audit_head *ret_head)
{
	struct audit_head head = { 0 };
	char *end = NULL;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	head.seq = strtoull(text, &end, 10);
	if (errno || *end != ':' || head.seq == 0 || strlen(end + 1) != 2 * sizeof(head.hash) ||
	    !id_unhex(end + 1, head.hash, sizeof(head.hash)))
		return false;
	*ret_head = head;
	return true;
}

void audit_head_format(const struct audit_head *head, char ret_text[AUDIT_HEAD_TEXT_SIZE])
{
	char hex[2 * CHAIN_HASH_SIZE + 1];

	id_hex(head->hash, sizeof(head->hash), hex);
	snprintf(ret_text, AUDIT_HEAD_TEXT_SIZE, "%" PRIu64 ":%s", head->seq, hex);
}

const char *audit_break_text(enum audit_break what)
{
	static const char *const texts[] = {
		[AUDIT_FITS] = "it fits",
		[AUDIT_BREAK_GAP] = "records are missing, or out of order",
		[AUDIT_BREAK_PREVIOUS] = "it goes on from another record than the one before it",
		[AUDIT_BREAK_HASH] = "its content was altered: the hash does not fit",
		[AUDIT_BREAK_EXPECTED] = "the chain is another one than that of the noted head",
		[AUDIT_BREAK_HOST] = "the host's own audit did not go on from what it told before",
		[AUDIT_BREAK_FORM] = "it is not in the form of the chain",
	};

	return texts[what];
}

void audit_chain_deinit(struct audit_chain *chain)
{
	free(chain->points);
	*chain = (struct audit_chain){ 0 };
}

/* ---- ties to the hosts ---- */

bool audit_chain_tie(const Pathbell__V1__AuditRecord *record, struct audit_head *ret_head)
{
	static const char seq_key[] = "host_audit_seq=";
	static const char hash_key[] = " host_audit_hash=";
	const char *at = strstr(record->detail, seq_key);
	char *end = NULL;
	char hex[2 * CHAIN_HASH_SIZE + 1];

	if (!at || strcmp(record->action, "command.life") != 0)
		return false;
	ret_head->seq = strtoull(at + sizeof(seq_key) - 1, &end, 10);
	if (ret_head->seq == 0 || strncmp(end, hash_key, sizeof(hash_key) - 1) != 0)
		return false;
	snprintf(hex, sizeof(hex), "%s", end + sizeof(hash_key) - 1);
	return strlen(hex) == sizeof(hex) - 1 &&
	       id_unhex(hex, ret_head->hash, sizeof(ret_head->hash));
}

/* Where the host stands or would stand. */
static size_t audit_point_at(const struct audit_chain *chain, const char *host_id, bool *ret_found)
{
	size_t low = 0;
	size_t high = chain->n_points;

	*ret_found = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(chain->points[middle].host_id, host_id);

		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int audit_point_insert(struct audit_chain *chain, size_t at, const char *host_id,
			      const struct audit_head *head)
{
	if (chain->n_points == chain->capacity) {
		size_t capacity = chain->capacity ? 2 * chain->capacity : 64;
		void *points = realloc(chain->points, capacity * sizeof(*chain->points));

		if (!points)
			return -ENOMEM;
		chain->points = points;
		chain->capacity = capacity;
	}
	memmove(&chain->points[at + 1], &chain->points[at],
		(chain->n_points - at) * sizeof(*chain->points));
	chain->points[at] = (struct audit_point){ .head = *head };
	snprintf(chain->points[at].host_id, sizeof(chain->points[at].host_id), "%s", host_id);
	chain->n_points++;
	return AUDIT_FITS;
}

/* A host's chain only grows: the same number has the same hash, and none is smaller. */
static int audit_point_add(struct audit_chain *chain, const Pathbell__V1__AuditRecord *record)
{
	struct audit_head head;
	struct audit_head *known;
	bool found;
	size_t at;

	if (!audit_chain_tie(record, &head))
		return AUDIT_FITS;
	at = audit_point_at(chain, record->host_id, &found);
	if (!found)
		return audit_point_insert(chain, at, record->host_id, &head);
	known = &chain->points[at].head;
	if (head.seq < known->seq ||
	    (head.seq == known->seq && memcmp(head.hash, known->hash, sizeof(head.hash)) != 0))
		return AUDIT_BREAK_HOST;
	*known = head;
	return AUDIT_FITS;
}

/* ---- the chain ---- */

static int audit_chain_check(const struct audit_chain *chain,
			     const Pathbell__V1__AuditRecord *record)
{
	static const uint8_t zeros[CHAIN_HASH_SIZE];
	const uint8_t *previous = chain->n ? chain->last.hash : zeros;
	uint8_t hash[CHAIN_HASH_SIZE];
	int r;

	if (record->previous_hash.len != CHAIN_HASH_SIZE || record->hash.len != CHAIN_HASH_SIZE ||
	    record->seq == 0)
		return AUDIT_BREAK_FORM;
	if (chain->n && record->seq != chain->last.seq + 1)
		return AUDIT_BREAK_GAP;
	if ((chain->n || record->seq == 1) &&
	    memcmp(record->previous_hash.data, previous, CHAIN_HASH_SIZE) != 0)
		return AUDIT_BREAK_PREVIOUS;
	r = chain_hash(record, hash);
	if (r != 0)
		return r;
	return memcmp(record->hash.data, hash, sizeof(hash)) == 0 ? AUDIT_FITS : AUDIT_BREAK_HASH;
}

int audit_chain_add(struct audit_chain *chain, const Pathbell__V1__AuditRecord *record)
{
	bool expected = chain->expected.seq && record->seq == chain->expected.seq;
	int r = audit_chain_check(chain, record);

	if (r == AUDIT_FITS && expected &&
	    memcmp(record->hash.data, chain->expected.hash, CHAIN_HASH_SIZE) != 0)
		r = AUDIT_BREAK_EXPECTED;
	if (r == AUDIT_FITS)
		r = audit_point_add(chain, record);
	if (r != AUDIT_FITS)
		return r;
	if (!chain->n)
		chain->first_seq = record->seq;
	chain->n++;
	chain->saw_expected |= expected;
	chain->last.seq = record->seq;
	memcpy(chain->last.hash, record->hash.data, CHAIN_HASH_SIZE);
	return AUDIT_FITS;
}
