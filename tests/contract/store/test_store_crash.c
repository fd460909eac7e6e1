/* SPDX-License-Identifier: Apache-2.0 */
/* kill -9 of a writing child at any moment: what it said is stored is stored, once and in order. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define ROUNDS 30

/* Writes on from the mark, batches of odd sizes, overlapping what is there; tells each mark through
 * the pipe. */
static void child(struct fixture *f, int fd, unsigned seed)
{
	uint64_t mark;

	fixture_open(f);
	mark = fixture_mark(f, "h1", fixture_epoch_a);
	for (;;) {
		uint32_t count = (uint32_t)rand_r(&seed) % 200 + 1;
		uint64_t first = mark + 1, overlap = (uint64_t)rand_r(&seed) % 20;
		struct store_batch batch;

		first -= overlap < mark ? overlap : 0;
		if (fixture_batch(f, "h1", fixture_epoch_a, first, count, &batch) != 0 ||
		    batch.ret_conflicts != 0)
			_exit(1);
		mark = batch.ret_mark;
		if (write(fd, &mark, sizeof(mark)) != sizeof(mark))
			_exit(2);
	}
}

/* Reads acks until @n came, kills, reads the rest. The last ack. */
static uint64_t kill_child(pid_t pid, int fd, unsigned n)
{
	uint64_t mark = 0, last = 0;
	int status;

	while (read(fd, &mark, sizeof(mark)) == sizeof(mark)) {
		last = mark;
		if (n-- == 0)
			kill(pid, SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return last;
}

static void check(struct fixture *f, uint64_t acked)
{
	struct store_query query = { .limit = 1000 };
	struct fixture_rows rows;
	uint64_t seq = 0;

	fixture_open(f);
	do {
		fixture_query(f, &query, &rows);
		for (size_t i = 0; i < rows.n; i++)
			assert_int_equal(rows.rows[i].seq, ++seq);
		query.after_id = rows.page.last_id;
		free(rows.rows);
	} while (rows.page.more);
	assert_true(seq >= acked);
	assert_int_equal(fixture_mark(f, "h1", fixture_epoch_a), seq);
	fixture_close(f);
}

static void test_kill_at_any_moment(void **state)
{
	struct fixture *f = *state;
	unsigned seed = 7;

	fixture_close(f);
	for (unsigned round = 0; round < ROUNDS; round++) {
		int fds[2];
		uint64_t acked;
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(fds[0]);
			child(f, fds[1], seed + round);
		}
		close(fds[1]);
		acked = kill_child(pid, fds[0], (unsigned)rand_r(&seed) % 12);
		close(fds[0]);
		check(f, acked);
	}
	fixture_open(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kill_at_any_moment, fixture_setup,
						fixture_teardown),
	};

	return fixture_run("crash", tests, sizeof(tests) / sizeof(tests[0]));
}
