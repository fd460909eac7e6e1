/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fd.h"
#include "core/notify.h"

static int listener = -1;
static char path[64];

static void listen_at(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(name);

	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	listener = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(listener >= 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
}

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/pathbell-notify-%d", getpid());
	listen_at(path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	listener = fd_close(listener);
	unlink(path);
	return 0;
}

static const char *received(void)
{
	static char text[2048];
	ssize_t n = recv(listener, text, sizeof(text) - 1, 0);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void test_messages(void **state)
{
	unsigned long long usec;

	(void)state;
	assert_int_equal(notify_ready("serving 3 hosts"), 0);
	assert_string_equal(received(), "READY=1\nSTATUS=serving 3 hosts");
	assert_int_equal(notify_ready(NULL), 0);
	assert_string_equal(received(), "READY=1");
	assert_int_equal(notify_stopping(), 0);
	assert_string_equal(received(), "STOPPING=1");
	assert_int_equal(notify_watchdog(), 0);
	assert_string_equal(received(), "WATCHDOG=1");
	assert_int_equal(notify_status("bad\nREADY=1"), 0);
	assert_string_equal(received(), "STATUS=bad READY=1");
	assert_int_equal(notify_reloading(), 0);
	assert_int_equal(sscanf(received(), "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
	assert_true(usec > 0);
}

static void test_abstract_socket(void **state)
{
	char name[64];

	(void)state;
	listener = fd_close(listener);
	snprintf(name, sizeof(name), "@pathbell-notify-%d", getpid());
	listen_at(name);
	assert_int_equal(notify_watchdog(), 0);
	assert_string_equal(received(), "WATCHDOG=1");
}

static void test_no_manager_and_bad_ones(void **state)
{
	char name[200];

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_watchdog(), 0);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(notify_watchdog(), -EAFNOSUPPORT);
	setenv("NOTIFY_SOCKET", "@", 1);
	assert_int_equal(notify_watchdog(), -EAFNOSUPPORT);
	memset(name, '/', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
	assert_int_equal(notify_watchdog(), -ENAMETOOLONG);
	setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
	assert_int_equal(notify_watchdog(), -ENOENT);
}

/* A manager that does not read gets no more, and we do not wait for it. */
static void test_full_socket(void **state)
{
	int r = 0;

	(void)state;
	for (int i = 0; i < 100000 && r == 0; i++)
		r = notify_watchdog();
	assert_int_equal(r, -EAGAIN);
}

static void test_watchdog_interval(void **state)
{
	uint64_t ns = 7;
	char pid[16];

	(void)state;
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	assert_false(notify_watchdog_interval(&ns));
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_true(notify_watchdog_interval(&ns));
	assert_int_equal(ns, UINT64_C(15000000000));
	setenv("WATCHDOG_PID", "1", 1);
	assert_false(notify_watchdog_interval(&ns));
	snprintf(pid, sizeof(pid), "%d", getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_true(notify_watchdog_interval(&ns));
	setenv("WATCHDOG_USEC", "99999999999999999999", 1);
	assert_false(notify_watchdog_interval(&ns));
	setenv("WATCHDOG_USEC", "5s", 1);
	assert_false(notify_watchdog_interval(&ns));
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
}

#define notify_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		notify_test(test_messages),
		notify_test(test_abstract_socket),
		notify_test(test_no_manager_and_bad_ones),
		notify_test(test_full_socket),
		cmocka_unit_test(test_watchdog_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
