/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>
#include <string.h>

#include "fabrics/log_page.h"

/* A discovery log page entry as a target writes it: text padded with blanks. */
static inline void page_put_entry(uint8_t *at, uint8_t trtype, uint8_t subtype, const char *nqn,
				  const char *traddr, const char *trsvcid)
{
	memset(at, 0, LOG_PAGE_UNIT);
	at[0] = trtype;
	at[1] = 1;
	at[2] = subtype;
	at[6] = 0xff;
	at[7] = 0xff;
	memset(at + 32, ' ', 32);
	memcpy(at + 32, trsvcid, strlen(trsvcid));
	memcpy(at + 256, nqn, strlen(nqn));
	memset(at + 512, ' ', 256);
	memcpy(at + 512, traddr, strlen(traddr));
}

static inline void page_put_header(uint8_t *at, uint64_t genctr, uint64_t numrec)
{
	memset(at, 0, LOG_PAGE_UNIT);
	for (unsigned i = 0; i < 8; i++) {
		at[i] = (uint8_t)(genctr >> 8 * i);
		at[8 + i] = (uint8_t)(numrec >> 8 * i);
	}
}
