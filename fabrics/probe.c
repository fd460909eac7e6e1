/* SPDX-License-Identifier: Apache-2.0 */
#include "fabrics/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/fd.h"

/* struct nvme_tcp_icreq_pdu, include/linux/nvme-tcp.h, Linux 6.12: type 0, header and PDU length
 * 128, format version 0, no padding, no digests, one outstanding R2T. */
#define PROBE_ICREQ_SIZE 128

union probe_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* False: not a numeric address. */
static bool probe_parse(const char *text, const char *service, union probe_address *ret_address,
			socklen_t *ret_size)
{
	uint16_t port = htons((uint16_t)strtoul(service, NULL, 10));

	memset(ret_address, 0, sizeof(*ret_address));
	if (inet_pton(AF_INET, text, &ret_address->v4.sin_addr) == 1) {
		ret_address->v4.sin_family = AF_INET;
		ret_address->v4.sin_port = port;
		*ret_size = sizeof(ret_address->v4);
		return true;
	}
	if (inet_pton(AF_INET6, text, &ret_address->v6.sin6_addr) == 1) {
		ret_address->v6.sin6_family = AF_INET6;
		ret_address->v6.sin6_port = port;
		*ret_size = sizeof(ret_address->v6);
		return true;
	}
	return false;
}

/* The side of this host that the connection would have. 0 or -errno. */
static int probe_bind(int fd, const struct tid *tid)
{
	union probe_address address;
	socklen_t size;

	if (tid->host_iface[0] != '\0' &&
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, tid->host_iface,
		       (socklen_t)strlen(tid->host_iface)) != 0)
		return -errno;
	if (tid->host_traddr[0] == '\0' || !probe_parse(tid->host_traddr, "0", &address, &size))
		return 0;
	return bind(fd, &address.any, size) == 0 ? 0 : -errno;
}

static int probe_ask(int fd)
{
	uint8_t icreq[PROBE_ICREQ_SIZE] = { 0 }, answer[4096];
	ssize_t n;

	icreq[2] = PROBE_ICREQ_SIZE; /* hlen */
	icreq[4] = PROBE_ICREQ_SIZE; /* plen, little endian */
	/* The first bytes of a connection: they fit into its buffer. */
	if (send(fd, icreq, sizeof(icreq), MSG_NOSIGNAL) < 0)
		return -errno;
	do
		/* All of it: what is left unread would make the close a reset. */
		n = recv(fd, answer, sizeof(answer), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == 0 ? -ECONNRESET : 0;
}

/* Holds for connect too (socket(7)). 0 or -errno. */
static int probe_limit(int fd, uint64_t timeout_ms)
{
	const struct timeval time = { .tv_sec = (time_t)(timeout_ms / 1000),
				      .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000) };

	if (timeout_ms == 0)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) != 0)
		return -errno;
	return 0;
}

int probe_tcp(const struct tid *tid, uint64_t timeout_ms)
{
	union probe_address address;
	_cleanup_fd_ int fd = -1;
	socklen_t size;
	int r;

	if (strcmp(tid->transport, "tcp") != 0 ||
	    !probe_parse(tid->traddr, tid->trsvcid, &address, &size) ||
	    (address.any.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&address.v6.sin6_addr)))
		return 0;
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = probe_bind(fd, tid);
	if (r == 0)
		r = probe_limit(fd, timeout_ms);
	if (r == 0 && connect(fd, &address.any, size) != 0)
		r = -errno;
	if (r == 0)
		r = probe_ask(fd);
	/* What the time-out looks like: of connect, of recv. */
	return r == -EINPROGRESS || r == -EAGAIN ? -ETIMEDOUT : r;
}
