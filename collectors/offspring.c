/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/offspring.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fd.h"

/*
 * Signals are blocked around fork, so that no handler of the parent runs in the child. A parent
 * that has died before prctl is found by its changed number.
 */
#define OFFSPRING_READ 65536
#define OFFSPRING_LEFT 8

static int offspring_left[OFFSPRING_LEFT]; /* pidfds of the last ones that survive */
static size_t offspring_n_left;

static void offspring_close_others(int a, int b)
{
	int low = a < b ? a : b, high = a < b ? b : a;

	if (low < 3) /* only one to keep */
		low = high;
	if (low > 3)
		(void)syscall(SYS_close_range, 3, low - 1, 0);
	if (high > low + 1)
		(void)syscall(SYS_close_range, low + 1, high - 1, 0);
	(void)syscall(SYS_close_range, high + 1, ~0U, 0);
}

static void offspring_reset_signals(bool survives)
{
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	if (survives)
		(void)signal(SIGTERM, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void __attribute__((noreturn))
offspring_child(const struct offspring_spec *spec, int out, pid_t parent)
{
	offspring_reset_signals(spec->survives);
	prctl(PR_SET_NAME, spec->name);
	offspring_close_others(out, spec->keep);
	/* It may wait for its reader. */
	(void)fcntl(out, F_SETFL, 0);
	if (spec->survives)
		(void)setsid();
	else
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!spec->survives && getppid() != parent)
		_exit(1);
	_exit(spec->run(spec->data, out));
}

void offspring_init(struct offspring *offspring, size_t max_answer)
{
	*offspring = (struct offspring){ .fd = -1, .pidfd = -1, .answer.max = max_answer };
}

bool offspring_is_running(const struct offspring *offspring)
{
	return offspring->fd >= 0;
}

int offspring_start(struct offspring *offspring, const struct offspring_spec *spec)
{
	pid_t parent = getpid();
	sigset_t all, before;
	int ends[2], error;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return -errno;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	offspring->pid = fork();
	if (offspring->pid == 0)
		offspring_child(spec, ends[1], parent);
	error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (offspring->pid < 0) {
		close(ends[0]);
		return -error;
	}
	buf_reset(&offspring->answer);
	offspring->survives = spec->survives;
	offspring->fd = ends[0];
	/* So that a later kill can't hit another process with a recycled number. */
	offspring->pidfd = (int)syscall(SYS_pidfd_open, offspring->pid, 0);
	return 0;
}

void offspring_leave(struct offspring *offspring)
{
	offspring->fd = fd_close(offspring->fd);
	if (offspring->survives && offspring->pidfd >= 0 && offspring_n_left < OFFSPRING_LEFT) {
		offspring_left[offspring_n_left++] = offspring->pidfd;
		offspring->pidfd = -1;
	}
	offspring->pidfd = fd_close(offspring->pidfd);
	/* In the agent the loop reaps it, now or when the kernel lets it go. Elsewhere it may have
	 * ended by now. */
	(void)waitpid(offspring->pid, NULL, WNOHANG);
}

size_t offspring_wait_left(uint64_t timeout_ns)
{
	uint64_t end_ns = clock_monotonic_ns() + timeout_ns;
	size_t n_running = 0;

	for (size_t i = 0; i < offspring_n_left; i++) {
		struct pollfd ended = { .fd = offspring_left[i], .events = POLLIN };
		uint64_t now_ns = clock_monotonic_ns();
		int left_ms = now_ns < end_ns ? (int)((end_ns - now_ns) / CLOCK_NS_PER_MS) : 0;

		/* A pidfd is readable when its process has ended: pidfd_open(2). */
		n_running += poll(&ended, 1, left_ms) != 1;
		fd_close(offspring_left[i]);
	}
	offspring_n_left = 0;
	return n_running;
}

int offspring_read(struct offspring *offspring, bool *ret_progress)
{
	struct buf *answer = &offspring->answer;

	*ret_progress = false;
	for (;;) {
		ssize_t size;
		int r = buf_reserve(answer, OFFSPRING_READ);

		if (r < 0)
			return r;
		size = read(offspring->fd, answer->data + answer->size, OFFSPRING_READ);
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return errno == EAGAIN ? 0 : -errno;
		*ret_progress = true;
		if (size == 0)
			break;
		answer->size += (size_t)size;
	}
	offspring_leave(offspring);
	return OFFSPRING_E_DONE;
}

void offspring_kill(const struct offspring *offspring)
{
	if (offspring_is_running(offspring) && offspring->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, offspring->pidfd, SIGKILL, NULL, 0);
}

void offspring_stop(struct offspring *offspring)
{
	offspring_kill(offspring);
	if (offspring_is_running(offspring))
		offspring_leave(offspring);
	buf_reset(&offspring->answer);
}

void offspring_deinit(struct offspring *offspring)
{
	offspring_stop(offspring);
	buf_deinit(&offspring->answer);
}
