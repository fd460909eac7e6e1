/* SPDX-License-Identifier: Apache-2.0 */
/* The ring against a program that keeps the kernel's half in shared memory: alone, from a second
 * process and from a second thread. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "collectors/watch_queue/ring.h"
#include "ring_kernel.h"

#define SIZE  4096
#define SLOTS (SIZE / 8)

static const enum note_dialect dialects[] = { NOTE_RING_V1, NOTE_RING_V3, NOTE_RING_V5,
					      NOTE_RING_V8 };
#define N_DIALECTS (sizeof(dialects) / sizeof(dialects[0]))

static uint8_t *memory;
static struct ring_kernel kernel;
static struct ring ring;

static int set_up(void **state)
{
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED ? -1 : 0;
}

static int tear_down(void **state)
{
	return munmap(memory, SIZE);
}

static void start(enum note_dialect dialect)
{
	ring_kernel_init(&kernel, memory, SIZE, dialect);
	assert_int_equal(ring_attach(&ring, memory, SIZE, dialect), 0);
}

/* The next value, or 0 with *ret_outcome. */
static uint64_t take(int *ret_outcome)
{
	struct note note;
	uint64_t value;

	*ret_outcome = ring_peek(&ring, &note);
	if (*ret_outcome != 0)
		return 0;
	memcpy(&value, note.data + 8, 8);
	ring_advance(&ring, &note);
	return value;
}

/* Repeatable. */
static uint64_t random_state;

static unsigned pick(unsigned n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(random_state >> 33) % n;
}

static void post_some(unsigned n, uint64_t *posted)
{
	while (n-- > 0 && ring_kernel_post(&kernel, 3 + pick(60), *posted + 1))
		++*posted;
}

/* Up to @n; they come in order. A loss takes one turn. */
static void take_some(unsigned n, uint64_t *seen)
{
	for (int r = 0; n-- > 0 && r != RING_E_EMPTY;) {
		uint64_t value = take(&r);

		assert_int_not_equal(r, RING_E_CORRUPT);
		if (r == 0)
			assert_int_equal(value, ++*seen);
	}
}

/* Records of every length, over many turns, with every fill of the ring. */
static void wraps(void **state)
{
	for (size_t d = 0; d < N_DIALECTS; d++) {
		uint64_t posted = 0, seen = 0;

		start(dialects[d]);
		random_state = d;
		while (posted < 20000) {
			post_some(pick(12), &posted);
			take_some(pick(12), &seen);
		}
		take_some(SLOTS, &seen);
		assert_int_equal(seen, posted);
	}
}

static void attaches_once(void **state)
{
	int r;

	/* v1's first record overwrites mask: it was latched before. */
	start(NOTE_RING_V1);
	assert_true(ring_kernel_post(&kernel, 3, 42));
	assert_int_not_equal(((uint32_t *)(void *)memory)[4], SLOTS - 1);
	assert_int_equal(take(&r), 42);
	assert_int_equal(take(&r), 0);
	assert_int_equal(r, RING_E_EMPTY);
}

/* Everything that is there; returns how often a loss was told. */
static unsigned take_all(uint64_t *seen)
{
	unsigned n_losses = 0;

	for (int r = 0; r != RING_E_EMPTY;) {
		uint64_t value = take(&r);

		n_losses += r == RING_E_LOSS;
		if (r == 0)
			assert_int_equal(value, ++*seen);
	}
	return n_losses;
}

/* A row of drops is one loss, told where the gap is (v1, v3) or at the next look (v5, v8). */
static void tells_losses(void **state)
{
	for (size_t d = 0; d < N_DIALECTS; d++) {
		bool old = dialects[d] == NOTE_RING_V1 || dialects[d] == NOTE_RING_V3;
		uint64_t posted = 0, seen = 0;

		start(dialects[d]);
		while (ring_kernel_post(&kernel, 3, posted + 1))
			posted++;
		assert_false(ring_kernel_post(&kernel, 3, 0));
		assert_int_equal(take_all(&seen), old ? 0 : 1);
		assert_int_equal(seen, posted);
		assert_true(ring_kernel_post(&kernel, 3, ++posted));
		assert_int_equal(take_all(&seen), old ? 1 : 0);
		assert_true(ring_kernel_post(&kernel, 3, ++posted));
		assert_int_equal(take_all(&seen), 0);
		assert_int_equal(seen, posted);
	}
}

/* An event that the pipeline refused is still there; a loss is not told twice for it. */
static void stays_at_the_front(void **state)
{
	struct note note;

	for (size_t d = 0; d < N_DIALECTS; d++) {
		start(dialects[d]);
		kernel.owes_loss = true;
		assert_true(ring_kernel_post(&kernel, 3, 7));
		if (dialects[d] == NOTE_RING_V1 || dialects[d] == NOTE_RING_V3)
			assert_int_equal(ring_peek(&ring, &note), RING_E_LOSS);
		for (int i = 0; i < 3; i++)
			assert_int_equal(ring_peek(&ring, &note), 0);
		ring_advance(&ring, &note);
		assert_int_equal(ring_peek(&ring, &note), RING_E_EMPTY);
	}
}

/* A record that cannot be: everything is given up, and the ring goes on with what comes. */
static void resyncs(void **state)
{
	static const uint32_t bad[] = { 0, 63, 200, 0x1f8 };

	for (size_t d = 0; d < N_DIALECTS; d++) {
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			struct note note;
			int r;

			start(dialects[d]);
			assert_true(ring_kernel_post(&kernel, 3, 1));
			assert_true(ring_kernel_post(&kernel, 3, 2));
			((uint32_t *)(void *)memory)[2 * kernel.meta_slots + 1] =
				note_length(dialects[d], bad[i]) > 48 ? bad[i] : 0;
			assert_int_equal(ring_peek(&ring, &note), RING_E_CORRUPT);
			assert_int_equal(note.size, 48);
			assert_int_equal(ring_peek(&ring, &note), RING_E_EMPTY);
			assert_true(ring_kernel_post(&kernel, 3, 3));
			assert_int_equal(take(&r), 3);
		}
		/* Head further away than the ring is long. */
		start(dialects[d]);
		kernel.head += SLOTS + 8;
		((uint32_t *)(void *)memory)[2] = kernel.head;
		(void)take(&(int){ 0 });
		assert_int_equal(ring.tail, kernel.head);
	}
}

static void refuses_what_is_no_ring(void **state)
{
	static const uint32_t masks[] = { 0, 1, 510, 1023, UINT32_MAX };
	uint32_t *words = (uint32_t *)(void *)memory;

	for (size_t d = 0; d < N_DIALECTS; d++) {
		for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
			start(dialects[d]);
			words[4] = masks[i];
			assert_int_equal(ring_attach(&ring, memory, SIZE, dialects[d]), -EBADMSG);
		}
		start(dialects[d]);
		words[1] = 0;
		assert_int_equal(ring_attach(&ring, memory, SIZE, dialects[d]), -EBADMSG);
		assert_int_equal(ring_attach(&ring, memory, 64, dialects[d]), -EBADMSG);
	}
}

#define N_SHARED 50000

/* Posts N_SHARED records; full means dropped, as in the kernel. The value is the number. */
static void post_all(void)
{
	for (uint64_t i = 1; i <= N_SHARED; i++) {
		if (!ring_kernel_post(&kernel, 3 + (uint32_t)(i % 5), i))
			sched_yield();
	}
}

/* Reads until the last number; the numbers rise, each is whole, and a jump comes with a loss. */
static void read_all(void)
{
	uint64_t last = 0, n_jumps = 0, n_losses = 0;

	for (;;) {
		struct note note;
		uint64_t value, end;
		int r = ring_peek(&ring, &note);

		n_losses += r == RING_E_LOSS;
		assert_int_not_equal(r, RING_E_CORRUPT);
		if (r != 0) {
			sched_yield();
			continue;
		}
		memcpy(&value, note.data + 8, 8);
		memcpy(&end, note.data + note.size - 8, 8);
		assert_int_equal(value, end);
		assert_true(value > last);
		assert_int_equal(note.size, 8 * (3 + value % 5));
		n_jumps += value != last + 1;
		last = value;
		ring_advance(&ring, &note);
		if (value > N_SHARED - 100)
			break;
	}
	if (n_jumps > 0)
		assert_true(n_losses > 0);
}

static void *thread(void *data)
{
	post_all();
	/* The reader waits for one of the last hundred: they may all have found the ring full. */
	while (!ring_kernel_post(&kernel, 3 + N_SHARED % 5, N_SHARED))
		sched_yield();
	return NULL;
}

static void two_threads(void **state)
{
	for (size_t d = 0; d < N_DIALECTS; d++) {
		pthread_t poster;

		start(dialects[d]);
		assert_int_equal(pthread_create(&poster, NULL, thread, NULL), 0);
		read_all();
		/* The poster may still post up to a hundred. */
		while (pthread_tryjoin_np(poster, NULL) == EBUSY)
			(void)take(&(int){ 0 });
	}
}

static void two_processes(void **state)
{
	for (size_t d = 0; d < N_DIALECTS; d++) {
		int status = -1;
		pid_t child;

		start(dialects[d]);
		child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			thread(NULL);
			_exit(0);
		}
		read_all();
		while (waitpid(child, &status, WNOHANG) == 0)
			(void)take(&(int){ 0 });
		assert_int_equal(status, 0);
	}
}

/* No such device: not here; a file that is no such device: refused with its name. */
static void opens_or_says_why(void **state)
{
	const struct config_maps none = { 0 };
	struct errmsg err = { 0 };

	assert_int_equal(ring_open(&ring, "/nowhere/watch_queue", 4, NOTE_RING_V8, &none, &err),
			 RING_E_ABSENT);
	assert_non_null(strstr(err.text, "/nowhere/watch_queue"));
	assert_int_equal(ring_open(&ring, "/dev/null", 4, NOTE_RING_V8, &none, &err), -ENOTTY);
	assert_non_null(strstr(err.text, "/dev/null"));
	assert_int_equal(ring.fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(wraps, set_up, tear_down),
		cmocka_unit_test_setup_teardown(attaches_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(tells_losses, set_up, tear_down),
		cmocka_unit_test_setup_teardown(stays_at_the_front, set_up, tear_down),
		cmocka_unit_test_setup_teardown(resyncs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(refuses_what_is_no_ring, set_up, tear_down),
		cmocka_unit_test_setup_teardown(two_threads, set_up, tear_down),
		cmocka_unit_test_setup_teardown(two_processes, set_up, tear_down),
		cmocka_unit_test(opens_or_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
