/* SPDX-License-Identifier: Apache-2.0 */
#include "floor_tls.h"

#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

void floor_die(const char *what)
{
	perror(what);
	ERR_print_errors_fp(stderr);
	exit(1);
}

SSL *floor_tls(int fd, const struct floor_files *files, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	SSL *ssl;

	if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_use_certificate_chain_file(ctx, files->certificate) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, files->key, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_load_verify_locations(ctx, files->ca, NULL) != 1)
		floor_die("TLS set-up");
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	ssl = SSL_new(ctx);
	if (!ssl || SSL_set_fd(ssl, fd) != 1)
		floor_die("SSL_new");
	if ((server ? SSL_accept(ssl) : SSL_connect(ssl)) != 1)
		floor_die("handshake");
	return ssl;
}

void floor_write(SSL *ssl, const void *data, size_t size)
{
	size_t done;

	if (SSL_write_ex(ssl, data, size, &done) != 1 || done != size)
		floor_die("SSL_write");
}

void floor_read(SSL *ssl, void *data, size_t size)
{
	size_t have = 0, got;

	while (have < size) {
		if (SSL_read_ex(ssl, (char *)data + have, size - have, &got) != 1)
			floor_die("SSL_read");
		have += got;
	}
}

double floor_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

double floor_cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}
