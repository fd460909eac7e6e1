/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/cxl/capi_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void capi_queue_init(struct capi_queue *queue, size_t max_waiting, size_t max_kept,
		     size_t max_resubmit)
{
	*queue = (struct capi_queue){ .max_waiting = max_waiting,
				      .max_kept = max_kept,
				      .max_resubmit = max_resubmit };
	TAILQ_INIT(&queue->again);
	TAILQ_INIT(&queue->drivers);
	TAILQ_INIT(&queue->others);
	TAILQ_INIT(&queue->kept);
}

static void capi_list_free(struct capi_list *list)
{
	struct capi_item *item;

	while ((item = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, item, link);
		free(item);
	}
}

void capi_queue_deinit(struct capi_queue *queue)
{
	capi_list_free(&queue->again);
	capi_list_free(&queue->drivers);
	capi_list_free(&queue->others);
	capi_list_free(&queue->kept);
	queue->n_waiting = queue->n_kept = 0;
}

bool capi_queue_has_room(const struct capi_queue *queue)
{
	return queue->n_waiting < queue->max_waiting;
}

int capi_queue_push(struct capi_queue *queue, const struct capi_identity *afu, bool is_driver,
		    uint64_t time_unix_ns, const void *data, size_t size)
{
	struct capi_item *item = malloc(sizeof(*item) + size);

	if (item == NULL)
		return -ENOMEM;
	*item = (struct capi_item){
		.afu = *afu, .is_driver = is_driver, .time_unix_ns = time_unix_ns, .size = size
	};
	memcpy(item->data, data, size);
	TAILQ_INSERT_TAIL(is_driver ? &queue->drivers : &queue->others, item, link);
	queue->n_waiting++;
	return 0;
}

struct capi_item *capi_queue_next(const struct capi_queue *queue)
{
	struct capi_item *item = TAILQ_FIRST(&queue->again);

	if (item == NULL)
		item = TAILQ_FIRST(&queue->drivers);
	return item != NULL ? item : TAILQ_FIRST(&queue->others);
}

static void capi_queue_forget_oldest(struct capi_queue *queue)
{
	struct capi_item *oldest = TAILQ_FIRST(&queue->kept);

	TAILQ_REMOVE(&queue->kept, oldest, link);
	free(oldest);
	queue->n_kept--;
	queue->n_forgotten++;
}

static struct capi_list *capi_list_of(struct capi_queue *queue, const struct capi_item *item)
{
	if (!item->is_driver)
		return &queue->others;
	return item->resubmitted > 0 ? &queue->again : &queue->drivers;
}

void capi_queue_taken(struct capi_queue *queue, struct capi_item *item, uint64_t ticket)
{
	TAILQ_REMOVE(capi_list_of(queue, item), item, link);
	queue->n_waiting--;
	if (!item->is_driver || ticket == 0 || queue->max_kept == 0) {
		free(item);
		return;
	}
	if (queue->n_kept == queue->max_kept)
		capi_queue_forget_oldest(queue);
	item->ticket = ticket;
	TAILQ_INSERT_TAIL(&queue->kept, item, link);
	queue->n_kept++;
}

int capi_queue_delivered(struct capi_queue *queue, uint64_t ticket, bool delivered)
{
	struct capi_item *item;

	TAILQ_FOREACH (item, &queue->kept, link)
		if (item->ticket == ticket)
			break;
	if (item == NULL)
		return 0;
	TAILQ_REMOVE(&queue->kept, item, link);
	queue->n_kept--;
	if (!delivered && item->resubmitted < queue->max_resubmit) {
		item->resubmitted++;
		queue->n_resubmitted++;
		/* At most max_kept come on top of max_waiting. */
		TAILQ_INSERT_TAIL(&queue->again, item, link);
		queue->n_waiting++;
		return CAPI_QUEUE_E_AGAIN;
	}
	free(item);
	if (delivered)
		queue->n_delivered++;
	else
		queue->n_given_up++;
	return delivered ? 0 : CAPI_QUEUE_E_GIVEN_UP;
}
