/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/spool/crash.h"
#include "agent/spool/disk.h"
#include "agent/spool/layout.h"
#include "agent/spool/slot.h"
#include "agent/spool/writer.h"
#include "core/clock.h"
#include "core/fd.h"

#define WRITER_N_FILES	 6
#define WRITER_ZERO_SIZE 65536
#define WRITER_PAGE	 4096

struct writer_file {
	int fd; /* -1: free */
	uint8_t dir;
	uint64_t number, used;
};

struct writer_files {
	const struct disk *disk;
	int dirfds[WRITER_N_DIRS], state_fds[WRITER_N_DIRS];
	struct writer_file open[WRITER_N_FILES];
	uint64_t clock;
};

struct writer_files *writer_files_new(const int dirfds[WRITER_N_DIRS])
{
	struct writer_files *files = calloc(1, sizeof(*files));

	if (files == NULL)
		return NULL;
	files->disk = disk_get();
	for (unsigned i = 0; i < WRITER_N_DIRS; i++) {
		files->dirfds[i] = dirfds[i] < 0 ? -1 : fcntl(dirfds[i], F_DUPFD_CLOEXEC, 3);
		files->state_fds[i] = -1;
	}
	for (unsigned i = 0; i < WRITER_N_FILES; i++)
		files->open[i].fd = -1;
	return files;
}

struct writer_files *writer_files_free(struct writer_files *files)
{
	if (files == NULL)
		return NULL;
	for (unsigned i = 0; i < WRITER_N_DIRS; i++) {
		fd_close(files->dirfds[i]);
		fd_close(files->state_fds[i]);
	}
	for (unsigned i = 0; i < WRITER_N_FILES; i++)
		fd_close(files->open[i].fd);
	free(files);
	return NULL;
}

static struct writer_file *writer_find(struct writer_files *files, const struct op *op)
{
	for (unsigned i = 0; i < WRITER_N_FILES; i++) {
		struct writer_file *file = &files->open[i];

		if (file->fd >= 0 && file->number == op->number && file->dir == op->dir)
			return file;
	}
	return NULL;
}

static void writer_close(struct writer_files *files, const struct op *op)
{
	struct writer_file *file = writer_find(files, op);

	if (file != NULL)
		file->fd = fd_close(file->fd);
}

/* The segment's descriptor or -errno. With @create it must not exist. */
static int writer_open(struct writer_files *files, const struct op *op, int create)
{
	int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
	struct writer_file *file = writer_find(files, op), *oldest = &files->open[0];
	char name[LAYOUT_NAME_SIZE];
	int fd;

	if (file == NULL) {
		layout_name(name, op->number, op->lane);
		fd = files->disk->openat(files->dirfds[op->dir], name,
					 flags | (create ? O_CREAT | O_EXCL : 0), 0600);
		if (fd < 0 && !create && (errno == EROFS || errno == EACCES))
			fd = files->disk->openat(files->dirfds[op->dir], name,
						 O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0);
		if (fd < 0)
			return -errno;
		for (unsigned i = 0; i < WRITER_N_FILES; i++)
			if (files->open[i].fd < 0 || files->open[i].used < oldest->used)
				oldest = &files->open[i];
		fd_close(oldest->fd);
		*oldest = (struct writer_file){ .fd = fd, .dir = op->dir, .number = op->number };
		file = oldest;
	}
	file->used = ++files->clock;
	return file->fd;
}

static int writer_sync(struct writer_files *files, struct job *job, int fd, bool data_only)
{
	uint64_t begin = clock_monotonic_ns();
	int r = data_only ? files->disk->fdatasync(fd) : files->disk->fsync(fd);

	if (r < 0)
		r = -errno;
	job->n_syncs++;
	job->sync_ns += clock_monotonic_ns() - begin;
	return r;
}

static int writer_dirsync(struct writer_files *files, struct job *job, const struct op *op)
{
	int r;

	crash_point("dir-sync", false);
	r = writer_sync(files, job, files->dirfds[op->dir], false);
	crash_point("dir-sync", true);
	return r;
}

static int writer_create(struct writer_files *files, struct job *job, const struct op *op)
{
	int fd, r;

	crash_point("segment-create", false);
	fd = writer_open(files, op, 1);
	if (fd < 0)
		return fd;
	/* Not every file system can; then space is found at the write. */
	if (op->size > 0 && files->disk->fallocate(fd, 0, 0, (off_t)op->size) < 0 &&
	    errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	r = disk_write_all(files->disk, fd, op->data, LAYOUT_HEADER_SIZE, 0);
	crash_point("segment-create", true);
	return r < 0 ? r : writer_dirsync(files, job, op);
}

static int writer_zero(struct writer_files *files, int fd, const struct op *op)
{
	static const uint8_t zeros[WRITER_ZERO_SIZE];
	int r = 0;

	for (size_t done = 0; r == 0 && done < op->size; done += WRITER_ZERO_SIZE) {
		size_t n = op->size - done < WRITER_ZERO_SIZE ? op->size - done : WRITER_ZERO_SIZE;

		r = disk_write_all(files->disk, fd, zeros, n, (off_t)(op->offset + done));
	}
	return r;
}

static int writer_seal(struct writer_files *files, struct job *job, int fd, const struct op *op)
{
	int r;

	crash_point("seal", false);
	r = disk_write_all(files->disk, fd, op->data, op->size, (off_t)op->offset);
	if (r == 0 && files->disk->ftruncate(fd, (off_t)(op->offset + op->size)) < 0)
		r = -errno;
	if (r == 0)
		r = writer_sync(files, job, fd, true);
	if (r == 0)
		writer_close(files, op);
	crash_point("seal", true);
	return r;
}

/* Both slots are made of real blocks at once, so that a full disk cannot stop a later state. */
static int writer_open_state(struct writer_files *files, struct job *job, const struct op *op)
{
	struct op zero = { .size = (size_t)2 * SLOT_SIZE };
	int fd = files->disk->openat(files->dirfds[op->dir], SLOT_FILE,
				     O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	off_t size;
	int r = 0;

	if (fd < 0)
		return -errno;
	size = lseek(fd, 0, SEEK_END);
	if (size < (off_t)2 * SLOT_SIZE) {
		zero.offset = size < 0 ? 0 : (uint64_t)size;
		zero.size -= zero.offset;
		r = writer_zero(files, fd, &zero);
		if (r == 0)
			r = writer_dirsync(files, job, op);
	}
	if (r < 0)
		fd_close(fd);
	else
		files->state_fds[op->dir] = fd;
	return r;
}

static int writer_state(struct writer_files *files, struct job *job, const struct op *op)
{
	int r = 0;

	crash_point("state", false);
	if (files->state_fds[op->dir] < 0)
		r = writer_open_state(files, job, op);
	if (r == 0)
		r = disk_write_all(files->disk, files->state_fds[op->dir], op->data, op->size,
				   (off_t)op->offset);
	if (r == 0)
		r = writer_sync(files, job, files->state_fds[op->dir], true);
	crash_point("state", true);
	return r;
}

static int writer_unlink(struct writer_files *files, const struct op *op)
{
	char name[LAYOUT_NAME_SIZE];
	int r;

	layout_name(name, op->number, op->lane);
	writer_close(files, op);
	crash_point("unlink", false);
	r = files->disk->unlinkat(files->dirfds[op->dir], name, 0);
	if (r < 0)
		r = errno == ENOENT ? 0 : -errno;
	crash_point("unlink", true);
	return r;
}

/* A bad sector costs its page, not the window: the rest is read page by page, zeros stand for what
 * is lost. */
static int writer_read(struct writer_files *files, int fd, struct op *op)
{
	ssize_t n = disk_read_all(files->disk, fd, op->owned, op->size, (off_t)op->offset);

	if (n >= 0) {
		op->result = (size_t)n;
		return 0;
	}
	if (n != -EIO)
		return (int)n;
	for (size_t done = 0; done < op->size; done += WRITER_PAGE) {
		size_t part = op->size - done < WRITER_PAGE ? op->size - done : WRITER_PAGE;

		memset(op->owned + done, 0, part);
		(void)disk_read_all(files->disk, fd, op->owned + done, part,
				    (off_t)(op->offset + done));
	}
	op->result = op->size;
	return 0;
}

static int writer_copy_bytes(struct writer_files *files, int from, int to, size_t size)
{
	uint8_t *buffer = malloc(WRITER_ZERO_SIZE);
	ssize_t n = 1;
	int r = buffer != NULL ? 0 : -ENOMEM;

	for (size_t done = 0; r == 0 && n > 0 && done < size; done += (size_t)n) {
		size_t part = size - done < WRITER_ZERO_SIZE ? size - done : WRITER_ZERO_SIZE;

		n = disk_read_all(files->disk, from, buffer, part, (off_t)done);
		if (n < 0)
			r = (int)n;
		else if (n > 0)
			r = disk_write_all(files->disk, to, buffer, (size_t)n, (off_t)done);
	}
	free(buffer);
	return r;
}

/* Unlike creation an existing target is a rest of an earlier try: removed first. */
static int writer_copy(struct writer_files *files, struct job *job, const struct op *op)
{
	struct op to = *op;
	int from_fd, to_fd, r;

	to.dir = op->to_dir;
	crash_point("copy", false);
	r = writer_unlink(files, &to);
	from_fd = r < 0 ? r : writer_open(files, op, 0);
	to_fd = from_fd < 0 ? from_fd : writer_open(files, &to, 1);
	if (to_fd < 0)
		return to_fd;
	r = writer_copy_bytes(files, from_fd, to_fd, op->size);
	if (r == 0)
		r = writer_sync(files, job, to_fd, true);
	if (r == 0)
		r = writer_dirsync(files, job, &to);
	if (r < 0)
		writer_unlink(files, &to);
	crash_point("copy", true);
	return r;
}

static int writer_opendir(struct writer_files *files, const struct op *op)
{
	int fd = files->disk->openat(AT_FDCWD, (const char *)op->data,
				     O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	fd_close(files->dirfds[op->dir]);
	files->dirfds[op->dir] = fd;
	files->state_fds[op->dir] = fd_close(files->state_fds[op->dir]);
	return 0;
}

static int writer_run_file_op(struct writer_files *files, struct job *job, struct op *op)
{
	int fd = writer_open(files, op, 0), r;

	if (fd < 0)
		return fd;
	switch (op->kind) {
	case OP_ZERO:
		return writer_zero(files, fd, op);
	case OP_WRITE:
		crash_point("append", false);
		r = disk_write_all(files->disk, fd, op->data, op->size, (off_t)op->offset);
		crash_point("append", true);
		return r;
	case OP_SYNC:
		crash_point("sync", false);
		r = writer_sync(files, job, fd, true);
		crash_point("sync", true);
		return r;
	case OP_SEAL:
		return writer_seal(files, job, fd, op);
	default:
		return writer_read(files, fd, op);
	}
}

int writer_run_op(struct writer_files *files, struct job *job, struct op *op)
{
	if (op->kind != OP_OPENDIR && files->dirfds[op->dir] < 0)
		return -ENOTDIR;
	switch (op->kind) {
	case OP_OPENDIR:
		return writer_opendir(files, op);
	case OP_CREATE:
		return writer_create(files, job, op);
	case OP_STATE:
		return writer_state(files, job, op);
	case OP_UNLINK:
		return writer_unlink(files, op);
	case OP_DIRSYNC:
		return writer_dirsync(files, job, op);
	case OP_COPY:
		return writer_copy(files, job, op);
	default:
		return writer_run_file_op(files, job, op);
	}
}
