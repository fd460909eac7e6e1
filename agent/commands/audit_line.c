/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/audit_line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/id.h"

#define AUDIT_HEX (2 * SHA256_SIZE)

static const char audit_context[] = "pathbell-host-audit-v1"; /* with its NUL */

int audit_put_text(struct buf *out, const char *key, const char *text, size_t max)
{
	size_t n = 0;
	int r = buf_printf(out, " %s=\"", key);

	for (; r == 0 && *text && n < max; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c > 0x7e || c == '"' || c == '\\') {
			r = buf_printf(out, "\\x%02x", c);
			n += 4;
		} else {
			r = buf_append(out, &c, 1);
			n++;
		}
	}
	if (r == 0)
		r = buf_printf(out, *text ? "...\"" : "\"");
	return r;
}

static void audit_hash(const uint8_t previous[SHA256_SIZE], const char *line, size_t len,
		       uint8_t ret_hash[SHA256_SIZE])
{
	struct sha256 sha256;

	sha256_init(&sha256);
	sha256_add(&sha256, audit_context, sizeof(audit_context));
	sha256_add(&sha256, previous, SHA256_SIZE);
	sha256_add(&sha256, line, len);
	sha256_end(&sha256, ret_hash);
}

int audit_put_line(struct buf *out, struct audit_link *link, uint64_t unix_ms, const char *body)
{
	size_t before = out->size, len;
	char time[CLOCK_TEXT_SIZE], hex[AUDIT_HEX + 1];
	uint8_t hash[SHA256_SIZE];
	int r;

	clock_format(unix_ms * CLOCK_NS_PER_MS, time);
	r = buf_printf(out, "%" PRIu64 " %s %s", link->seq + 1, time, body);
	len = out->size - before;
	if (r == 0 && len + 1 + AUDIT_HEX > AUDIT_LINE_MAX)
		r = -EMSGSIZE;
	if (r == 0) {
		audit_hash(link->hash, (const char *)out->data + before, len, hash);
		id_hex(hash, sizeof(hash), hex);
		r = buf_printf(out, " %s\n", hex);
	}
	if (r) {
		out->size = before;
		return r;
	}
	link->seq++;
	memcpy(link->hash, hash, sizeof(hash));
	return 0;
}

int audit_read_line(const char *line, size_t len, struct audit_link *ret_link)
{
	char hex[AUDIT_HEX + 1];
	uint64_t seq = 0;
	size_t i;

	if (len < AUDIT_HEX + 4 || len > AUDIT_LINE_MAX || line[len - AUDIT_HEX - 1] != ' ')
		return AUDIT_E_FORM;
	for (i = 0; i < 19 && line[i] >= '0' && line[i] <= '9'; i++)
		seq = seq * 10 + (uint64_t)(line[i] - '0');
	if (i == 0 || line[i] != ' ' || seq == 0)
		return AUDIT_E_FORM;
	memcpy(hex, line + len - AUDIT_HEX, AUDIT_HEX);
	hex[AUDIT_HEX] = 0;
	if (!id_unhex(hex, ret_link->hash, SHA256_SIZE))
		return AUDIT_E_FORM;
	ret_link->seq = seq;
	return 0;
}

/* SEQ TIME begin prev=HEX ...: false where it is no such line. */
static bool audit_read_begin(const char *line, size_t len, uint8_t ret_previous[SHA256_SIZE])
{
	static const char word[] = " begin prev=";
	const char *time = memchr(line, ' ', len);
	const char *what = time ? memchr(time + 1, ' ', len - (size_t)(time + 1 - line)) : NULL;
	size_t left = what ? len - (size_t)(what - line) : 0;
	char hex[AUDIT_HEX + 1];

	if (left < sizeof(word) - 1 + AUDIT_HEX || memcmp(what, word, sizeof(word) - 1) != 0)
		return false;
	memcpy(hex, what + sizeof(word) - 1, AUDIT_HEX);
	hex[AUDIT_HEX] = 0;
	return id_unhex(hex, ret_previous, SHA256_SIZE);
}

int audit_check_line(const char *line, size_t len, struct audit_link *link)
{
	uint8_t previous[SHA256_SIZE], hash[SHA256_SIZE];
	struct audit_link claimed;
	bool begins;

	if (audit_read_line(line, len, &claimed))
		return AUDIT_E_FORM;
	begins = link->seq == 0 && audit_read_begin(line, len, previous);
	if (!begins)
		memcpy(previous, link->hash, sizeof(previous));
	audit_hash(previous, line, len - AUDIT_HEX - 1, hash);
	if (!begins && claimed.seq != link->seq + 1)
		return AUDIT_E_SEQ;
	if (memcmp(hash, claimed.hash, sizeof(hash)) != 0)
		return AUDIT_E_HASH;
	*link = claimed;
	return 0;
}
