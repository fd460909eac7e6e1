/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool address_port(const char *text, in_port_t *ret_port)
{
	char *end;
	long port = strtol(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || port < 0 || port > 65535)
		return false;
	*ret_port = htons((in_port_t)port);
	return true;
}

bool address_parse(const char *text, struct address *ret_address)
{
	const char *colon = strrchr(text, ':');
	char host[64];
	size_t len;
	in_port_t port;

	if (!colon || !address_port(colon + 1, &port))
		return false;
	len = (size_t)(colon - text);
	if (len == 0 || len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (strcmp(host, "localhost") == 0)
		strcpy(host, "127.0.0.1");
	memset(ret_address, 0, sizeof(*ret_address));
	if (host[0] == '[' && host[strlen(host) - 1] == ']') {
		host[strlen(host) - 1] = '\0';
		ret_address->v6.sin6_family = AF_INET6;
		ret_address->v6.sin6_port = port;
		return inet_pton(AF_INET6, host + 1, &ret_address->v6.sin6_addr) == 1;
	}
	ret_address->v4.sin_family = AF_INET;
	ret_address->v4.sin_port = port;
	return inet_pton(AF_INET, host, &ret_address->v4.sin_addr) == 1;
}

bool address_is_loopback(const struct address *address)
{
	if (address->any.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
	return ntohl(address->v4.sin_addr.s_addr) >> 24 == 127;
}

bool address_with_port(const char *text, unsigned port, char *ret_text, size_t size)
{
	const char *colon = strrchr(text, ':');
	int n;

	if (!colon)
		return false;
	n = snprintf(ret_text, size, "%.*s:%u", (int)(colon - text), text, port);
	return n > 0 && (size_t)n < size;
}
