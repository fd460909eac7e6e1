/* SPDX-License-Identifier: Apache-2.0 */
#include "core/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/fd.h"

#define FILE_READ_STEP 4096

/* st_size says nothing for /proc and /sys: read until the end. */
static int file_read_fd(int fd, size_t max, struct buf *buf)
{
	ssize_t n;
	int r;

	do {
		r = buf_reserve(buf, FILE_READ_STEP);
		if (r < 0)
			return r;
		n = fd_read_all(fd, buf->data + buf->size, buf->capacity - buf->size - 1);
		if (n < 0)
			return (int)n;
		buf->size += (size_t)n;
		if (buf->size > max)
			return -EFBIG;
	} while (n > 0);
	buf->data[buf->size] = '\0';
	return 0;
}

int file_read(const char *path, size_t max, char **ret_data, size_t *ret_size)
{
	struct buf buf = { .max = max < SIZE_MAX - 3 * FILE_READ_STEP ? max + 2 * FILE_READ_STEP
								      : SIZE_MAX };
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int r;

	if (fd < 0)
		return -errno;
	r = file_read_fd(fd, max, &buf);
	if (r < 0) {
		buf_deinit(&buf);
		return r;
	}
	*ret_data = (char *)buf.data;
	*ret_size = buf.size;
	return 0;
}

static bool file_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

int file_read_line(int dirfd, const char *path, char *ret_line, size_t size)
{
	char text[PIPE_BUF + 1];
	const char *start = text, *end;
	_cleanup_fd_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	ssize_t n;

	if (fd < 0)
		return -errno;
	/* A sysfs attribute is at most a page (fs/sysfs/file.c, Linux 6.1). */
	n = fd_read_all(fd, text, sizeof(text) - 1);
	if (n < 0)
		return (int)n;
	text[n] = '\0';
	end = start + strcspn(start, "\n");
	while (start < end && file_is_blank(*start))
		start++;
	while (end > start && file_is_blank(end[-1]))
		end--;
	if ((size_t)(end - start) >= size)
		return -ENOBUFS;
	memcpy(ret_line, start, (size_t)(end - start));
	ret_line[end - start] = '\0';
	return 0;
}

int file_sync_dir(const char *path)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

static int file_fill(int fd, const void *data, size_t size, mode_t mode)
{
	int r = fd_write_all(fd, data, size);

	if (r < 0)
		return r;
	if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

/* Folder part of @path: "." and "/" included. 0 or -ENAMETOOLONG. */
static int file_parent(const char *path, char ret_parent[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) : 1;

	if (len >= PATH_MAX)
		return -ENAMETOOLONG;
	if (slash == path)
		len = 1;
	memcpy(ret_parent, slash ? path : ".", len);
	ret_parent[len] = '\0';
	return 0;
}

int file_replace(const char *path, const void *data, size_t size, mode_t mode)
{
	char temporary[PATH_MAX], parent[PATH_MAX];
	_cleanup_fd_ int fd = -1;
	int r = file_parent(path, parent);

	if (r < 0)
		return r;
	if (snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path) >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = file_fill(fd, data, size, mode);
	if (r == 0 && rename(temporary, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(temporary);
		return r;
	}
	return file_sync_dir(parent);
}

static int file_mkdir(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (stat(path, &st) < 0)
		return -errno;
	return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int file_mkdirs(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t len = strlen(path);
	int r = 0;

	if (len == 0)
		return -ENOENT;
	if (len >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	for (char *p = part + 1; *p && r == 0; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		r = file_mkdir(part, mode);
		*p = '/';
	}
	return r < 0 ? r : file_mkdir(part, mode);
}

bool file_any(const char *path, bool (*entry)(void *data, const char *path, const char *name),
	      void *data)
{
	DIR *dir = opendir(path);
	struct dirent *one;
	bool found = false;

	while (dir && !found && (one = readdir(dir)) != NULL)
		if (one->d_name[0] != '.')
			found = entry(data, path, one->d_name);
	if (dir)
		closedir(dir);
	return found;
}
