/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs @fn in a child that has entered the sandbox; its exit status, or 128 + the signal that
 * killed it. */
static int inside(int (*fn)(void))
{
	struct errmsg err = { .line = 0 };
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (sandbox_enter(&err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			_exit(99);
		}
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int try_execve(void)
{
	char *argv[] = { (char *)"/bin/true", NULL };

	execve(argv[0], argv, argv + 1);
	return 1;
}

static int try_execveat(void)
{
	char *argv[] = { (char *)"/bin/true", NULL };

	syscall(SYS_execveat, AT_FDCWD, argv[0], argv, argv + 1, 0);
	return 1;
}

static int try_ptrace(void)
{
	ptrace(PTRACE_TRACEME, 0, NULL, NULL);
	return 1;
}

static int try_mount(void)
{
	mount("none", "/", NULL, MS_REMOUNT, NULL);
	return 1;
}

static int try_bpf(void)
{
	syscall(SYS_bpf, 0, NULL, 0);
	return 1;
}

static int try_setuid(void)
{
	syscall(SYS_setuid, 0);
	return 1;
}

static void test_deadly_calls(void **state)
{
	int (*const tries[])(void) = { try_execve, try_execveat, try_ptrace,
				       try_mount,  try_bpf,	 try_setuid };

	(void)state;
	for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++)
		assert_int_equal(inside(tries[i]), 128 + SIGSYS);
}

/* New processes: fork of libc is clone without CLONE_THREAD. */
static int try_refused(void)
{
	if (syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) != -1 || errno != EPERM)
		return 1;
	if (open("/tmp/pathbell-sandbox-test", O_WRONLY | O_CREAT, 0600) != -1 || errno != EPERM)
		return 2;
	if (open("/dev/null", O_RDWR) != -1 || errno != EPERM)
		return 3;
	if (unlink("/tmp/pathbell-sandbox-test") != -1 || errno != EPERM)
		return 4;
	if (kill(getppid(), 0) != -1 || errno != EPERM)
		return 5;
	if (chmod("/tmp/pathbell-sandbox-test", 0600) != -1 || errno != EPERM)
		return 6;
	return 0;
}

static void test_refused_calls(void **state)
{
	(void)state;
	assert_int_equal(inside(try_refused), 0);
}

static void *thread_main(void *data)
{
	return data;
}

static int try_needed(void)
{
	pthread_t thread;
	void *result = NULL;
	char byte;
	int fd = open("/proc/self/status", O_RDONLY);

	if (fd < 0 || read(fd, &byte, 1) != 1)
		return 1;
	if (pthread_create(&thread, NULL, thread_main, &byte) != 0 ||
	    pthread_join(thread, &result) != 0 || result != &byte)
		return 2;
	if (socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0 && errno != EAFNOSUPPORT)
		return 3;
	if (prctl(PR_GET_DUMPABLE) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 4;
	return 0;
}

static void test_needed_calls(void **state)
{
	(void)state;
	assert_int_equal(inside(try_needed), 0);
}

/* /proc/self/status belongs to root once dumpable is off, but reads well enough for its owner's
 * threads. */
static int try_capabilities(void)
{
	static const char *const sets[] = { "CapInh:", "CapPrm:", "CapEff:", "CapAmb:" };
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	unsigned found = 0;

	if (!file)
		return 1;
	while (fgets(line, sizeof(line), file)) {
		for (size_t i = 0; i < 4; i++) {
			if (strncmp(line, sets[i], 7) != 0)
				continue;
			found++;
			if (strtoull(line + 8, NULL, 16) != 0)
				return 2;
		}
	}
	return found == 4 ? 0 : 3;
}

static void test_no_capabilities(void **state)
{
	(void)state;
	assert_int_equal(inside(try_capabilities), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deadly_calls),
		cmocka_unit_test(test_refused_calls),
		cmocka_unit_test(test_needed_calls),
		cmocka_unit_test(test_no_capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
