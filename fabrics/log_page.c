/* SPDX-License-Identifier: Apache-2.0 */
#include "fabrics/log_page.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Offsets of an entry, NVM Express Base 2.0, figure "Discovery Log Page Entry". */
enum log_page_offset {
	LOG_PAGE_TRTYPE = 0,
	LOG_PAGE_ADRFAM = 1,
	LOG_PAGE_SUBTYPE = 2,
	LOG_PAGE_TREQ = 3,
	LOG_PAGE_PORTID = 4,
	LOG_PAGE_CNTLID = 6,
	LOG_PAGE_ASQSZ = 8,
	LOG_PAGE_EFLAGS = 10,
	LOG_PAGE_TRSVCID = 32,
	LOG_PAGE_SUBNQN = 256,
	LOG_PAGE_TRADDR = 512,
	LOG_PAGE_TSAS = 768,
};

static uint64_t log_page_u64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

static uint16_t log_page_u16(const uint8_t *at)
{
	uint16_t value;

	memcpy(&value, at, sizeof(value));
	return le16toh(value);
}

int log_page_header(const void *data, size_t size, struct log_page_header *ret_header)
{
	const uint8_t *at = data;

	if (size < LOG_PAGE_UNIT || log_page_u16(at + 16) != 0)
		return -EBADMSG;
	ret_header->genctr = log_page_u64(at);
	ret_header->numrec = log_page_u64(at + 8);
	ret_header->recfmt = 0;
	return 0;
}

static const char *log_page_transport(uint8_t trtype)
{
	switch (trtype) {
	case 1:
		return "rdma";
	case 2:
		return "fc";
	case 3:
		return "tcp";
	case 254:
		return "loop"; /* intra-host */
	default:
		return NULL;
	}
}

/* Fields are padded with blanks, by some targets with NULs. */
static int log_page_text(const uint8_t *at, size_t field_size, const char *key, struct tid *tid)
{
	char text[257];
	size_t len = strnlen((const char *)at, field_size);

	while (len > 0 && at[len - 1] == ' ')
		len--;
	memcpy(text, at, len);
	text[len] = '\0';
	return tid_set(tid, key, text);
}

static int log_page_tid(const uint8_t *at, const char *transport, struct tid *ret_tid)
{
	struct tid tid = { 0 };

	snprintf(tid.transport, sizeof(tid.transport), "%s", transport);
	if (log_page_text(at + LOG_PAGE_TRSVCID, 32, "trsvcid", &tid) != 0 ||
	    log_page_text(at + LOG_PAGE_SUBNQN, 256, "nqn", &tid) != 0 ||
	    log_page_text(at + LOG_PAGE_TRADDR, 256, "traddr", &tid) != 0)
		return -EBADMSG;
	if (strncmp(tid.nqn, "nqn.", 4) != 0)
		return -EBADMSG;
	tid_normalise(&tid);
	*ret_tid = tid;
	return 0;
}

int log_page_entry(const void *data, size_t size, struct log_page_entry *ret_entry)
{
	const uint8_t *at = data;
	const char *transport;

	if (size < LOG_PAGE_UNIT)
		return -EBADMSG;
	transport = log_page_transport(at[LOG_PAGE_TRTYPE]);
	if (!transport || at[LOG_PAGE_SUBTYPE] < LOG_PAGE_REFERRAL ||
	    at[LOG_PAGE_SUBTYPE] > LOG_PAGE_CURRENT)
		return LOG_PAGE_E_SKIP;
	if (log_page_tid(at, transport, &ret_entry->tid) != 0)
		return -EBADMSG;
	ret_entry->subtype = at[LOG_PAGE_SUBTYPE];
	ret_entry->tid.discovery = ret_entry->subtype != LOG_PAGE_NVM;
	ret_entry->adrfam = at[LOG_PAGE_ADRFAM];
	ret_entry->treq = at[LOG_PAGE_TREQ];
	ret_entry->portid = log_page_u16(at + LOG_PAGE_PORTID);
	ret_entry->cntlid = log_page_u16(at + LOG_PAGE_CNTLID);
	ret_entry->asqsz = log_page_u16(at + LOG_PAGE_ASQSZ);
	ret_entry->eflags = log_page_u16(at + LOG_PAGE_EFLAGS);
	ret_entry->tls = strcmp(transport, "tcp") == 0 ? at[LOG_PAGE_TSAS] : 0;
	return 0;
}
