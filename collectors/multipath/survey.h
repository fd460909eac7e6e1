/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/offspring.h"

/*
 * A look at all multipath maps, by a forked child: ioctls of device-mapper take locks that are held
 * as long as a table is being swapped, which can be for ever when a disk hangs. Its answer is a
 * report (report.h).
 */
#define SURVEY_REPORT_MAX (64 << 20)

/* A map of which only a newer event_nr is interesting. */
struct survey_known {
	uint32_t major, minor, event_nr;
};

/* The child of offspring_init(survey, SURVEY_REPORT_MAX); its answer is the report.
 * @control: of dm_open, shared with the child. @known by (major, minor) in any order; NULL = look
 * at all. 0 or -errno. */
int survey_start(struct offspring *survey, int control, const struct survey_known *known,
		 size_t n_known);
