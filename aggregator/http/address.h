/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

/* IP:PORT, [IPv6]:PORT or localhost:PORT as a socket address. Pure. */
struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
};

bool address_parse(const char *text, struct address *ret_address);
bool address_is_loopback(const struct address *address);
/* Of "HOST:PORT", with another port; @ret_text holds @size. False: no colon, or it does not fit. */
bool address_with_port(const char *text, unsigned port, char *ret_text, size_t size);
