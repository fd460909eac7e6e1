/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/when.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/clock.h"
#include "core/config.h"

/* Reads exactly @n digits. */
static bool when_digits(const char **text, int n, int *ret_value)
{
	int value = 0;

	for (int i = 0; i < n; i++) {
		if (!isdigit((unsigned char)(*text)[i]))
			return false;
		value = value * 10 + ((*text)[i] - '0');
	}
	*text += n;
	*ret_value = value;
	return true;
}

static bool when_literal(const char **text, char expected)
{
	if (**text != expected)
		return false;
	(*text)++;
	return true;
}

static bool when_date(const char **text, struct tm *tm)
{
	if (!when_digits(text, 4, &tm->tm_year) || !when_literal(text, '-') ||
	    !when_digits(text, 2, &tm->tm_mon) || !when_literal(text, '-') ||
	    !when_digits(text, 2, &tm->tm_mday))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	/* The largest year whose nanoseconds fit in 64 bits. */
	return tm->tm_year >= 70 && tm->tm_year <= 2553 - 1900;
}

/* Up to nine digits behind the point; more would be lost silently, so they are refused. */
static bool when_fraction(const char **text, uint64_t *ret_ns)
{
	uint64_t ns = 0;
	uint64_t unit = CLOCK_NS_PER_S;

	*ret_ns = 0;
	if (**text != '.')
		return true;
	(*text)++;
	if (!isdigit((unsigned char)**text))
		return false;
	for (; isdigit((unsigned char)**text); (*text)++) {
		if (unit == 1)
			return false;
		unit /= 10;
		ns += (uint64_t)(**text - '0') * unit;
	}
	*ret_ns = ns;
	return true;
}

static bool when_time_of_day(const char **text, struct tm *tm, uint64_t *ret_ns)
{
	if (**text != 'T' && **text != 't' && **text != ' ')
		return false;
	(*text)++;
	return when_digits(text, 2, &tm->tm_hour) && when_literal(text, ':') &&
	       when_digits(text, 2, &tm->tm_min) && when_literal(text, ':') &&
	       when_digits(text, 2, &tm->tm_sec) && when_fraction(text, ret_ns);
}

/* Z, +HH:MM, -HH:MM; nothing = local. */
static bool when_offset(const char **text, bool *ret_local, int *ret_seconds)
{
	int sign = **text == '-' ? -1 : 1;
	int hours = 0;
	int minutes = 0;

	*ret_local = **text == '\0';
	*ret_seconds = 0;
	if (*ret_local)
		return true;
	if (**text == 'Z' || **text == 'z') {
		(*text)++;
		return true;
	}
	if (**text != '+' && **text != '-')
		return false;
	(*text)++;
	if (!when_digits(text, 2, &hours) || !when_literal(text, ':') ||
	    !when_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

/* timegm normalises 31 February; comparing afterwards refuses it. */
static bool when_seconds(const struct tm *tm, bool local, int offset, time_t *ret_seconds)
{
	struct tm normal = *tm;
	time_t seconds;

	normal.tm_isdst = -1;
	seconds = local ? mktime(&normal) : timegm(&normal);
	if (normal.tm_mday != tm->tm_mday || normal.tm_mon != tm->tm_mon || tm->tm_hour > 23 ||
	    tm->tm_min > 59 || tm->tm_sec > 60)
		return false;
	*ret_seconds = seconds - offset;
	return *ret_seconds >= 0;
}

static bool when_rfc3339(const char *text, uint64_t *ret_ns)
{
	struct tm tm = { 0 };
	uint64_t fraction = 0;
	bool local = true;
	int offset = 0;
	time_t seconds = 0;

	if (!when_date(&text, &tm))
		return false;
	if (*text &&
	    (!when_time_of_day(&text, &tm, &fraction) || !when_offset(&text, &local, &offset)))
		return false;
	if (*text || !when_seconds(&tm, local, offset, &seconds))
		return false;
	*ret_ns = (uint64_t)seconds * CLOCK_NS_PER_S + fraction;
	return true;
}

int when_parse(const char *text, uint64_t now_ns, uint64_t *ret_ns, struct errmsg *err)
{
	uint64_t age = 0;

	if (strcmp(text, "now") == 0) {
		*ret_ns = now_ns;
		return 0;
	}
	if (when_rfc3339(text, ret_ns))
		return 0;
	if (config_parse_duration(text, &age, NULL) == 0) {
		*ret_ns = age < now_ns ? now_ns - age : 1;
		return 0;
	}
	errmsg_set(err,
		   "'%.64s' is not a time: use an age (90s, 30m, 2h, 7d), a date (2026-11-21), "
		   "RFC 3339 (2026-11-21T01:30:00Z) or now",
		   text);
	return -EINVAL;
}

void when_format(uint64_t unix_ns, bool utc, char ret_text[WHEN_TEXT_SIZE])
{
	time_t seconds = (time_t)(unix_ns / CLOCK_NS_PER_S);
	unsigned ms = (unsigned)(unix_ns % CLOCK_NS_PER_S / CLOCK_NS_PER_MS);
	struct tm tm;
	char clock[24];
	char zone[8] = "";

	if (!unix_ns) {
		snprintf(ret_text, WHEN_TEXT_SIZE, "-");
		return;
	}
	if (utc)
		gmtime_r(&seconds, &tm);
	else
		localtime_r(&seconds, &tm);
	strftime(clock, sizeof(clock), "%Y-%m-%dT%H:%M:%S", &tm);
	if (utc) {
		snprintf(ret_text, WHEN_TEXT_SIZE, "%s.%03uZ", clock, ms);
		return;
	}
	strftime(zone, sizeof(zone), "%z", &tm);
	snprintf(ret_text, WHEN_TEXT_SIZE, "%s.%03u%.3s:%.2s", clock, ms, zone, zone + 3);
}

void when_format_age(uint64_t unix_ns, uint64_t now_ns, char ret_text[WHEN_TEXT_SIZE])
{
	static const struct {
		uint64_t seconds;
		char letter;
	} units[] = { { 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' } };
	uint64_t seconds =
		(unix_ns > now_ns ? unix_ns - now_ns : now_ns - unix_ns) / CLOCK_NS_PER_S;
	size_t i = 0;

	if (!unix_ns) {
		snprintf(ret_text, WHEN_TEXT_SIZE, "never");
		return;
	}
	while (i < 3 && seconds < 2 * units[i].seconds)
		i++;
	snprintf(ret_text, WHEN_TEXT_SIZE,
		 unix_ns > now_ns ? "in %" PRIu64 "%c" : "%" PRIu64 "%c ago",
		 seconds / units[i].seconds, units[i].letter);
}
