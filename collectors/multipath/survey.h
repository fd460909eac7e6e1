/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/buf.h"

/*
 * A look at all multipath maps, by a forked child: ioctls of device-mapper take locks that are held
 * as long as a table is being swapped, which can be for ever when a disk hangs. The child writes
 * its report (report.h) into a pipe and ends; whoever waits has a descriptor to poll. A child that
 * does not answer is killed; one in D state dies when the kernel lets it, and nobody waits for it.
 */
#define SURVEY_REPORT_MAX (64 << 20)

/* A map of which only a newer event_nr is interesting. */
struct survey_known {
	uint32_t major, minor, event_nr;
};

struct survey {
	int fd;	   /* read end; -1: none runs */
	int pidfd; /* -1 where there is none */
	pid_t pid;
	struct buf report; /* so far */
};

void survey_init(struct survey *survey);
/* @control: of dm_open, shared with the child. @known by (major, minor) in any order; NULL = look
 * at all. 0 or -errno. */
int survey_start(struct survey *survey, int control, const struct survey_known *known,
		 size_t n_known);
bool survey_is_running(const struct survey *survey);
/* Takes what there is. 0: not the end yet (*ret_progress: something came); SURVEY_E_DONE: report is
 * as complete as it will be; -errno. */
#define SURVEY_E_DONE 1
int survey_read(struct survey *survey, bool *ret_progress);
/* Kills what runs and forgets the report. */
void survey_stop(struct survey *survey);
