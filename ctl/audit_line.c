/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/id.h"
#include "ctl/audit_chain.h"

/*
 * SEQ TIME WHAT [key=value]... HASH
 * HASH = SHA-256("pathbell-host-audit-v1" NUL || hash of the line before || the line up to the
 * blank before HASH), docs/formats/audit.md. Another implementation than the agent's, on purpose.
 */
static const char line_context[] = "pathbell-host-audit-v1"; /* with its NUL */

#define LINE_HEX (2 * CHAIN_HASH_SIZE)

static bool line_hash(const uint8_t previous[CHAIN_HASH_SIZE], const char *line, size_t len,
		      uint8_t ret_hash[CHAIN_HASH_SIZE])
{
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	bool ok = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) &&
		  EVP_DigestUpdate(digest, line_context, sizeof(line_context)) &&
		  EVP_DigestUpdate(digest, previous, CHAIN_HASH_SIZE) &&
		  EVP_DigestUpdate(digest, line, len) && EVP_DigestFinal_ex(digest, ret_hash, NULL);

	EVP_MD_CTX_free(digest);
	return ok;
}

static bool line_hex(const char *text, uint8_t ret_hash[CHAIN_HASH_SIZE])
{
	char hex[LINE_HEX + 1];

	memcpy(hex, text, LINE_HEX);
	hex[LINE_HEX] = '\0';
	return id_unhex(hex, ret_hash, CHAIN_HASH_SIZE);
}

bool audit_line_read(const char *line, size_t len, struct audit_head *ret_head)
{
	struct audit_head head = { 0 };
	size_t digits = 0;

	if (len < LINE_HEX + 4 || len > AUDIT_LINE_MAX || memchr(line, '\0', len) ||
	    line[len - LINE_HEX - 1] != ' ')
		return false;
	while (digits < 19 && line[digits] >= '0' && line[digits] <= '9')
		head.seq = head.seq * 10 + (uint64_t)(line[digits++] - '0');
	if (digits == 0 || line[digits] != ' ' || head.seq == 0 ||
	    !line_hex(line + len - LINE_HEX, head.hash))
		return false;
	*ret_head = head;
	return true;
}

/* "SEQ TIME begin prev=HASH ...": the first line of a file says what it goes on from. */
static bool line_begins(const char *line, size_t len, uint8_t ret_previous[CHAIN_HASH_SIZE])
{
	static const char word[] = " begin prev=";
	const char *end = line + len;
	const char *at = memchr(line, ' ', len);

	at = at ? memchr(at + 1, ' ', (size_t)(end - at - 1)) : NULL;
	if (!at || (size_t)(end - at) < sizeof(word) - 1 + LINE_HEX ||
	    memcmp(at, word, sizeof(word) - 1) != 0)
		return false;
	return line_hex(at + sizeof(word) - 1, ret_previous);
}

enum audit_break audit_line_check(const char *line, size_t len, struct audit_head *last,
				  bool *ret_unchecked)
{
	uint8_t previous[CHAIN_HASH_SIZE];
	uint8_t hash[CHAIN_HASH_SIZE];
	struct audit_head head;
	bool known = last->seq != 0;

	if (!audit_line_read(line, len, &head))
		return AUDIT_BREAK_FORM;
	if (known && head.seq != last->seq + 1)
		return AUDIT_BREAK_GAP;
	memcpy(previous, last->hash, sizeof(previous));
	if (!known && !line_begins(line, len, previous) && head.seq != 1) {
		*ret_unchecked = true;
		*last = head;
		return AUDIT_FITS;
	}
	if (!line_hash(previous, line, len - LINE_HEX - 1, hash))
		return AUDIT_BREAK_FORM;
	if (memcmp(hash, head.hash, sizeof(hash)) != 0)
		return AUDIT_BREAK_HASH;
	*last = head;
	return AUDIT_FITS;
}
