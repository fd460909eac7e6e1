/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/sha256.h"

/*
 * One line of the host's audit (docs/formats/audit.md):
 *	SEQ TIME WHAT [key=value]... HASH LF
 * HASH: 64 hexadecimal digits of SHA-256("pathbell-host-audit-v1" NUL || hash of the line before ||
 * the line up to the blank before HASH). Pure.
 */
#define AUDIT_LINE_MAX	4096 /* LocalAuditRecord.line, local.proto; without LF */
#define AUDIT_WHAT_SIZE 32

struct audit_link {
	uint64_t seq; /* of the newest line; 0 = none yet */
	uint8_t hash[SHA256_SIZE];
};

/* Text as a value in double quotes: what is not printable ASCII, quotes and backslashes become
 * \xNN; at most @max bytes of it, then "...". */
int audit_put_text(struct buf *out, const char *key, const char *text, size_t max);
/*
 * @body: WHAT and what follows it, without line feeds. Appends the whole line to @out and moves
 * *link on. 0, -EMSGSIZE, or the error of buf_append: nothing has changed then.
 */
int audit_put_line(struct buf *out, struct audit_link *link, uint64_t unix_ms, const char *body);

/*
 * Checks the next line (without its LF) and moves *link on. The first line of a file may be a
 * `begin`, whose prev= says which hash it goes on from: where @link is at that hash or at none
 * (seq 0), it fits.
 * 0; AUDIT_E_FORM: no line of this format; AUDIT_E_HASH: altered, or the ones before it are others;
 * AUDIT_E_SEQ: lines are missing. *link is unchanged then.
 */
#define AUDIT_E_FORM 1
#define AUDIT_E_HASH 2
#define AUDIT_E_SEQ  3
int audit_check_line(const char *line, size_t len, struct audit_link *link);
/* Only the form: what a line claims. 0 or AUDIT_E_FORM. */
int audit_read_line(const char *line, size_t len, struct audit_link *ret_link);
