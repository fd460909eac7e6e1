/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fabrics/tid.h"

/*
 * Discovery Log Page, log identifier 70h (NVM Express Base Specification 2.0, 5.16.1.23): a header
 * of 1024 bytes, then one entry of 1024 bytes for each port of each subsystem. Little endian. Pure.
 */
#define LOG_PAGE_ID	    0x70
#define LOG_PAGE_UNIT	    1024 /* bytes of the header, and of an entry */
#define LOG_PAGE_MAX	    4096 /* entries that are read; more are counted, not read */
#define LOG_PAGE_DUPRETINFO 1	 /* eflags: every port of the subsystem returns the same */
#define LOG_PAGE_EPCSD	    2	 /* eflags: explicit persistent connections are supported */
#define LOG_PAGE_NCC	    4	 /* eflags: no connectivity to the central discovery controller */

struct log_page_header {
	uint64_t genctr, numrec;
	uint16_t recfmt;
};

enum log_page_subtype {
	LOG_PAGE_REFERRAL = 1, /* another discovery subsystem */
	LOG_PAGE_NVM = 2,
	LOG_PAGE_CURRENT = 3, /* the discovery subsystem that answers */
};

struct log_page_entry {
	struct tid tid; /* transport, traddr, trsvcid, nqn; normalised */
	uint8_t subtype, adrfam, treq;
	uint16_t portid, cntlid, asqsz, eflags;
	uint8_t tls; /* tcp: SECTYPE, 0 none, 1 TLS 1.2, 2 TLS 1.3 */
};

/* 0; -EBADMSG: too short, or a record format other than 0. */
int log_page_header(const void *data, size_t size, struct log_page_header *ret_header);
/*
 * One entry at @data. 0; LOG_PAGE_E_SKIP: nothing that can be connected over a fabric (PCIe,
 * another transport, another subtype); -EBADMSG: too short, an NQN that is none, text with control
 * characters.
 */
#define LOG_PAGE_E_SKIP 1
int log_page_entry(const void *data, size_t size, struct log_page_entry *ret_entry);
