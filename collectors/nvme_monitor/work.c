/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme_monitor/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/nvme_monitor/work_part.h"
#include "core/fd.h"

/* In a child: one thread, memory of its own, a deadline that somebody else keeps. */

const char *work_name(enum work_kind kind)
{
	static const char *const names[] = {
		[WORK_DISCOVER] = "pathbelld-disc", [WORK_CONNECT] = "pathbelld-conn",
		[WORK_FILES] = "pathbelld-files",   [WORK_CLEAN_UP] = "pathbelld-clean",
		[WORK_RELOAD] = "pathbelld-udev",
	};

	return names[kind];
}

int work_fail(struct work_answer *answer, int error, const char *what)
{
	answer->outcome = WORK_FAILED;
	answer->error = error < 0 ? error : -EPROTO;
	snprintf(answer->reason, sizeof(answer->reason), "%s: %s", what,
		 strerrordesc_np(-answer->error));
	return answer->error;
}

bool work_add(struct work *work, const struct work_item *item)
{
	struct work_item *items;

	if (work->answer.n_items == WORK_ITEMS_MAX) {
		work->answer.n_ignored++;
		return true;
	}
	if (work->answer.n_items == work->capacity) {
		size_t capacity = work->capacity ? work->capacity * 2 : 16;

		items = realloc(work->items, capacity * sizeof(*items));
		if (items == NULL)
			return false;
		work->items = items;
		work->capacity = capacity;
	}
	work->items[work->answer.n_items++] = *item;
	return true;
}

static int work_send(const struct work *work, int out)
{
	int r = fd_write_all(out, &work->answer, sizeof(work->answer));

	if (r == 0 && work->answer.n_items > 0)
		r = fd_write_all(out, work->items, work->answer.n_items * sizeof(work->items[0]));
	return r;
}

int work_run(void *data, int out)
{
	const struct work_job *job = data;
	struct work work = { .job = job };
	int r;

	if (job->kind == WORK_CLEAN_UP) {
		work_clean_up(job);
		return 0;
	}
	if (job->kind == WORK_DISCOVER)
		work_discover(&work);
	else if (job->kind == WORK_CONNECT)
		work_connect(&work);
	else if (job->kind == WORK_FILES)
		work_files(&work);
	r = job->kind == WORK_RELOAD ? 0 : work_send(&work, out);
	free(work.items);
	/* Does not return where there is a udevadm. */
	if (job->kind == WORK_RELOAD || work.answer.n_changed > 0)
		mask_reload();
	return r == 0 ? 0 : 1;
}

/* Text that came through the pipe ends where its field does. */
static void work_terminate(struct work_answer *answer)
{
	answer->controller[sizeof(answer->controller) - 1] = '\0';
	answer->owner[sizeof(answer->owner) - 1] = '\0';
	answer->reason[sizeof(answer->reason) - 1] = '\0';
}

void work_parse(const struct buf *buf, bool late, struct work_answer *ret_answer)
{
	struct work_answer answer = { 0 };

	if (buf != NULL && buf->size >= sizeof(answer)) {
		memcpy(&answer, buf->data, sizeof(answer));
		work_terminate(&answer);
		answer.items = (const void *)(buf->data + sizeof(answer));
		if (answer.outcome <= WORK_SKIPPED && answer.n_items <= WORK_ITEMS_MAX &&
		    buf->size == sizeof(answer) + answer.n_items * sizeof(answer.items[0])) {
			*ret_answer = answer;
			return;
		}
	}
	*ret_answer = (struct work_answer){ .outcome = WORK_FAILED };
	(void)work_fail(ret_answer, late ? -ETIMEDOUT : -EPROTO,
			late ? "killed at its deadline" : "its child gave no answer");
}
