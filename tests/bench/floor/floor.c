/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of ./run bench: the same bytes through plain OpenSSL over loopback into a file, with
 *the same rhythm of fdatasync, and nothing else. The client sends blocks and keeps at most WINDOW
 *of them unacknowledged; the server appends each to a file, calls fdatasync after every SYNC_BYTES
 *and then acknowledges what is durable with eight bytes.
 *
 *	bench-floor CA CERT KEY FILE EVENTS EVENT_BYTES BLOCK_BYTES SYNC_BYTES WINDOW
 *
 * Prints one line of JSON: events per second, CPU of both sides per event.
 */
#include "floor_tls.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct floor_work {
	struct floor_files files;
	const char *file;
	uint64_t blocks;
	size_t block_size;
	uint64_t blocks_per_sync;
	uint64_t window;
};

static void floor_server(int listener, const struct floor_work *work, int report)
{
	int fd = accept(listener, NULL, NULL), one = 1;
	int file = open(work->file, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	char *block = malloc(work->block_size);
	SSL *ssl;
	double cpu;

	if (fd < 0 || file < 0 || !block)
		floor_die("server");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	ssl = floor_tls(fd, &work->files, true);
	for (uint64_t n = 1; n <= work->blocks; n++) {
		floor_read(ssl, block, work->block_size);
		if (write(file, block, work->block_size) != (ssize_t)work->block_size)
			floor_die("write");
		if (n % work->blocks_per_sync && n != work->blocks)
			continue;
		if (fdatasync(file))
			floor_die("fdatasync");
		floor_write(ssl, &n, sizeof(n));
	}
	cpu = floor_cpu();
	if (write(report, &cpu, sizeof(cpu)) != sizeof(cpu))
		floor_die("report");
	exit(0);
}

static void floor_client(SSL *ssl, const struct floor_work *work)
{
	char *block = malloc(work->block_size);
	uint64_t acked = 0;

	if (!block)
		floor_die("malloc");
	for (size_t i = 0; i < work->block_size; i++)
		block[i] = (char)(i * 31);
	for (uint64_t n = 1; n <= work->blocks; n++) {
		while (n - acked > work->window)
			floor_read(ssl, &acked, sizeof(acked));
		floor_write(ssl, block, work->block_size);
	}
	while (acked < work->blocks)
		floor_read(ssl, &acked, sizeof(acked));
	free(block);
}

static int floor_listen(struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(*address);

	memset(address, 0, sizeof(*address));
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)address, len) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)address, &len))
		floor_die("listen");
	return fd;
}

int main(int argc, char **argv)
{
	struct floor_work work;
	struct sockaddr_in address;
	uint64_t events, event_size;
	int listener, fd, report[2], one = 1;
	double start, seconds, server_cpu = 0;
	pid_t child;

	if (argc != 10) {
		fprintf(stderr,
			"usage: %s CA CERT KEY FILE EVENTS EVENT_BYTES BLOCK_BYTES SYNC_BYTES "
			"WINDOW\n",
			argv[0]);
		return 2;
	}
	work.files = (struct floor_files){ argv[1], argv[2], argv[3] };
	work.file = argv[4];
	events = strtoull(argv[5], NULL, 10);
	event_size = strtoull(argv[6], NULL, 10);
	work.block_size = strtoull(argv[7], NULL, 10);
	work.blocks = events * event_size / work.block_size;
	work.blocks_per_sync = strtoull(argv[8], NULL, 10) / work.block_size;
	work.window = strtoull(argv[9], NULL, 10);
	if (!work.blocks_per_sync)
		work.blocks_per_sync = 1;
	if (work.blocks_per_sync > work.window)
		work.blocks_per_sync = work.window;
	listener = floor_listen(&address);
	if (pipe(report))
		floor_die("pipe");
	child = fork();
	if (child == 0)
		floor_server(listener, &work, report[1]);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		floor_die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	SSL *ssl = floor_tls(fd, &work.files, false);

	start = floor_now();
	floor_client(ssl, &work);
	seconds = floor_now() - start;
	if (read(report[0], &server_cpu, sizeof(server_cpu)) != sizeof(server_cpu))
		floor_die("report");
	waitpid(child, NULL, 0);
	printf("{\"events_per_second\": %.0f, \"client_us_per_event\": %.4f, "
	       "\"server_us_per_event\": %.4f}\n",
	       (double)events / seconds, floor_cpu() * 1e6 / (double)events,
	       server_cpu * 1e6 / (double)events);
	return 0;
}
