/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/verifier.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/fd.h"

#define VERIFIER_TIMEOUT_NS (5 * CLOCK_NS_PER_S)
#define VERIFIER_NOBODY	    65534 /* the kernel's overflow uid: owns nothing */

void verifier_init(struct verifier *verifier, struct ev_loop *loop, void *data,
		   void (*done)(void *data, const struct verify_request *request,
				const struct verify_reply *reply, const char *why))
{
	*verifier = (struct verifier){ .loop = loop, .reply = -1, .data = data, .done = done };
	verifier->request.max = VERIFY_REQUEST_MAX;
}

void verifier_deinit(struct verifier *verifier)
{
	child_deinit(&verifier->child);
	buf_deinit(&verifier->request);
	verifier->reply = fd_close(verifier->reply);
}

bool verifier_is_busy(const struct verifier *verifier)
{
	return child_is_running(&verifier->child);
}

static void verifier_on_ended(void *data, enum child_end end, int status)
{
	struct verifier *verifier = data;
	uint8_t bytes[VERIFY_REPLY_SIZE + 1];
	struct verify_reply reply;
	char why[64];
	ssize_t n = read(verifier->reply, bytes, sizeof(bytes));

	verifier->reply = fd_close(verifier->reply);
	if (end != CHILD_EXITED)
		snprintf(why, sizeof(why), "the verifier took too long");
	else if (status)
		snprintf(why, sizeof(why), "the verifier ended with status %d", status);
	else if (n < 0 || verify_reply_decode(bytes, (size_t)n, &verifier->decoded, &reply))
		snprintf(why, sizeof(why), "the verifier gave a senseless reply");
	else {
		verifier->done(verifier->data, &verifier->decoded, &reply, NULL);
		return;
	}
	verifier->done(verifier->data, &verifier->decoded, NULL, why);
}

static void verifier_on_reaped(void *data)
{
}

/* A memory file: the child reads at its own speed, nothing here has to feed it. */
static int verifier_make_input(const struct buf *request)
{
	int fd = memfd_create("pathbell-verify", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, request->data, request->size);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	fd_close(fd);
	return r;
}

int verifier_start(struct verifier *verifier, const char *program,
		   const struct verify_request *request)
{
	static const char *const argv[] = { "pathbell-verify", NULL };
	static const char *const envp[] = { NULL };
	_cleanup_fd_ int input = -1, output = -1;
	struct child_spec spec = {
		.program = program,
		.argv = argv,
		.envp = envp,
		.n_fds = 3,
		.no_network = true,
		.sandbox = true,
		.timeout_ns = VERIFIER_TIMEOUT_NS,
		.data = verifier,
		.ended = verifier_on_ended,
		.reaped = verifier_on_reaped,
	};
	int pipe_fds[2];
	int r;

	buf_reset(&verifier->request);
	r = verify_request_encode(request, &verifier->request);
	if (r == 0)
		r = verify_request_decode(verifier->request.data, verifier->request.size,
					  &verifier->decoded);
	if (r)
		return r;
	input = verifier_make_input(&verifier->request);
	if (input < 0)
		return input;
	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	output = pipe_fds[1];
	spec.fds[0] = input;
	spec.fds[1] = output;
	spec.fds[2] = STDERR_FILENO;
	if (geteuid() == 0)
		spec.user = (struct child_user){ true, VERIFIER_NOBODY, VERIFIER_NOBODY };
	r = child_start(&verifier->child, verifier->loop, &spec);
	if (r) {
		fd_close(pipe_fds[0]);
		return r;
	}
	verifier->reply = pipe_fds[0];
	return 0;
}
