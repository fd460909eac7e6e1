/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real socket in a network namespace of our own. A message sent to nl_pid 0 there is multicast
 * by the kernel as if it were its own (uevent_net_rcv_skb, lib/kobject_uevent.c, Linux 6.12); one
 * sent to the group is an ordinary multicast. Uevents of the real kernel come too: they are left
 * out by subsystem.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collectors/uevent/uevent.h"

static int sender = -1;
static struct uevent event;
static uint64_t lost;

static void test_send(uint32_t groups, const void *text, size_t size)
{
	struct sockaddr_nl to = { .nl_family = AF_NETLINK, .nl_groups = groups };
	char bytes[NLMSG_HDRLEN + 2048] = { 0 };
	struct nlmsghdr header = { .nlmsg_len = (uint32_t)(NLMSG_HDRLEN + size),
				   /* below NLMSG_MIN_TYPE are control messages */
				   .nlmsg_type = NLMSG_MIN_TYPE,
				   .nlmsg_flags = NLM_F_REQUEST };
	size_t head = groups == 0 ? NLMSG_HDRLEN : 0;

	/* A multicast is passed on as it is: no header. */
	memcpy(bytes, &header, head);
	memcpy(bytes + head, text, size);
	assert_int_equal(sendto(sender, bytes, head + size, 0, (struct sockaddr *)&to, sizeof(to)),
			 head + size);
}

static void inject(int number)
{
	char text[128] = "change@/devices/test";
	size_t size = strlen(text) + 1;

	size += (size_t)snprintf(text + size, sizeof(text) - size, "SUBSYSTEM=pathbell") + 1;
	size += (size_t)snprintf(text + size, sizeof(text) - size, "N=%d", number) + 1;
	test_send(0, text, size);
}

/* The next of our own, or an outcome. */
static int next(struct uevent_socket *socket)
{
	int r;

	do
		r = uevent_next(socket, &event, &lost);
	while (r == 0 && strcmp(event.subsystem, "pathbell") != 0);
	return r;
}

static uint64_t number(void)
{
	uint64_t n = UINT64_MAX;

	assert_true(uevent_get_number(&event, "N", &n));
	return n;
}

static int setup(void **state)
{
	struct uevent_socket *socket;

	if (sender < 0)
		skip();
	assert_int_equal(uevent_open(&socket, 0), 0);
	*state = socket;
	return 0;
}

static int teardown(void **state)
{
	*state = uevent_close(*state);
	return 0;
}

static void test_injected(void **state)
{
	struct uevent_socket *socket = *state;
	struct pollfd readable = { .fd = uevent_fd(socket), .events = POLLIN };

	assert_int_equal(next(socket), UEVENT_E_EMPTY);
	inject(1);
	inject(2);
	assert_int_equal(poll(&readable, 1, 10000), 1);
	assert_int_equal(next(socket), 0);
	assert_int_equal(number(), 1);
	assert_string_equal(event.action, "change");
	assert_string_equal(event.devpath, "/devices/test");
	assert_true(event.seqnum > 0);
	assert_int_equal(next(socket), 0);
	assert_int_equal(number(), 2);
	assert_int_equal(next(socket), UEVENT_E_EMPTY);
	assert_int_equal(uevent_skipped(socket), 0);
}

static void test_multicast_of_a_process_is_refused(void **state)
{
	static const char text[] = "change@/devices/test\0SUBSYSTEM=pathbell\0N=9";
	struct uevent_socket *socket = *state;

	test_send(1, text, sizeof(text));
	inject(1);
	assert_int_equal(next(socket), 0);
	assert_int_equal(number(), 1);
	assert_int_equal(next(socket), UEVENT_E_EMPTY);
	assert_int_equal(uevent_skipped(socket), 1);
}

static void test_malformed_is_skipped(void **state)
{
	static const char text[] = "no header";
	struct uevent_socket *socket = *state;

	test_send(0, text, sizeof(text));
	inject(1);
	assert_int_equal(next(socket), 0);
	assert_int_equal(next(socket), UEVENT_E_EMPTY);
	assert_int_equal(uevent_skipped(socket), 1);
}

#define N_OVERRUN 400

/* Kept and lost are all; the loss is told once, behind the messages that were kept. */
static void test_overrun(void **state)
{
	struct uevent_socket *socket;
	uint64_t kept = 0;
	int r;

	if (sender < 0)
		skip();
	assert_int_equal(uevent_open(&socket, 2048), 0);
	for (int round = 1; round <= 2; round++) {
		for (int i = 0; i < N_OVERRUN; i++)
			inject(i);
		for (kept = 0; (r = next(socket)) == 0; kept++)
			assert_int_equal(number(), kept); /* the older ones are left */
		assert_int_equal(r, UEVENT_E_LOST);
		assert_true(kept > 0);
		assert_int_equal(kept + lost, N_OVERRUN);
		assert_int_equal(next(socket), UEVENT_E_EMPTY);
		/* The socket hears again. */
		inject(7);
		assert_int_equal(next(socket), 0);
		assert_int_equal(number(), 7);
		assert_int_equal(next(socket), UEVENT_E_EMPTY);
	}
	uevent_close(socket);
}

/* A second overrun before the first was told of: two reports, and the sum is exact. */
static void test_overrun_while_draining(void **state)
{
	struct uevent_socket *socket;
	uint64_t n_lost = 0, kept = 0;
	int r;

	if (sender < 0)
		skip();
	assert_int_equal(uevent_open(&socket, 2048), 0);
	for (int i = 0; i < N_OVERRUN; i++)
		inject(i);
	assert_int_equal(next(socket), 0);
	kept++;
	for (int i = 0; i < N_OVERRUN; i++)
		inject(i);
	while ((r = next(socket)) != UEVENT_E_EMPTY) {
		assert_true(r == 0 || r == UEVENT_E_LOST);
		kept += r == 0;
		n_lost += r == UEVENT_E_LOST ? lost : 0;
	}
	assert_int_equal(kept + n_lost, 2 * N_OVERRUN);
	uevent_close(socket);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_injected, setup, teardown),
		cmocka_unit_test_setup_teardown(test_multicast_of_a_process_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_malformed_is_skipped, setup, teardown),
		cmocka_unit_test(test_overrun),
		cmocka_unit_test(test_overrun_while_draining),
	};

	if (unshare(CLONE_NEWNET) != 0) {
		fprintf(stderr, "skipped: no network namespace of our own: %s\n", strerror(errno));
		return 77;
	}
	sender = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
