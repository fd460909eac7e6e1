/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pathbell/v1/fleet.pb-c.h"
#include "proto/chain.h"

/*
 * Checks of the two audit chains (docs/formats/audit.md): the aggregator's, record by record, and a
 * host's, line by line. Pure.
 */

/* "SEQ:HASH", as noted at an earlier check. */
struct audit_head {
	uint64_t seq; /* 0 = none */
	uint8_t hash[CHAIN_HASH_SIZE];
};
bool audit_head_parse(const char *text, struct audit_head *ret_head);
#define AUDIT_HEAD_TEXT_SIZE (20 + 1 + 2 * CHAIN_HASH_SIZE + 1)
void audit_head_format(const struct audit_head *head, char ret_text[AUDIT_HEAD_TEXT_SIZE]);

enum audit_break {
	AUDIT_FITS,
	AUDIT_BREAK_GAP,      /* numbers are missing, or come twice */
	AUDIT_BREAK_PREVIOUS, /* goes on from another hash than the record before has */
	AUDIT_BREAK_HASH,     /* altered: the hash is not that of the content */
	AUDIT_BREAK_EXPECTED, /* whole in itself, but not the chain that was noted */
	AUDIT_BREAK_HOST,     /* a host told a point of its chain that is no continuation */
	AUDIT_BREAK_FORM,     /* not a record, not a line */
};
const char *audit_break_text(enum audit_break what);

/* The newest point of a host's chain that the aggregator was told. */
struct audit_point {
	char host_id[132];
	struct audit_head head;
};

struct audit_chain {
	struct audit_head last;	    /* of the newest record */
	struct audit_head expected; /* seq 0 = none */
	uint64_t first_seq;
	uint64_t n;
	bool saw_expected;
	struct audit_point *points; /* in order of host_id */
	size_t n_points, capacity;
};

void audit_chain_deinit(struct audit_chain *chain);
/*
 * The next record. What is before the first one is not known (retention removes from the front), so
 * its previous_hash is taken as it is, unless its seq is 1. AUDIT_FITS or what is wrong; then
 * nothing is taken over. -ENOMEM.
 */
int audit_chain_add(struct audit_chain *chain, const Pathbell__V1__AuditRecord *record);
/* The tie that a command.life record holds: "host_audit_seq=N host_audit_hash=HEX". */
bool audit_chain_tie(const Pathbell__V1__AuditRecord *record, struct audit_head *ret_head);

/* ---- the host's chain, audit_line.c ---- */

#define AUDIT_LINE_MAX 4096 /* LocalAuditRecord.line */

/* The line's number and hash, as it claims. */
bool audit_line_read(const char *line, size_t len, struct audit_head *ret_head);
/*
 * The next line, without its line feed. The first one may be a `begin prev=HASH`, or number 1;
 * where it is neither, what it goes on from is not here: it is taken as it is, and *ret_unchecked
 * is set. AUDIT_FITS or what is wrong; *last is moved on only when it fits.
 */
enum audit_break audit_line_check(const char *line, size_t len, struct audit_head *last,
				  bool *ret_unchecked);
