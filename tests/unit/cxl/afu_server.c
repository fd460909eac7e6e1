/* SPDX-License-Identifier: Apache-2.0 */
#include "afu_server.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], paths[2][96];
static pid_t server = -1;
static int to_server = -1;
static FILE *from_server;

bool afu_server_prepare(void)
{
	if (geteuid() != 0 || access("/dev/fuse", R_OK | W_OK) < 0) {
		fprintf(stderr, "skipped: needs root and /dev/fuse\n");
		return false;
	}
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		fprintf(stderr, "skipped: no mount namespace of our own: %s\n", strerror(errno));
		return false;
	}
	return true;
}

static void afu_server_run(int in, int out)
{
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	execl(TEST_AFU_DEVICE, "afu_device", "fuse", folder, NULL);
	_exit(126);
}

void afu_server_start(void)
{
	int in[2], out[2];

	snprintf(folder, sizeof(folder), "/tmp/pathbell-afu-XXXXXX");
	if (mkdtemp(folder) == NULL || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		abort();
	for (unsigned i = 0; i < 2; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/afu%u.0m", folder, i);
	server = fork();
	if (server == 0)
		afu_server_run(in[0], out[1]);
	close(in[0]);
	close(out[1]);
	to_server = in[1];
	from_server = fdopen(out[0], "r");
	setvbuf(from_server, NULL, _IONBF, 0);
	/* The first request of the kernel waits for the server's answer to FUSE_INIT. */
	if (server < 0 || from_server == NULL || access(paths[0], F_OK) < 0) {
		char line[64];

		if (from_server == NULL || fgets(line, sizeof(line), from_server) == NULL ||
		    strcmp(line, "ready\n") != 0)
			abort();
	}
}

void afu_server_stop(void)
{
	int status;

	close(to_server);
	fclose(from_server);
	kill(server, SIGKILL);
	waitpid(server, &status, 0);
	umount2(folder, MNT_DETACH);
	rmdir(folder);
}

const char *afu_server_path(unsigned number)
{
	return paths[number];
}

void afu_server_tell(const char *format, ...)
{
	char line[8192];
	va_list args;
	int len;

	va_start(args, format);
	/* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it was started one line above */
	len = vsnprintf(line, sizeof(line) - 1, format, args);
	va_end(args);
	line[len++] = '\n';
	if (write(to_server, line, (size_t)len) != len)
		abort();
}

const char *afu_server_line(void)
{
	static char line[128];
	struct pollfd p = { .fd = fileno(from_server), .events = POLLIN };

	line[0] = '\0';
	if (poll(&p, 1, 0) == 1 && fgets(line, sizeof(line), from_server) != NULL)
		line[strcspn(line, "\n")] = '\0';
	return line;
}
