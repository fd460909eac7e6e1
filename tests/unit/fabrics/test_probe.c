/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fabrics/probe.h"

static int listen_any(struct tid *ret_tid)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	memset(ret_tid, 0, sizeof(*ret_tid));
	snprintf(ret_tid->transport, sizeof(ret_tid->transport), "tcp");
	snprintf(ret_tid->traddr, sizeof(ret_tid->traddr), "127.0.0.1");
	snprintf(ret_tid->trsvcid, sizeof(ret_tid->trsvcid), "%u", ntohs(address.sin_port));
	return fd;
}

/* The target's side, in a child: checks what came and answers, or closes. Its status. */
static pid_t target(int listener, bool answers)
{
	pid_t pid = fork();
	uint8_t pdu[128];
	int fd;

	if (pid != 0)
		return pid;
	fd = accept(listener, NULL, NULL);
	if (recv(fd, pdu, sizeof(pdu), MSG_WAITALL) != (ssize_t)sizeof(pdu) || pdu[0] != 0 ||
	    pdu[2] != 128 || pdu[4] != 128)
		_exit(1);
	pdu[0] = 1; /* ICResp */
	if (answers && send(fd, pdu, sizeof(pdu), 0) != (ssize_t)sizeof(pdu))
		_exit(2);
	_exit(0);
}

static void check_status(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_answer(void **state)
{
	struct tid tid;
	int listener = listen_any(&tid);
	pid_t pid = target(listener, true);

	assert_int_equal(probe_tcp(&tid, 0), 0);
	check_status(pid);
	close(listener);
}

static void test_closed(void **state)
{
	struct tid tid;
	int listener = listen_any(&tid);
	pid_t pid = target(listener, false);

	assert_int_equal(probe_tcp(&tid, 0), -ECONNRESET);
	check_status(pid);
	close(listener);
}

static void test_refused(void **state)
{
	struct tid tid;
	int listener = listen_any(&tid);

	close(listener);
	assert_int_equal(probe_tcp(&tid, 0), -ECONNREFUSED);
}

/* It waits as long as it is let. */
static void test_mute(void **state)
{
	struct tid tid;
	int listener = listen_any(&tid), status, fd;
	uint8_t pdu[128];
	pid_t pid = fork();

	if (pid == 0)
		_exit(probe_tcp(&tid, 0) == 0 ? 0 : 1);
	fd = accept(listener, NULL, NULL);
	assert_int_equal(recv(fd, pdu, sizeof(pdu), MSG_WAITALL), sizeof(pdu));
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	close(fd);
	close(listener);
}

static void test_mute_for_too_long(void **state)
{
	struct tid tid;
	int listener = listen_any(&tid);

	assert_int_equal(probe_tcp(&tid, 1), -ETIMEDOUT);
	close(listener);
}

static void test_not_ours(void **state)
{
	struct tid tid = { .transport = "fc", .traddr = "nn-0x1:pn-0x2" };

	assert_int_equal(probe_tcp(&tid, 0), 0);
	snprintf(tid.transport, sizeof(tid.transport), "tcp");
	snprintf(tid.traddr, sizeof(tid.traddr), "array.example.org");
	assert_int_equal(probe_tcp(&tid, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),	 cmocka_unit_test(test_closed),
		cmocka_unit_test(test_refused),	 cmocka_unit_test(test_mute),
		cmocka_unit_test(test_not_ours), cmocka_unit_test(test_mute_for_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
