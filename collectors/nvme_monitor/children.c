/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme_monitor/children.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void children_free(struct child_of_job *child)
{
	if (child == NULL)
		return;
	offspring_deinit(&child->offspring);
	free(child->job);
	free(child);
}

void children_init(struct children *children, struct bell *bell)
{
	*children = (struct children){ .bell = bell };
}

static void children_forget_given(struct children *children)
{
	children_free(children->given);
	children->given = NULL;
}

void children_deinit(struct children *children)
{
	children_forget_given(children);
	while (children->n > 0)
		children_free(children->items[--children->n]);
}

int children_start(struct children *children, struct work_job *job, uint64_t deadline_ns)
{
	struct offspring_spec spec = {
		.name = work_name(job->kind), .keep = -1, .run = work_run, .data = job
	};
	struct child_of_job *child = calloc(1, sizeof(*child));
	int r = child == NULL ? -ENOMEM : children->n == CHILDREN_MAX ? -EAGAIN : 0;

	if (r < 0) {
		free(child);
		free(job);
		return r;
	}
	offspring_init(&child->offspring, WORK_ANSWER_MAX);
	child->job = job;
	child->deadline_ns = deadline_ns;
	r = offspring_start(&child->offspring, &spec);
	if (r == 0)
		r = bell_add(children->bell, child->offspring.fd);
	if (r < 0) {
		children_free(child);
		return r;
	}
	children->items[children->n++] = child;
	return 0;
}

void children_leave(struct work_job *job)
{
	struct offspring_spec spec = { .name = work_name(job->kind),
				       .keep = -1,
				       .survives = true,
				       .run = work_run,
				       .data = job };
	struct offspring offspring;

	offspring_init(&offspring, 0);
	if (offspring_start(&offspring, &spec) == 0)
		offspring_leave(&offspring);
	offspring_deinit(&offspring);
}

static void children_take_out(struct children *children, size_t at)
{
	children->given = children->items[at];
	children->items[at] = children->items[--children->n];
}

int children_next(struct children *children, uint64_t now_ns, const struct work_job **ret_job,
		  struct work_answer *ret_answer)
{
	children_forget_given(children);
	for (size_t i = 0; i < children->n; i++) {
		struct child_of_job *child = children->items[i];
		bool progress;
		int r = offspring_read(&child->offspring, &progress);

		*ret_job = child->job;
		if (r != 0) {
			children_take_out(children, i);
			offspring_kill(&child->offspring); /* one that said too much */
			work_parse(r == OFFSPRING_E_DONE ? &child->offspring.answer : NULL,
				   child->late, ret_answer);
			return 0;
		}
		if (!child->late && now_ns >= child->deadline_ns) {
			child->late = true;
			offspring_kill(&child->offspring);
			return CHILDREN_E_LATE;
		}
	}
	return CHILDREN_E_NONE;
}

uint64_t children_due(const struct children *children)
{
	uint64_t due_ns = UINT64_MAX;

	for (size_t i = 0; i < children->n; i++)
		if (!children->items[i]->late && children->items[i]->deadline_ns < due_ns)
			due_ns = children->items[i]->deadline_ns;
	return due_ns;
}
