/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/query.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/config.h"
#include "proto/kind.h"

#define QUERY_NS UINT64_C(1000000000)

/* ---- values ---- */

static bool query_number(const char *text, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (!*text || strlen(text) > 20)
		return false;
	for (; *text; text++) {
		unsigned digit = (unsigned)(*text - '0');

		if (*text < '0' || *text > '9' || value > (max - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*ret_value = value;
	return true;
}

/* RFC 3339 behind the seconds: a fraction of up to nine digits, then Z or +hh:mm. */
static bool query_fraction(const char **text, uint64_t *ret_ns)
{
	uint64_t ns = 0, unit = QUERY_NS;

	*ret_ns = 0;
	if (**text != '.')
		return true;
	for ((*text)++; isdigit((unsigned char)**text); (*text)++) {
		if (unit == 1)
			return false;
		unit /= 10;
		ns += (uint64_t)(**text - '0') * unit;
	}
	*ret_ns = ns;
	return unit != QUERY_NS;
}

static bool query_zone(const char *text, long *ret_offset_s)
{
	unsigned hours, minutes;
	int end = 0;

	*ret_offset_s = 0;
	if (strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
		return true;
	if ((*text != '+' && *text != '-') || strlen(text) != 6 ||
	    sscanf(text + 1, "%2u:%2u%n", &hours, &minutes, &end) != 2 || end != 5 || hours > 23 ||
	    minutes > 59)
		return false;
	*ret_offset_s = (long)(hours * 3600 + minutes * 60) * (*text == '+' ? 1 : -1);
	return true;
}

static bool query_rfc3339(const char *text, uint64_t *ret_unix_ns)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	uint64_t ns;
	long offset;
	time_t seconds;

	if (!rest || !query_fraction(&rest, &ns) || !query_zone(rest, &offset))
		return false;
	if (tm.tm_year < 70 || tm.tm_year > 360)
		return false;
	seconds = timegm(&tm) - offset;
	if (seconds < 0)
		return false;
	*ret_unix_ns = (uint64_t)seconds * QUERY_NS + ns;
	return true;
}

bool query_parse_time(const char *text, uint64_t now_unix_ns, uint64_t *ret_unix_ns)
{
	uint64_t value;

	if (query_number(text, INT64_MAX / QUERY_NS, &value)) {
		*ret_unix_ns = value * QUERY_NS;
		return true;
	}
	if (query_rfc3339(text, ret_unix_ns))
		return true;
	if (config_parse_duration(text, &value, NULL) != 0)
		return false;
	*ret_unix_ns = value < now_unix_ns ? now_unix_ns - value : 0;
	return true;
}

/* ---- parameters ---- */

typedef bool (*query_setter)(struct query *query, const char *value, uint64_t now_unix_ns);

static bool query_set_host(struct query *query, const char *value, uint64_t now_unix_ns)
{
	if (query->filter.n_hosts == QUERY_MAX_HOSTS || !*value || strlen(value) > 128)
		return false;
	query->hosts[query->filter.n_hosts++] = value;
	return true;
}

static bool query_set_kind(struct query *query, const char *value, uint64_t now_unix_ns)
{
	query->filter.kind_glob = value;
	return *value && strlen(value) <= 128;
}

static bool query_set_severity(struct query *query, const char *value, uint64_t now_unix_ns)
{
	unsigned severity;

	if (!severity_from_name(value, &severity))
		return false;
	query->filter.min_severity = severity;
	return true;
}

static bool query_set_subject(struct query *query, const char *value, uint64_t now_unix_ns)
{
	query->filter.subject_id = value;
	return *value && strlen(value) <= 256;
}

static bool query_set_since(struct query *query, const char *value, uint64_t now_unix_ns)
{
	return query_parse_time(value, now_unix_ns, &query->filter.since_unix_ns);
}

static bool query_set_until(struct query *query, const char *value, uint64_t now_unix_ns)
{
	return query_parse_time(value, now_unix_ns, &query->filter.until_unix_ns);
}

static bool query_set_limit(struct query *query, const char *value, uint64_t now_unix_ns)
{
	uint64_t limit;

	if (!query_number(value, QUERY_MAX_LIMIT, &limit) || limit == 0)
		return false;
	query->limit = (uint32_t)limit;
	return true;
}

static bool query_set_after(struct query *query, const char *value, uint64_t now_unix_ns)
{
	query->after = value;
	query->after_is_number = query_number(value, INT64_MAX, &query->after_id);
	return *value && strlen(value) <= 128;
}

static bool query_set_order(struct query *query, const char *value, uint64_t now_unix_ns)
{
	query->has_order = true;
	query->newest_first = strcmp(value, "desc") == 0;
	return query->newest_first || strcmp(value, "asc") == 0;
}

static const struct query_parameter {
	const char *name;
	query_setter set;
	bool repeats;
	const char *help;
} query_parameters[] = {
	{ "host", query_set_host, true, "a host id, at most 64 of them" },
	{ "kind", query_set_kind, false, "a glob on the dotted name, at most 128 bytes" },
	{ "severity", query_set_severity, false,
	  "debug, info, notice, warning, error or critical" },
	{ "subject", query_set_subject, false, "Subject.id, at most 256 bytes" },
	{ "since", query_set_since, false, "RFC 3339, Unix seconds or a duration such as 1h" },
	{ "until", query_set_until, false, "RFC 3339, Unix seconds or a duration such as 1h" },
	{ "limit", query_set_limit, false, "1 to 1000" },
	{ "after", query_set_after, false, "the cursor of the page before" },
	{ "order", query_set_order, false, "asc or desc" },
};
#define QUERY_N_PARAMETERS (sizeof(query_parameters) / sizeof(query_parameters[0]))

static int query_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoding in place (RFC 3986 2.1; + is a blank, as forms write it). False: bad escape, or
 * a NUL byte. */
static bool query_decode(char *text)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		int high, low;

		if (*in != '%') {
			*out++ = *in == '+' ? ' ' : *in;
			continue;
		}
		high = query_hex(in[1]);
		low = high < 0 ? -1 : query_hex(in[2]);
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*out++ = (char)(high * 16 + low);
		in += 2;
	}
	*out = '\0';
	return true;
}

static int query_set(struct query *query, char *pair, uint64_t now_unix_ns, uint32_t *seen,
		     struct errmsg *err)
{
	char *value = strchr(pair, '=');

	if (value)
		*value++ = '\0';
	if (!value || !query_decode(pair) || !query_decode(value)) {
		errmsg_set(err, "a parameter is not name=value, or has a bad %%-escape");
		return -EINVAL;
	}
	for (size_t i = 0; i < QUERY_N_PARAMETERS; i++) {
		const struct query_parameter *parameter = &query_parameters[i];

		if (strcmp(parameter->name, pair) != 0)
			continue;
		if ((*seen & (1u << i)) && !parameter->repeats) {
			errmsg_set(err, "%s: given twice", parameter->name);
			return -EINVAL;
		}
		*seen |= 1u << i;
		if (parameter->set(query, value, now_unix_ns))
			return 0;
		errmsg_set(err, "%s: must be %s", parameter->name, parameter->help);
		return -EINVAL;
	}
	errmsg_set(err, "unknown parameter; known are host, kind, severity, subject, since, until, "
			"limit, after, order");
	return -EINVAL;
}

int query_parse(const char *text, uint64_t now_unix_ns, struct query *ret_query, struct errmsg *err)
{
	uint32_t seen = 0;
	char *rest, *pair;

	memset(ret_query, 0, offsetof(struct query, text));
	ret_query->limit = 100;
	ret_query->filter.host_ids = ret_query->hosts;
	if (text && strlen(text) >= QUERY_MAX_TEXT) {
		errmsg_set(err, "the query is longer than %d bytes", QUERY_MAX_TEXT - 1);
		return -EINVAL;
	}
	snprintf(ret_query->text, sizeof(ret_query->text), "%s", text ? text : "");
	rest = ret_query->text;
	while ((pair = strsep(&rest, "&"))) {
		int r = *pair ? query_set(ret_query, pair, now_unix_ns, &seen, err) : 0;

		if (r < 0)
			return r;
	}
	if (ret_query->filter.until_unix_ns != 0 &&
	    ret_query->filter.until_unix_ns <= ret_query->filter.since_unix_ns) {
		errmsg_set(err, "until: not behind since");
		return -EINVAL;
	}
	return 0;
}
