/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/faults_file.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "collectors/offspring.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"

/*
 * faults_file_poke sees a version that is not on disk: the whole file goes into memory, a child
 * replaces the old one and writes one byte into its pipe. What changed meanwhile is written a
 * second after the last beginning; no timer runs when there is nothing to write.
 *
 * What may go wrong
 *   - kill -9 or a power cut within that second: a fault raised in it has no twin if it ends before
 *     the next start, and one that was cleared in it may be cleared twice.
 *   - The child fails: a log line, and tried again with the next change.
 *   - The child hangs: nothing is written until it ends; the agent does not wait for it.
 */
#define FAULTS_FILE_PAUSE_NS CLOCK_NS_PER_S
#define FAULTS_FILE_MAX	     ((size_t)FAULTS_MAX * (FAULTS_ENTRY_MAX + 4) + 64)

struct faults_file {
	struct ev_loop *loop;
	struct faults *faults;
	char path[4096];
	uint64_t written, writing; /* versions */
	uint64_t next_ns;
	struct buf image;
	struct offspring child;
	struct ev_io io;
	struct ev_timer timer;
};

static int faults_file_run(void *data, int out)
{
	const struct faults_file *file = data;
	int r = file_replace(file->path, file->image.data, file->image.size, 0600);

	return r == 0 && write(out, "1", 1) == 1 ? 0 : 1;
}

static void faults_file_start(struct faults_file *file)
{
	static struct log_limit limit;
	struct offspring_spec spec = {
		.name = "pathbell-faults", .keep = -1, .run = faults_file_run, .data = file
	};
	int r;

	buf_reset(&file->image);
	file->writing = file->faults->version;
	file->next_ns = clock_monotonic_ns() + FAULTS_FILE_PAUSE_NS;
	r = faults_encode(file->faults, &file->image);
	if (r == 0)
		r = offspring_start(&file->child, &spec);
	if (r) {
		log_limited(&limit, LOG_LEVEL_WARNING, "open faults are not saved error=\"%s\"",
			    log_errno(r));
		return;
	}
	ev_io_set(&file->io, file->child.fd, EV_READ);
	ev_io_start(file->loop, &file->io);
}

/* True: the child has ended. */
static bool faults_file_read(struct faults_file *file)
{
	static struct log_limit limit;
	bool progress;
	int r;

	/* Before the descriptor may be closed. */
	ev_io_stop(file->loop, &file->io);
	r = offspring_read(&file->child, &progress);
	if (r == 0) {
		ev_io_start(file->loop, &file->io);
		return false;
	}
	if (r < 0)
		offspring_stop(&file->child);
	if (file->child.answer.size == 1)
		file->written = file->writing;
	else
		log_limited(&limit, LOG_LEVEL_WARNING, "open faults were not saved path=%s",
			    file->path);
	buf_deinit(&file->child.answer);
	buf_deinit(&file->image);
	return true;
}

static void faults_file_on_io(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct faults_file *file = io->data;
	uint64_t writing = file->writing;

	if (faults_file_read(file) && file->faults->version != writing)
		faults_file_poke(file);
}

static void faults_file_on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	faults_file_poke(timer->data);
}

void faults_file_poke(struct faults_file *file)
{
	uint64_t now_ns = clock_monotonic_ns();

	if (file->faults->version == file->written || offspring_is_running(&file->child) ||
	    ev_is_active(&file->timer))
		return;
	if (now_ns >= file->next_ns) {
		faults_file_start(file);
		return;
	}
	ev_timer_set(&file->timer, (double)(file->next_ns - now_ns) / 1e9, 0.);
	ev_timer_start(file->loop, &file->timer);
}

static int faults_file_load(struct faults_file *file)
{
	_cleanup_free_ char *data = NULL;
	char bad[4200];
	size_t size;
	int r = file_read(file->path, FAULTS_FILE_MAX, &data, &size);

	if (r == -ENOENT)
		return 0;
	if (r == 0)
		r = faults_decode(file->faults, data, size);
	if (r != FAULTS_E_BAD && r != -EFBIG)
		return r;
	snprintf(bad, sizeof(bad), "%s.bad", file->path);
	log_error("open faults of the last start are not known: damaged path=%s kept=%s",
		  file->path, bad);
	return rename(file->path, bad) ? -errno : 0;
}

int faults_file_open(struct faults_file **ret_file, struct ev_loop *loop, const char *state_dir,
		     struct faults *faults)
{
	struct faults_file *file = calloc(1, sizeof(*file));
	int r;

	if (!file)
		return -ENOMEM;
	file->loop = loop;
	file->faults = faults;
	file->image.max = FAULTS_FILE_MAX;
	snprintf(file->path, sizeof(file->path), "%s/faults", state_dir);
	offspring_init(&file->child, 0);
	ev_init(&file->io, faults_file_on_io);
	ev_init(&file->timer, faults_file_on_timer);
	file->io.data = file->timer.data = file;
	r = faults_file_load(file);
	if (r) {
		faults_file_close(file, 0);
		return r;
	}
	file->written = faults->version;
	*ret_file = file;
	return 0;
}

/* The child that runs, then one with the last state. */
static void faults_file_finish(struct faults_file *file, uint64_t end_ns)
{
	while (offspring_is_running(&file->child) || file->faults->version != file->written) {
		struct pollfd poll_fd = { .events = POLLIN };
		uint64_t now_ns = clock_monotonic_ns(), tried = file->writing;

		if (now_ns >= end_ns)
			return;
		if (!offspring_is_running(&file->child))
			faults_file_start(file);
		if (!offspring_is_running(&file->child))
			return;
		poll_fd.fd = file->child.fd;
		(void)poll(&poll_fd, 1, (int)((end_ns - now_ns) / CLOCK_NS_PER_MS));
		if (faults_file_read(file) && file->written != file->writing &&
		    tried == file->faults->version)
			return; /* failed twice */
	}
}

struct faults_file *faults_file_close(struct faults_file *file, uint64_t timeout_ns)
{
	if (!file)
		return NULL;
	ev_timer_stop(file->loop, &file->timer);
	if (timeout_ns)
		faults_file_finish(file, clock_monotonic_ns() + timeout_ns);
	ev_io_stop(file->loop, &file->io);
	offspring_deinit(&file->child);
	buf_deinit(&file->image);
	free(file);
	return NULL;
}
