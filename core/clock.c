/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"

#include <stdio.h>
#include <sys/timex.h>
#include <time.h>

static uint64_t clock_read(clockid_t id)
{
	struct timespec ts = { 0 };

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

uint64_t clock_realtime_ns(void)
{
	return clock_read(CLOCK_REALTIME);
}

uint64_t clock_boottime_ns(void)
{
	return clock_read(CLOCK_BOOTTIME);
}

bool clock_is_synchronised(void)
{
	struct timex timex = { 0 };
	int state = adjtimex(&timex);

	return state >= 0 && state != TIME_ERROR && !(timex.status & STA_UNSYNC);
}

static bool clock_is_leap(unsigned year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned clock_month_days(unsigned year, unsigned month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && clock_is_leap(year));
}

/*
 * Not by gmtime_r: it takes glibc's time zone lock, which fork does not reset, and a child that
 * logs would wait for a thread that it does not have.
 */
void clock_format(uint64_t unix_ns, char ret_text[CLOCK_TEXT_SIZE])
{
	uint64_t seconds = unix_ns / CLOCK_NS_PER_S;
	unsigned days = (unsigned)(seconds / 86400), year = 1970, month = 1;
	unsigned of_day = (unsigned)(seconds % 86400);

	for (; days >= 365u + clock_is_leap(year); year++)
		days -= 365u + clock_is_leap(year);
	for (; days >= clock_month_days(year, month); month++)
		days -= clock_month_days(year, month);
	snprintf(ret_text, CLOCK_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ", year, month,
		 days + 1, of_day / 3600, of_day / 60 % 60, of_day % 60,
		 (unsigned)(unix_ns % CLOCK_NS_PER_S));
}
