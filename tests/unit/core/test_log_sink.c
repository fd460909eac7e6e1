/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sinks behind fd 2, each made for real. cmocka's own report goes to fd 2 as well, so each test
 * puts its sink there only around the calls and restores what was there.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fd.h"
#include "core/log.h"

static int saved_stderr;

/* fd 2 becomes @fd and the log is opened over it. */
static void sink_begin(int fd)
{
	saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	assert_true(saved_stderr >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	log_open("tester", LOG_LEVEL_INFO);
}

static void sink_end(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	saved_stderr = fd_close(saved_stderr);
	log_open("tester", LOG_LEVEL_INFO);
}

static size_t read_some(int fd, char *text, size_t size)
{
	ssize_t n = read(fd, text, size - 1);

	text[n < 0 ? 0 : n] = '\0';
	return n < 0 ? 0 : (size_t)n;
}

static void test_file(void **state)
{
	FILE *file = tmpfile();
	char text[256];

	(void)state;
	sink_begin(fileno(file));
	log_error("disk gone name=\"%s\"", "a\nb");
	sink_end();
	rewind(file);
	assert_non_null(fgets(text, sizeof(text), file));
	assert_string_equal(text, "tester: error: disk gone name=\"a\\nb\"\n");
	assert_null(fgets(text, sizeof(text), file));
	fclose(file);
}

/* A reader that sleeps costs lines, never the caller; the pipe itself keeps its flags. */
static void test_full_pipe(void **state)
{
	uint64_t before = log_dropped();
	char text[4096];
	int fds[2], flags;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	sink_begin(fds[1]);
	for (int i = 0; i < 5000; i++)
		log_notice("a line that fills the pipe number=%d", i);
	flags = fcntl(fds[1], F_GETFL);
	sink_end();
	assert_int_equal(flags & O_NONBLOCK, 0);
	assert_in_range(log_dropped() - before, 1, 4999);
	read_some(fds[0], text, sizeof(text));
	assert_non_null(strstr(text, "tester: notice: a line that fills the pipe number=0\n"));
	fd_close(fds[0]);
	fd_close(fds[1]);
}

static void test_pipe_without_reader(void **state)
{
	uint64_t before = log_dropped();
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	sink_begin(fds[1]);
	fd_close(fds[0]);
	log_notice("to nobody"); /* SIGPIPE has its default here */
	sink_end();
	fd_close(fds[1]);
	assert_int_equal(log_dropped() - before, 1);
}

static void test_full_socket_and_no_peer(void **state)
{
	uint64_t before = log_dropped();
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	sink_begin(fds[1]);
	for (int i = 0; i < 20000; i++)
		log_notice("a line that fills the socket number=%d", i);
	fd_close(fds[0]);
	log_notice("to nobody");
	sink_end();
	fd_close(fds[1]);
	assert_in_range(log_dropped() - before, 2, 20001);
}

static void test_closed_stderr(void **state)
{
	uint64_t before = log_dropped();

	(void)state;
	sink_begin(STDERR_FILENO);
	close(STDERR_FILENO);
	log_open("tester", LOG_LEVEL_INFO);
	log_notice("to nowhere");
	sink_end();
	assert_int_equal(log_dropped() - before, 1);
}

/* With JOURNAL_STREAM and no journald to be reached, the stream gets the line with its level. */
static void test_journal_stream(void **state)
{
	char stream[64], text[256];
	struct stat st;
	int fds[2];

	(void)state;
	if (access("/run/systemd/journal/socket", F_OK) == 0) {
		print_message("skipped: this machine's own journal would take the line\n");
		skip();
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(fstat(fds[1], &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	sink_begin(fds[1]);
	log_warning("clock stepped ms=%d", 12);
	sink_end();
	read_some(fds[0], text, sizeof(text));
	assert_string_equal(text, "<4>clock stepped ms=12\n");

	/* The variable is inherited by children whose stderr is another file. */
	setenv("JOURNAL_STREAM", "1:2", 1);
	sink_begin(fds[1]);
	log_warning("clock stepped ms=%d", 12);
	sink_end();
	unsetenv("JOURNAL_STREAM");
	read_some(fds[0], text, sizeof(text));
	assert_string_equal(text, "tester: warning: clock stepped ms=12\n");
	fd_close(fds[0]);
	fd_close(fds[1]);
}

static atomic_bool stop_logging;

static void *log_forever(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop_logging))
		log_notice("from a thread");
	return NULL;
}

/* A child may log although another thread held the lock when it was made. */
static void test_fork_while_a_thread_logs(void **state)
{
	_cleanup_fd_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int failures = 0;
	pthread_t threads[3];

	(void)state;
	sink_begin(null);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_forever, NULL), 0);
	for (int i = 0; i < 300 && failures == 0; i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0) {
			alarm(60); /* a deadlock must end the test */
			log_notice("from the child");
			_exit(0);
		}
		failures += pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
	}
	atomic_store(&stop_logging, true);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	sink_end();
	assert_int_equal(failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_full_pipe),
		cmocka_unit_test(test_pipe_without_reader),
		cmocka_unit_test(test_full_socket_and_no_peer),
		cmocka_unit_test(test_closed_stderr),
		cmocka_unit_test(test_journal_stream),
		cmocka_unit_test(test_fork_while_a_thread_logs),
	};

	unsetenv("JOURNAL_STREAM");
	signal(SIGPIPE, SIG_DFL); /* who starts us may ignore it */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
