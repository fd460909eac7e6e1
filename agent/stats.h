/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * All counters of the agent in one list, as `pathbell local stats` shows them. Names are those of
 * the Prometheus exposition, with labels where one counter has several rows.
 */
#define STATS_MAX  512
#define STATS_NAME 112

struct stats_row {
	char name[STATS_NAME];
	const char *help, *unit; /* constants; unit "" = a count */
	uint64_t value;
};

struct agent;
/* Fills at most @max rows, returns how many. */
size_t stats_collect(struct agent *agent, struct stats_row *ret_rows, size_t max);
