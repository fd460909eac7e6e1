/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/uevent/uevent.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"

/*
 * One message for each recvmsg. What can go wrong:
 *
 * The queue overflows. The kernel marks the socket congested, fails the next recvmsg once with
 * ENOBUFS, and drops every message until the queue has been read empty (netlink_overrun,
 * netlink_rcv_wake, net/netlink/af_netlink.c, Linux 6.12). So the loss is complete, and its count
 * exact, only when the older messages have been read: it is told of then, not at the ENOBUFS. It
 * is told of earlier when a second ENOBUFS comes (the queue was empty in between) or when the
 * stream does not pause within UEVENT_DRAIN_MAX messages.
 *
 * A process with CAP_NET_ADMIN multicasts to the group: its messages carry its nl_pid, not 0.
 * A message injected by a process that is privileged in this network namespace has nl_pid 0 and
 * the credentials of that process: it is taken if the process is root, as udev does.
 */
#define UEVENT_GROUP_KERNEL   1
#define UEVENT_RECEIVE_BUFFER (4 << 20)
#define UEVENT_DRAIN_MAX      65536
#define UEVENT_SKIP_MAX	      256 /* in one call, so that a flood can't hold the loop */

struct uevent_socket {
	int fd;
	unsigned long inode;
	uint32_t drops; /* of the kernel's counter, told of so far */
	bool losing;	/* ENOBUFS was seen and not yet told of */
	uint32_t n_since_loss;
	uint64_t skipped;
	char message[UEVENT_MESSAGE_MAX];
};

/* False: unknown (no procfs, or another network namespace's). */
static bool uevent_read_drops(const struct uevent_socket *socket, uint32_t *ret_drops)
{
	FILE *file = fopen("/proc/thread-self/net/netlink", "re");
	char line[256];
	bool found = false;

	if (file == NULL)
		return false;
	/* sk Eth Pid Groups Rmem Wmem Dump Locks Drops Inode: netlink_native_seq_show,
	 * net/netlink/af_netlink.c, Linux 6.12 */
	while (!found && fgets(line, sizeof(line), file) != NULL) {
		unsigned long inode;
		uint32_t drops;

		if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %*s %u %lu", &drops, &inode) == 2 &&
		    inode == socket->inode) {
			*ret_drops = drops;
			found = true;
		}
	}
	fclose(file);
	return found;
}

static void uevent_size_buffer(int fd, size_t size)
{
	int value = size == 0 || size > INT32_MAX ? UEVENT_RECEIVE_BUFFER : (int)size;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &value, sizeof(value)) != 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, sizeof(value));
}

static int uevent_listen(struct uevent_socket *uevents, size_t receive_buffer)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = UEVENT_GROUP_KERNEL };
	struct stat st;
	int on = 1;

	uevents->fd =
		socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
	if (uevents->fd < 0)
		return -errno;
	uevent_size_buffer(uevents->fd, receive_buffer);
	if (setsockopt(uevents->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0 ||
	    fstat(uevents->fd, &st) != 0 ||
	    bind(uevents->fd, (const struct sockaddr *)&address, sizeof(address)) != 0)
		return -errno;
	uevents->inode = st.st_ino;
	return 0;
}

int uevent_open(struct uevent_socket **ret_socket, size_t receive_buffer)
{
	struct uevent_socket *uevents = calloc(1, sizeof(*uevents));
	int r;

	if (uevents == NULL)
		return -ENOMEM;
	r = uevent_listen(uevents, receive_buffer);
	if (r < 0) {
		uevent_close(uevents);
		return r;
	}
	*ret_socket = uevents;
	return 0;
}

struct uevent_socket *uevent_close(struct uevent_socket *socket)
{
	if (socket != NULL)
		fd_close(socket->fd);
	free(socket);
	return NULL;
}

int uevent_fd(const struct uevent_socket *socket)
{
	return socket->fd;
}

uint64_t uevent_skipped(const struct uevent_socket *socket)
{
	return socket->skipped;
}

static bool uevent_is_trusted(struct msghdr *header)
{
	const struct sockaddr_nl *sender = header->msg_name;
	struct cmsghdr *control;

	if (header->msg_namelen < sizeof(*sender) || sender->nl_pid != 0)
		return false;
	for (control = CMSG_FIRSTHDR(header); control != NULL;
	     control = CMSG_NXTHDR(header, control)) {
		struct ucred cred;

		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_CREDENTIALS ||
		    control->cmsg_len < CMSG_LEN(sizeof(cred)))
			continue;
		memcpy(&cred, CMSG_DATA(control), sizeof(cred));
		return cred.uid == 0;
	}
	return false;
}

/* 0 with an event; UEVENT_E_EMPTY; UEVENT_E_SKIPPED: counted; -errno (-ENOBUFS: loss). */
#define UEVENT_E_SKIPPED 3
static int uevent_receive(struct uevent_socket *socket, struct uevent *ret_event)
{
	char control[CMSG_SPACE(sizeof(struct ucred)) + 64] __attribute__((aligned(8)));
	struct sockaddr_nl sender = { 0 };
	struct iovec iov = { .iov_base = socket->message, .iov_len = sizeof(socket->message) };
	struct msghdr header = { .msg_name = &sender,
				 .msg_namelen = sizeof(sender),
				 .msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control) };
	ssize_t size;

	do
		size = recvmsg(socket->fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (size < 0 && errno == EINTR);
	if (size < 0)
		return errno == EAGAIN ? UEVENT_E_EMPTY : -errno;
	if ((header.msg_flags & MSG_TRUNC) == 0 && uevent_is_trusted(&header) &&
	    uevent_parse(socket->message, (size_t)size, ret_event) == 0)
		return 0;
	socket->skipped++;
	return UEVENT_E_SKIPPED;
}

static int uevent_tell_loss(struct uevent_socket *socket, uint64_t *ret_lost)
{
	uint32_t drops;

	socket->losing = false;
	*ret_lost = 0;
	if (uevent_read_drops(socket, &drops)) {
		/* The counter has 32 bits and wraps. */
		*ret_lost = (uint32_t)(drops - socket->drops);
		socket->drops = drops;
	}
	return UEVENT_E_LOST;
}

int uevent_next(struct uevent_socket *socket, struct uevent *ret_event, uint64_t *ret_lost)
{
	for (unsigned skipped = 0; skipped < UEVENT_SKIP_MAX; skipped++) {
		int r;

		if (socket->losing && socket->n_since_loss >= UEVENT_DRAIN_MAX)
			return uevent_tell_loss(socket, ret_lost);
		r = uevent_receive(socket, ret_event);
		if (r == -ENOBUFS) {
			bool again = socket->losing;

			socket->losing = true;
			socket->n_since_loss = 0;
			if (again) {
				uevent_tell_loss(socket, ret_lost);
				socket->losing = true;
				return UEVENT_E_LOST;
			}
			continue;
		}
		socket->n_since_loss++;
		if (r == UEVENT_E_EMPTY && socket->losing)
			return uevent_tell_loss(socket, ret_lost);
		if (r != UEVENT_E_SKIPPED)
			return r;
	}
	/* The descriptor stays readable: the rest comes with the next call. */
	return UEVENT_E_EMPTY;
}
