/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme_monitor/mask.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/file.h"

#define MASK_PATH   4096
#define MASK_MARK   "# Made by pathbelld (nvme_monitor)"
#define MASK_ADMIN  "/etc/udev/rules.d"
#define MASK_SUFFIX ".rules"

static const char mask_text[] = MASK_MARK
	": takes the place of the rules of this name while it\n"
	"# connects NVMe controllers by itself. Removed when it ends or is told to observe.\n";

static bool mask_is_ours(int dir, const char *name)
{
	char line[sizeof(MASK_MARK) + 80] = "";

	return file_read_line(dir, name, line, sizeof(line)) == 0 &&
	       strncmp(line, MASK_MARK, strlen(MASK_MARK)) == 0;
}

static bool mask_exists(const char *folder, const char *name)
{
	char path[MASK_PATH];

	return (size_t)snprintf(path, sizeof(path), "%s/%s", folder, name) < sizeof(path) &&
	       access(path, F_OK) == 0;
}

/* 0 or -errno. A half-written file would mask all the same, but without its mark nobody would
 * remove it: hence the rename. */
static int mask_make(int dir, const char *name)
{
	static const char temporary[] = ".pathbelld-mask";
	_cleanup_fd_ int fd = -1;
	int r;

	(void)unlinkat(dir, temporary, 0);
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, mask_text, sizeof(mask_text) - 1);
	/* Never over what somebody else has put there meanwhile. */
	if (r == 0 && linkat(dir, temporary, dir, name, 0) != 0)
		r = -errno;
	(void)unlinkat(dir, temporary, 0);
	return r;
}

static int mask_one(int dir, const char *name, struct mask_outcome *outcome)
{
	int r;

	if (mask_exists(MASK_ADMIN, name)) {
		outcome->foreign++;
		return 0;
	}
	r = mask_make(dir, name);
	if (r == 0)
		outcome->changed++;
	else if (r != -EEXIST)
		return r;
	else if (!mask_is_ours(dir, name)) {
		outcome->foreign++;
		return 0;
	}
	outcome->masked++;
	return 0;
}

int mask_set(const struct mask_options *options, struct mask_outcome *ret_outcome)
{
	_cleanup_fd_ int dir = -1;
	int result = 0;

	*ret_outcome = (struct mask_outcome){ 0 };
	for (size_t i = 0; i < options->rules->n_items; i++) {
		const char *name = options->rules->items[i];
		bool there = false;
		int r;

		for (size_t k = 0; !there && k < options->from->n_items; k++)
			there = mask_exists(options->from->items[k], name);
		if (!there || strchr(name, '/') != NULL)
			continue;
		if (dir < 0) {
			r = file_mkdirs(options->dir, 0755);
			if (r == 0)
				dir = open(options->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			if (dir < 0)
				return r < 0 ? r : -errno;
		}
		r = mask_one(dir, name, ret_outcome);
		if (r < 0 && result == 0)
			result = r;
	}
	return result;
}

int mask_clear(const char *path, struct mask_outcome *ret_outcome)
{
	DIR *folder = opendir(path);
	const struct dirent *entry;
	int result = 0;

	*ret_outcome = (struct mask_outcome){ 0 };
	if (folder == NULL)
		return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
	while ((entry = readdir(folder)) != NULL) {
		size_t len = strlen(entry->d_name), suffix = strlen(MASK_SUFFIX);

		if (len <= suffix || strcmp(entry->d_name + len - suffix, MASK_SUFFIX) != 0 ||
		    !mask_is_ours(dirfd(folder), entry->d_name))
			continue;
		if (unlinkat(dirfd(folder), entry->d_name, 0) == 0)
			ret_outcome->changed++;
		else if (errno != ENOENT && result == 0)
			result = -errno;
	}
	closedir(folder);
	return result;
}

void mask_reload(void)
{
	static const char *const programs[] = { "/usr/bin/udevadm", "/bin/udevadm",
						"/usr/sbin/udevadm", "/sbin/udevadm" };
	char *const environment[] = { (char *)"PATH=/usr/bin:/bin", NULL };

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		char *const arguments[] = { (char *)"udevadm", (char *)"control",
					    (char *)"--reload", (char *)"--timeout=10", NULL };

		(void)execve(programs[i], arguments, environment);
	}
}
