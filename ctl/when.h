/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/errmsg.h"

/* Times as people type and read them. Nanoseconds since 1970, UTC. */

/*
 * "now", an age (90s, 1h, 7d: that long before @now_ns), a date (2026-11-21: its local midnight),
 * or RFC 3339 (2026-11-21T01:30:00.5+01:00; a blank for the T, no offset = local time). 0 or
 * -EINVAL with @err.
 */
int when_parse(const char *text, uint64_t now_ns, uint64_t *ret_ns, struct errmsg *err);

#define WHEN_TEXT_SIZE 40
/* RFC 3339 with milliseconds, local offset or Z. 0 = "-". */
void when_format(uint64_t unix_ns, bool utc, char ret_text[WHEN_TEXT_SIZE]);
/* "3s ago", "2h ago", "in 5d"; 0 = "never". */
void when_format_age(uint64_t unix_ns, uint64_t now_ns, char ret_text[WHEN_TEXT_SIZE]);
