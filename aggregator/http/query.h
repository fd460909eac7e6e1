/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregator/store/records.h"
#include "core/errmsg.h"

/*
 * The query string of the JSON pages. Pure. Every parameter is checked; one that is unknown,
 *doubled or out of range is an error that names it.
 *
 *	host=ID (up to 64 times)  kind=GLOB  severity=NAME (at least)  subject=ID
 *	since=, until=  RFC 3339, Unix seconds, or a duration (1h: an hour ago)
 *	limit=1..1000   after=  cursor    order=asc|desc
 */
#define QUERY_MAX_TEXT	8192
#define QUERY_MAX_HOSTS 64
#define QUERY_MAX_LIMIT 1000

struct query {
	struct store_filter filter; /* points into the rest */
	const char *hosts[QUERY_MAX_HOSTS];
	const char *after; /* as given; NULL = not */
	uint64_t after_id; /* as a number, if it is one */
	uint32_t limit;
	bool newest_first, has_order, after_is_number;
	char text[QUERY_MAX_TEXT];
};

/* @text: behind the question mark; NULL = none. 0 or -EINVAL with @err. */
int query_parse(const char *text, uint64_t now_unix_ns, struct query *ret_query,
		struct errmsg *err);
/* The formats of since and until. */
bool query_parse_time(const char *text, uint64_t now_unix_ns, uint64_t *ret_unix_ns);
