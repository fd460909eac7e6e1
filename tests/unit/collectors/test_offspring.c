/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collectors/offspring.h"
#include "core/fd.h"

/* Until it has ended. */
static int read_all(struct offspring *offspring)
{
	bool progress;
	int r;

	while ((r = offspring_read(offspring, &progress)) == 0) {
		struct pollfd readable = { .fd = offspring->fd, .events = POLLIN };

		assert_int_equal(poll(&readable, 1, 30000), 1);
	}
	return r;
}

struct facts {
	bool term_is_default, usr1_is_blocked, other_fd_is_open, kept_fd_is_open;
};

struct wish {
	int other, kept;
};

static int tell_facts(void *data, int out)
{
	const struct wish *wish = data;
	struct facts facts = { 0 };
	struct sigaction action;
	sigset_t blocked;

	sigaction(SIGTERM, NULL, &action);
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	facts.term_is_default = action.sa_handler == SIG_DFL;
	facts.usr1_is_blocked = sigismember(&blocked, SIGUSR1) == 1;
	facts.other_fd_is_open = fcntl(wish->other, F_GETFD) >= 0;
	facts.kept_fd_is_open = fcntl(wish->kept, F_GETFD) >= 0;
	return fd_write_all(out, &facts, sizeof(facts)) == 0 ? 0 : 1;
}

/* Whatever the parent has done to its signals and descriptors. */
static void test_child_is_clean(void **state)
{
	struct wish wish = { .other = dup(1), .kept = dup(1) };
	struct offspring_spec spec = {
		.name = "test", .keep = wish.kept, .run = tell_facts, .data = &wish
	};
	struct offspring offspring;
	struct facts facts;
	sigset_t usr1, before;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, &before);
	signal(SIGTERM, SIG_IGN);
	offspring_init(&offspring, 0);
	assert_int_equal(offspring_start(&offspring, &spec), 0);
	assert_true(offspring_is_running(&offspring));
	assert_int_equal(read_all(&offspring), OFFSPRING_E_DONE);
	assert_false(offspring_is_running(&offspring));
	assert_int_equal(offspring.answer.size, sizeof(facts));
	memcpy(&facts, offspring.answer.data, sizeof(facts));
	assert_true(facts.term_is_default);
	assert_false(facts.usr1_is_blocked);
	assert_false(facts.other_fd_is_open);
	assert_true(facts.kept_fd_is_open);
	signal(SIGTERM, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	offspring_deinit(&offspring);
	close(wish.other);
	close(wish.kept);
}

static int sleep_for_ever(void *data, int out)
{
	while (pause() != 0)
		;
	return 0;
}

static void test_killed_child_ends(void **state)
{
	struct offspring_spec spec = { .name = "test", .keep = -1, .run = sleep_for_ever };
	struct offspring offspring;
	bool progress;

	offspring_init(&offspring, 0);
	assert_int_equal(offspring_start(&offspring, &spec), 0);
	assert_int_equal(offspring_read(&offspring, &progress), 0);
	assert_false(progress);
	offspring_kill(&offspring);
	assert_int_equal(read_all(&offspring), OFFSPRING_E_DONE);
	assert_int_equal(offspring.answer.size, 0);
	offspring_deinit(&offspring);
}

static int write_much(void *data, int out)
{
	char block[4096] = { 0 };

	for (int i = 0; i < 64; i++)
		if (fd_write_all(out, block, sizeof(block)) != 0)
			return 1;
	return 0;
}

/* The child may wait for its reader; above the limit the reader gives up, not the memory. */
static void test_answer_has_a_limit(void **state)
{
	struct offspring_spec spec = { .name = "test", .keep = -1, .run = write_much };
	struct offspring offspring;

	offspring_init(&offspring, 1 << 20);
	assert_int_equal(offspring_start(&offspring, &spec), 0);
	assert_int_equal(read_all(&offspring), OFFSPRING_E_DONE);
	assert_int_equal(offspring.answer.size, 64 * 4096);
	offspring_deinit(&offspring);

	offspring_init(&offspring, 100000);
	assert_int_equal(offspring_start(&offspring, &spec), 0);
	assert_int_equal(read_all(&offspring), -ENOBUFS);
	offspring_deinit(&offspring);
}

/* One that survives: SIGTERM does not end it, nor its own session's end. */
static void test_survivor_ignores_term(void **state)
{
	struct offspring_spec spec = {
		.name = "test", .keep = -1, .survives = true, .run = sleep_for_ever
	};
	struct offspring offspring;
	pid_t pid;
	int status;

	offspring_init(&offspring, 0);
	assert_int_equal(offspring_start(&offspring, &spec), 0);
	pid = offspring.pid;
	kill(pid, SIGTERM);
	offspring_leave(&offspring);
	assert_false(offspring_is_running(&offspring));
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	assert_int_equal(offspring_wait_left(1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(offspring_wait_left(1), 0);
	offspring_deinit(&offspring);
}

/* The end of one that survives is waited for. */
static void test_survivor_is_waited_for(void **state)
{
	struct wish wish = { .other = -1, .kept = -1 };
	struct offspring_spec spec = {
		.name = "test", .keep = -1, .survives = true, .run = tell_facts, .data = &wish
	};
	struct offspring offspring;

	offspring_init(&offspring, 0);
	assert_int_equal(offspring_start(&offspring, &spec), 0);
	offspring_leave(&offspring);
	assert_int_equal(offspring_wait_left(30000000000), 0);
	while (waitpid(-1, NULL, 0) > 0)
		;
	offspring_deinit(&offspring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_child_is_clean),
		cmocka_unit_test(test_killed_child_ends),
		cmocka_unit_test(test_answer_has_a_limit),
		cmocka_unit_test(test_survivor_ignores_term),
		cmocka_unit_test(test_survivor_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
