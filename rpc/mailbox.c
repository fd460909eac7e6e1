/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/mailbox.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct mailbox_letter {
	struct mailbox_letter *next;
	void (*fn)(void *data);
	void (*discard)(void *data);
	void *data;
};

struct mailbox {
	struct ev_loop *loop;
	ev_async async;
	pthread_mutex_t lock;
	struct mailbox_letter *head, **tail;
};

static struct mailbox_letter *mailbox_take(struct mailbox *mailbox)
{
	struct mailbox_letter *head;

	pthread_mutex_lock(&mailbox->lock);
	head = mailbox->head;
	mailbox->head = NULL;
	mailbox->tail = &mailbox->head;
	pthread_mutex_unlock(&mailbox->lock);
	return head;
}

static void mailbox_on_async(struct ev_loop *loop, ev_async *async, int events)
{
	struct mailbox *mailbox = async->data;
	struct mailbox_letter *letter, *next;

	(void)loop;
	(void)events;
	for (letter = mailbox_take(mailbox); letter; letter = next) {
		next = letter->next;
		letter->fn(letter->data);
		free(letter);
	}
}

struct mailbox *mailbox_new(struct ev_loop *loop)
{
	struct mailbox *mailbox = calloc(1, sizeof(*mailbox));

	if (!mailbox)
		return NULL;
	mailbox->loop = loop;
	mailbox->tail = &mailbox->head;
	pthread_mutex_init(&mailbox->lock, NULL);
	ev_async_init(&mailbox->async, mailbox_on_async);
	mailbox->async.data = mailbox;
	ev_async_start(loop, &mailbox->async);
	return mailbox;
}

void mailbox_post(struct mailbox *mailbox, void (*fn)(void *data), void (*discard)(void *data),
		  void *data)
{
	struct mailbox_letter *letter = malloc(sizeof(*letter));
	bool first;

	if (!letter)
		abort(); /* as gRPC does: posting has no way to fail (rpc.c) */
	*letter = (struct mailbox_letter){ .fn = fn, .discard = discard, .data = data };
	pthread_mutex_lock(&mailbox->lock);
	first = !mailbox->head;
	*mailbox->tail = letter;
	mailbox->tail = &letter->next;
	pthread_mutex_unlock(&mailbox->lock);
	if (first)
		ev_async_send(mailbox->loop, &mailbox->async);
}

struct mailbox *mailbox_free(struct mailbox *mailbox)
{
	struct mailbox_letter *letter, *next;

	if (!mailbox)
		return NULL;
	ev_async_stop(mailbox->loop, &mailbox->async);
	for (letter = mailbox_take(mailbox); letter; letter = next) {
		next = letter->next;
		if (letter->discard)
			letter->discard(letter->data);
		free(letter);
	}
	pthread_mutex_destroy(&mailbox->lock);
	free(mailbox);
	return NULL;
}
