/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uevent_inject [TIMES]: sends the uevents of standard input (blocks of lines, an empty line
 * between two) to the kernel, which multicasts each as if it were its own, with a SEQNUM of its own
 * (uevent_net_rcv_skb, lib/kobject_uevent.c, Linux 6.12). The whole input TIMES times. Prints how
 * many were sent.
 */
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_UEVENTS 256

static struct {
	struct nlmsghdr header;
	char text[2048];
} uevents[MAX_UEVENTS];

static size_t read_input(void)
{
	char line[1024];
	size_t n = 0, size = 0;

	while (n < MAX_UEVENTS && fgets(line, sizeof(line), stdin) != NULL) {
		size_t len = strcspn(line, "\n");

		line[len] = '\0';
		if (len > 0 && strncmp(line, "SEQNUM=", 7) != 0 &&
		    size + len + 1 <= sizeof(uevents[n].text)) {
			memcpy(uevents[n].text + size, line, len + 1);
			size += len + 1;
		}
		if (size > 0)
			uevents[n].header = (struct nlmsghdr){
				.nlmsg_len = (unsigned)(NLMSG_HDRLEN + size),
				.nlmsg_type = NLMSG_MIN_TYPE,
				.nlmsg_flags = NLM_F_REQUEST,
			};
		if (len == 0 && size > 0) {
			n++;
			size = 0;
		}
	}
	return n + (size > 0);
}

int main(int argc, char **argv)
{
	long times = argc > 1 ? strtol(argv[1], NULL, 10) : 1, n_sent = 0;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	size_t n = read_input();

	while (times-- > 0) {
		for (size_t i = 0; i < n; i++, n_sent++)
			if (sendto(fd, &uevents[i], uevents[i].header.nlmsg_len, 0,
				   (struct sockaddr *)&kernel, sizeof(kernel)) < 0) {
				perror("uevent_inject");
				return 1;
			}
	}
	printf("%ld\n", n_sent);
	return 0;
}
