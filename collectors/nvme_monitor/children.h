/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/bell.h"
#include "collectors/nvme_monitor/work.h"
#include "collectors/offspring.h"

/*
 * The children that run: each with its job and its deadline. At the deadline one is killed and told
 * as late, once; its end is told when it comes, which for a child in D state may be never.
 */
#define CHILDREN_MAX 128

struct child_of_job {
	struct offspring offspring;
	struct work_job *job; /* owned */
	uint64_t deadline_ns;
	bool late;
};

struct children {
	struct bell *bell;
	struct child_of_job *items[CHILDREN_MAX];
	size_t n;
	struct child_of_job *given; /* whose answer the caller reads */
};

void children_init(struct children *children, struct bell *bell);
/* Kills all. */
void children_deinit(struct children *children);
/* Takes @job (of calloc) also on failure. 0, -EAGAIN above CHILDREN_MAX, -errno. */
int children_start(struct children *children, struct work_job *job, uint64_t deadline_ns);
/* One that outlives the agent and whose answer nobody wants; @job stays the caller's. */
void children_leave(struct work_job *job);
/* A child that has ended, *ret_answer being what it said: valid, with *ret_job, until the next
 * call. 0; CHILDREN_E_LATE: *ret_job is past its deadline and was killed; CHILDREN_E_NONE: nothing
 * is new. */
#define CHILDREN_E_NONE 1
#define CHILDREN_E_LATE 2
int children_next(struct children *children, uint64_t now_ns, const struct work_job **ret_job,
		  struct work_answer *ret_answer);
/* The next deadline; UINT64_MAX = none. */
uint64_t children_due(const struct children *children);
