/* SPDX-License-Identifier: Apache-2.0 */
#include "core/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fd.h"

#define NOTIFY_MAX 1024

/* A path, or @name for the abstract namespace. Length of the address or -errno. */
static int notify_address(const char *name, struct sockaddr_un *ret_address)
{
	size_t len = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || len < 2)
		return -EAFNOSUPPORT;
	if (len >= sizeof(ret_address->sun_path))
		return -ENAMETOOLONG;
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret_address->sun_path, name, len);
	if (name[0] == '@')
		ret_address->sun_path[0] = '\0';
	return (int)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
}

static int notify_send(const char *text)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address;
	_cleanup_fd_ int fd = -1;
	int len;

	if (!name)
		return 0;
	len = notify_address(name, &address);
	if (len < 0)
		return len;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (sendto(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&address, (socklen_t)len) < 0)
		return -errno;
	return 0;
}

/* A line feed would start another assignment. */
static int notify_send_status(const char *before, const char *status)
{
	char text[NOTIFY_MAX];
	size_t start = strlen(before);

	snprintf(text, sizeof(text), "%sSTATUS=%s", before, status);
	for (char *p = text + start; *p; p++) {
		if (*p == '\n')
			*p = ' ';
	}
	return notify_send(text);
}

int notify_ready(const char *status)
{
	return status ? notify_send_status("READY=1\n", status) : notify_send("READY=1");
}

int notify_reloading(void)
{
	char text[96];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 clock_monotonic_ns() / 1000);
	return notify_send(text);
}

int notify_stopping(void)
{
	return notify_send("STOPPING=1");
}

int notify_status(const char *status)
{
	return notify_send_status("", status);
}

int notify_watchdog(void)
{
	return notify_send("WATCHDOG=1");
}

bool notify_watchdog_interval(uint64_t *ret_ns)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	unsigned long long value;
	char *end;

	if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
		return false;
	errno = 0;
	value = strtoull(usec, &end, 10);
	if (errno || *end || value == 0 || value > UINT64_MAX / 1000)
		return false;
	*ret_ns = value * 1000 / 2;
	return true;
}
