/* SPDX-License-Identifier: Apache-2.0 */
/* The reading half over an ordinary pipe that carries records, and opening on the kernel that runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "collectors/watch_queue/pipe.h"

static struct pipe_queue queue;

static int set_up(void **state)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -1;
	queue.read_fd = fds[0];
	queue.write_fd = fds[1];
	queue.used = queue.at = 0;
	return 0;
}

static int tear_down(void **state)
{
	pipe_close(&queue);
	return 0;
}

static void post(const void *data, size_t size)
{
	assert_int_equal(write(queue.write_fd, data, size), size);
}

static void several_records_in_one_read(void **state)
{
	static const uint32_t words[] = { 1 | 2 << 24, 16 | 7 << 8, 11,		 1,  0 | 1 << 24,
					  8,	       1 | 3 << 24, 16 | 7 << 8, 12, 2 };
	static const enum note_kind kinds[] = { NOTE_KEY, NOTE_LOSS, NOTE_KEY };
	struct note note;

	assert_int_equal(pipe_peek(&queue, NOTE_MAINLINE, &note), PIPE_E_EMPTY);
	post(words, sizeof(words));
	for (size_t i = 0; i < 3; i++) {
		/* It stays at the front until it was taken. */
		assert_int_equal(pipe_peek(&queue, NOTE_MAINLINE, &note), 0);
		assert_int_equal(pipe_peek(&queue, NOTE_MAINLINE, &note), 0);
		assert_int_equal(note.kind, kinds[i]);
		pipe_advance(&queue, &note);
	}
	assert_int_equal(note.key.id, 12);
	assert_int_equal(pipe_peek(&queue, NOTE_MAINLINE, &note), PIPE_E_EMPTY);
}

static void bytes_that_are_no_record(void **state)
{
	static const uint32_t words[] = { 1 | 2 << 24, 16 | 7 << 8, 11, 1, 0x55555555, 4, 3 };
	static const uint32_t good[] = { 1 | 2 << 24, 16 | 7 << 8, 13, 1 };
	struct note note;

	post(words, sizeof(words));
	assert_int_equal(pipe_peek(&queue, NOTE_MAINLINE, &note), 0);
	pipe_advance(&queue, &note);
	assert_int_equal(pipe_peek(&queue, NOTE_MAINLINE, &note), -EBADMSG);
	assert_int_equal(note.size, 12);
	assert_memory_equal(note.data, words + 4, 12);
	pipe_advance(&queue, &note);
	post(good, sizeof(good));
	assert_int_equal(pipe_peek(&queue, NOTE_MAINLINE, &note), 0);
	assert_int_equal(note.key.id, 13);
}

/* A kernel without it says so in words; one with it has a pipe of the size asked for. */
static void opens_or_says_why(void **state)
{
	struct pipe_queue other;
	struct errmsg err = { 0 };
	struct note note;
	int r = pipe_open(&other, 32, &err);

	if (r == PIPE_E_ABSENT) {
		assert_non_null(strstr(err.text, "CONFIG_WATCH_QUEUE"));
		assert_int_equal(other.read_fd, -1);
		return;
	}
	assert_int_equal(r, 0);
	assert_int_equal(pipe_peek(&other, NOTE_MAINLINE, &note), PIPE_E_EMPTY);
	pipe_close(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(several_records_in_one_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(bytes_that_are_no_record, set_up, tear_down),
		cmocka_unit_test(opens_or_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
