/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

/* The whole file, NUL added behind (not counted). *ret_data is for free(). 0, -EFBIG above @max,
 * -errno. */
int file_read(const char *path, size_t max, char **ret_data, size_t *ret_size);
/* First line of a small (sysfs) file without its newline and outer blanks; dirfd or AT_FDCWD. 0 or
 * -errno. */
int file_read_line(int dirfd, const char *path, char *ret_line, size_t size);
/* Temporary file in the same folder, fsync, rename, fsync of the folder. 0 or -errno. */
int file_replace(const char *path, const void *data, size_t size, mode_t mode);
/* mkdir -p. 0 or -errno. */
int file_mkdirs(const char *path, mode_t mode);
/* Asks @entry about the names in folder @path, those with a dot in front left out, until one says
 * true. False: none did, or there is no such folder. */
bool file_any(const char *path, bool (*entry)(void *data, const char *path, const char *name),
	      void *data);
/* fsync of a folder. 0 or -errno. */
int file_sync_dir(const char *path);

static inline void file_freep(void *p)
{
	free(*(void **)p);
}

#define _cleanup_free_ __attribute__((cleanup(file_freep)))
