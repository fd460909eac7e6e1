/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/fd.h"
#include "forwarders/frame/frame.h"
#include "frame_samples.h"

static uint8_t buffer[FRAME_MAX];

static int open_pair(void **state)
{
	static int pair[2];

	*state = pair;
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int close_pair(void **state)
{
	int *pair = *state;

	pair[0] = fd_close(pair[0]);
	pair[1] = fd_close(pair[1]);
	return 0;
}

static void test_every_type_crosses(void **state)
{
	int *pair = *state;

	for (int type = 1; type <= FRAME_SAMPLES; type++) {
		uint8_t sent[FRAME_MAX], received[FRAME_MAX];
		struct frame frame, back;
		int n;

		frame_sample((enum frame_type)type, &frame);
		assert_int_equal(frame_send(pair[0], &frame), 0);
		assert_int_equal(frame_receive(pair[1], buffer, &back), 0);
		n = frame_encode(&frame, false, sent, sizeof(sent));
		assert_int_equal(frame_encode(&back, false, received, sizeof(received)), n);
		assert_memory_equal(sent, received, n);
	}
}

/* A default socket buffer takes the largest packet that the protocol allows. */
static void test_largest_packet_crosses(void **state)
{
	static uint8_t events[FRAME_MAX];
	int *pair = *state;
	struct frame frame, back;

	for (size_t i = 0; i < sizeof(events); i++)
		events[i] = (uint8_t)(i * 7);
	frame_sample(FRAME_BATCH, &frame);
	frame.batch.events = events;
	frame.batch.events_size = FRAME_MAX - 40;
	assert_int_equal(frame_send(pair[0], &frame), 0);
	assert_int_equal(frame_receive(pair[1], buffer, &back), 0);
	assert_memory_equal(back.batch.events, events, frame.batch.events_size);
}

static void test_nothing_there(void **state)
{
	int *pair = *state;
	struct frame frame;

	assert_int_equal(frame_receive(pair[1], buffer, &frame), FRAME_E_AGAIN);
}

/* The sockets block, the calls do not. */
static void test_full_socket(void **state)
{
	int *pair = *state, r = 0, n = 0;
	struct frame frame;

	frame_sample(FRAME_SESSION, &frame);
	while (r == 0 && n < 100000) {
		r = frame_send(pair[0], &frame);
		n += r == 0;
	}
	assert_int_equal(r, FRAME_E_AGAIN);
	for (; n > 0; n--)
		assert_int_equal(frame_receive(pair[1], buffer, &frame), 0);
	assert_int_equal(frame_receive(pair[1], buffer, &frame), FRAME_E_AGAIN);
}

static void test_other_side_gone(void **state)
{
	int *pair = *state;
	struct frame frame;

	frame_sample(FRAME_CREDIT, &frame);
	pair[1] = fd_close(pair[1]);
	assert_int_equal(frame_send(pair[0], &frame), -EPIPE); /* and no SIGPIPE */
	assert_int_equal(frame_receive(pair[0], buffer, &frame), -EPIPE);
}

static void test_bad_packets(void **state)
{
	static uint8_t large[FRAME_MAX + 1], events[FRAME_MAX];
	int *pair = *state;
	struct frame frame;

	assert_int_equal(send(pair[0], "junk", 4, 0), 4);
	assert_int_equal(frame_receive(pair[1], buffer, &frame), -EBADMSG);
	/* Its first FRAME_MAX bytes are a good frame: only the cut is wrong. */
	frame_sample(FRAME_BATCH, &frame);
	frame.batch.events = events;
	frame.batch.events_size = FRAME_MAX - 40;
	assert_int_equal(frame_encode(&frame, false, large, sizeof(large)), FRAME_MAX);
	assert_int_equal(send(pair[0], large, sizeof(large), 0), sizeof(large));
	assert_int_equal(frame_receive(pair[1], buffer, &frame), -EBADMSG);
	frame_sample(FRAME_CREDIT, &frame);
	assert_int_equal(frame_send(pair[0], &frame), 0);
	assert_int_equal(frame_receive(pair[1], buffer, &frame), 0);
}

/* An fd that the other side passes along must not pile up in ours. */
static void test_passed_fds_are_discarded(void **state)
{
	int *pair = *state, before, after;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	uint8_t packet[FRAME_MAX];
	struct frame frame;
	struct iovec piece = { .iov_base = packet };
	struct msghdr message = { .msg_iov = &piece,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	frame_sample(FRAME_CREDIT, &frame);
	piece.iov_len = (size_t)frame_encode(&frame, false, packet, sizeof(packet));
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &pair[0], sizeof(int));
	assert_true(sendmsg(pair[0], &message, 0) > 0);

	before = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
	fd_close(before);
	assert_int_equal(frame_receive(pair[1], buffer, &frame), 0);
	after = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
	fd_close(after);
	assert_int_equal(before, after);
}

#define io_test(name) cmocka_unit_test_setup_teardown(name, open_pair, close_pair)

int main(void)
{
	const struct CMUnitTest tests[] = {
		io_test(test_every_type_crosses),
		io_test(test_largest_packet_crosses),
		io_test(test_nothing_there),
		io_test(test_full_socket),
		io_test(test_other_side_gone),
		io_test(test_bad_packets),
		io_test(test_passed_fds_are_discarded),
	};

	signal(SIGPIPE, SIG_DFL); /* who starts us may ignore it */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
