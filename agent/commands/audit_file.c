/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/file.h"

#define AUDIT_FILE_TAIL (64 * 1024)

/* The last AUDIT_FILE_TAIL bytes. *ret_offset: of the first of them in the file. */
static int audit_file_tail(const char *path, char **ret_data, size_t *ret_n, uint64_t *ret_offset)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	uint64_t offset;
	ssize_t n;
	char *data;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	offset = st.st_size > AUDIT_FILE_TAIL ? (uint64_t)st.st_size - AUDIT_FILE_TAIL : 0;
	if (lseek(fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	data = malloc(AUDIT_FILE_TAIL);
	if (!data)
		return -ENOMEM;
	n = fd_read_all(fd, data, AUDIT_FILE_TAIL);
	if (n < 0) {
		free(data);
		return (int)n;
	}
	*ret_data = data;
	*ret_n = (size_t)n;
	*ret_offset = offset;
	return 0;
}

struct audit_file_scan {
	struct audit_link link;
	size_t good; /* bytes up to the end of the last whole line */
	bool broken;
	void (*line)(void *data, const char *line, size_t len);
	void *data;
};

/* The first line of a tail has no known predecessor: it is believed. */
static void audit_file_scan(struct audit_file_scan *scan, const char *data, size_t n, size_t start)
{
	struct audit_link claimed;
	const char *end;

	while ((end = memchr(data + start, '\n', n - start))) {
		size_t len = (size_t)(end - data) - start;

		if (audit_read_line(data + start, len, &claimed) == 0) {
			if (scan->good && audit_check_line(data + start, len, &scan->link))
				scan->broken = true;
			scan->link = claimed;
			scan->line(scan->data, data + start, len);
		} else {
			scan->broken = true;
		}
		start += len + 1;
		scan->good = start;
	}
}

static int audit_file_read(const char *path, struct audit_file_scan *scan, uint64_t *ret_size)
{
	_cleanup_free_ char *data = NULL;
	uint64_t offset = 0;
	size_t n = 0, start = 0;
	const char *newline;
	int r = audit_file_tail(path, &data, &n, &offset);

	if (r || !data)
		return r;
	if (offset) { /* in the middle of a line */
		newline = memchr(data, '\n', n);
		start = newline ? (size_t)(newline - data) + 1 : n;
	}
	audit_file_scan(scan, data, n, start);
	*ret_size = scan->good ? offset + scan->good : 0;
	return 0;
}

int audit_file_load(const char *path, struct audit_link *ret_link, uint64_t *ret_size,
		    void (*line)(void *data, const char *line, size_t len), void *data)
{
	struct audit_file_scan scan = { .line = line, .data = data };
	char older[4200];
	int r = audit_file_read(path, &scan, ret_size);

	if (r == -ENOENT) {
		snprintf(older, sizeof(older), "%s.1", path);
		r = audit_file_read(older, &scan, ret_size);
		*ret_size = 0; /* PATH must be begun */
	}
	if (r && r != -ENOENT)
		return r;
	*ret_link = scan.link;
	return scan.broken ? AUDIT_E_HASH : 0;
}

int audit_file_append(const char *path, uint64_t size, const void *bytes, size_t n)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if ((uint64_t)st.st_size > size && ftruncate(fd, (off_t)size))
		return -errno;
	if (lseek(fd, 0, SEEK_END) < 0)
		return -errno;
	r = fd_write_all(fd, bytes, n);
	if (r == 0 && fdatasync(fd))
		r = -errno;
	return r;
}

static int audit_file_shift(const char *path, unsigned n_files)
{
	char from[4200], to[4200];

	for (unsigned i = n_files; i >= 1; i--) {
		if (i == 1)
			snprintf(from, sizeof(from), "%s", path);
		else
			snprintf(from, sizeof(from), "%s.%u", path, i - 1);
		snprintf(to, sizeof(to), "%s.%u", path, i);
		if (rename(from, to) && errno != ENOENT)
			return -errno;
	}
	return 0;
}

int audit_file_rotate(const char *path, unsigned n_files, const void *bytes, size_t n)
{
	struct stat st;
	int r;

	/* tried again after a full disk: the old one has been put aside already */
	if (stat(path, &st) == 0) {
		r = audit_file_shift(path, n_files);
		if (r)
			return r;
	}
	return file_replace(path, bytes, n, 0600);
}
