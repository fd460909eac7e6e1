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

void clock_format(uint64_t unix_ns, char ret_text[CLOCK_TEXT_SIZE])
{
	time_t seconds = (time_t)(unix_ns / CLOCK_NS_PER_S);
	struct tm tm;

	/* 2^64 ns end in the year 2554: gmtime_r cannot fail. */
	gmtime_r(&seconds, &tm);
	snprintf(ret_text, CLOCK_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%09uZ",
		 (unsigned)tm.tm_year % 8000 + 1900, (unsigned)tm.tm_mon % 12 + 1,
		 (unsigned)tm.tm_mday % 32, (unsigned)tm.tm_hour % 24, (unsigned)tm.tm_min % 60,
		 (unsigned)tm.tm_sec % 61, (unsigned)(unix_ns % CLOCK_NS_PER_S));
}
