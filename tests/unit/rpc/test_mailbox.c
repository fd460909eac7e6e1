/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/mailbox.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define N_THREADS 3
#define N_LETTERS 5000

struct sender {
	struct mailbox *mailbox;
	struct reader *reader;
	unsigned sent, read;
};

struct reader {
	struct ev_loop *loop;
	struct sender senders[N_THREADS];
	unsigned read, discarded;
};

struct letter {
	struct sender *sender;
	unsigned number;
};

static void letter_read(void *data)
{
	struct letter *letter = data;
	struct reader *reader = letter->sender->reader;

	assert_int_equal(letter->number, letter->sender->read++);
	free(letter);
	if (++reader->read == N_THREADS * N_LETTERS)
		ev_break(reader->loop, EVBREAK_ONE);
}

static void letter_discard(void *data)
{
	struct letter *letter = data;

	letter->sender->reader->discarded++;
	free(letter);
}

static void letter_post(struct sender *sender)
{
	struct letter *letter = malloc(sizeof(*letter));

	if (!letter)
		abort();
	*letter = (struct letter){ .sender = sender, .number = sender->sent++ };
	mailbox_post(sender->mailbox, letter_read, letter_discard, letter);
}

static void *sender_main(void *data)
{
	for (unsigned i = 0; i < N_LETTERS; i++)
		letter_post(data);
	return NULL;
}

static void test_order_of_every_sender(void **state)
{
	struct reader reader = { .loop = ev_loop_new(EVFLAG_AUTO) };
	struct mailbox *mailbox = mailbox_new(reader.loop);
	pthread_t threads[N_THREADS];

	(void)state;
	for (unsigned i = 0; i < N_THREADS; i++) {
		reader.senders[i] = (struct sender){ .mailbox = mailbox, .reader = &reader };
		assert_int_equal(pthread_create(&threads[i], NULL, sender_main, &reader.senders[i]),
				 0);
	}
	ev_run(reader.loop, 0);
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(reader.read, N_THREADS * N_LETTERS);
	for (unsigned i = 0; i < 7; i++)
		letter_post(&reader.senders[0]);
	assert_null(mailbox_free(mailbox));
	assert_int_equal(reader.discarded, 7);
	assert_null(mailbox_free(NULL));
	ev_loop_destroy(reader.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_of_every_sender),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
