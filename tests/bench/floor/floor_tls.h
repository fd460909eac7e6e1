/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

struct floor_files {
	const char *ca, *certificate, *key;
};

/* TLS 1.3 only, both sides verified. Ends the program with a message on any failure: it is a
 * benchmark. */
SSL *floor_tls(int fd, const struct floor_files *files, bool server);
void floor_die(const char *what);
void floor_write(SSL *ssl, const void *data, size_t size);
void floor_read(SSL *ssl, void *data, size_t size);
/* CPU seconds, user and system, of this process. */
double floor_cpu(void);
double floor_now(void);
