/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/nvme_monitor/nvme_monitor.h"
#include "collectors/nvme_monitor/work.h"
#include "fabrics/look.h"

/* The parts of a child: work.c, work_discover.c, work_connect.c, work_files.c, work_clean_up.c. */

struct work {
	const struct work_job *job;
	struct work_answer answer;
	struct work_item *items; /* answer.n_items of them */
	size_t capacity;
	struct look look; /* too large for a stack */
};

/* FAILED with a sentence; returns the error. */
int work_fail(struct work_answer *answer, int error, const char *what);
/* False: no memory. Above WORK_ITEMS_MAX it is counted as ignored. */
bool work_add(struct work *work, const struct work_item *item);

void work_discover(struct work *work);
void work_connect(struct work *work);
void work_files(struct work *work);
void work_clean_up(const struct work_job *job);

/* work_connect.c, for both: */

/* A controller that is what is wanted: 0 and work->look; WORK_E_NONE. */
#define WORK_E_NONE 1
int work_find(struct work *work, bool discovery);
/* Makes it, with its owner put down: 0 and work->look; WORK_E_EXISTS; WORK_E_EXCLUDED (answer is
 * SKIPPED); -errno (answer is FAILED). */
#define WORK_E_EXISTS	2
#define WORK_E_EXCLUDED 3
int work_make(struct work *work, uint32_t keep_alive_s);
/* work->look is the answer's controller. */
void work_tell_controller(struct work *work);
/* delete_controller of @name, if it is still the same. 0 or -errno. */
int work_delete(const struct work_job *job, const char *name, uint64_t inode);
