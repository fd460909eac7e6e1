/* SPDX-License-Identifier: Apache-2.0 */
#include "fabrics/in_use.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/file.h"

#define IN_USE_MAX_PARTS 64
#define IN_USE_PATH	 512
#define IN_USE_MAX_TABLE (8U << 20) /* of mountinfo */

struct in_use_part {
	char name[64];
	unsigned major, minor; /* 0:0 = not known */
};

struct in_use {
	const struct in_use_roots *roots;
	const char *disk;
	size_t n_parts; /* the disk itself is the first */
	struct in_use_part parts[IN_USE_MAX_PARTS];
	char *text;
	size_t size;
};

static void in_use_add(struct in_use *use, const char *folder, const char *name)
{
	struct in_use_part *part = &use->parts[use->n_parts];
	char path[IN_USE_PATH], line[32];

	if (use->n_parts == IN_USE_MAX_PARTS || strlen(name) >= sizeof(part->name))
		return;
	*part = (struct in_use_part){ 0 };
	snprintf(part->name, sizeof(part->name), "%s", name);
	snprintf(path, sizeof(path), "%s/dev", folder);
	if (file_read_line(AT_FDCWD, path, line, sizeof(line)) != 0 ||
	    sscanf(line, "%u:%u", &part->major, &part->minor) != 2) // NOLINT(cert-err34-c)
		part->major = part->minor = 0;
	use->n_parts++;
}

static bool in_use_add_partition(void *data, const char *path, const char *name)
{
	struct in_use *use = data;
	char folder[IN_USE_PATH], attribute[IN_USE_PATH + 16];

	snprintf(folder, sizeof(folder), "%s/%.64s", path, name);
	snprintf(attribute, sizeof(attribute), "%s/partition", folder);
	if (access(attribute, F_OK) == 0)
		in_use_add(use, folder, name);
	return false;
}

static void in_use_read_parts(struct in_use *use)
{
	char path[IN_USE_PATH];

	snprintf(path, sizeof(path), "%s/block/%.64s", use->roots->sysfs, use->disk);
	in_use_add(use, path, use->disk);
	(void)file_any(path, in_use_add_partition, use);
}

static bool in_use_held_by(void *data, const char *path, const char *name)
{
	struct in_use *use = data;

	snprintf(use->text, use->size, "held by %.64s", name);
	return true;
}

static bool in_use_holders(struct in_use *use)
{
	for (size_t i = 0; i < use->n_parts; i++) {
		char path[IN_USE_PATH];

		snprintf(path, sizeof(path), "%s/block/%.64s%s%s/holders", use->roots->sysfs,
			 use->disk, i ? "/" : "", i ? use->parts[i].name : "");
		if (file_any(path, in_use_held_by, use))
			return true;
	}
	return false;
}

/* "/dev/NAME", with @dev as it is called here. */
static bool in_use_is_node(const struct in_use *use, const char *path, const char *name)
{
	size_t len = strlen(use->roots->dev);

	return strncmp(path, use->roots->dev, len) == 0 && path[len] == '/' &&
	       strcmp(path + len + 1, name) == 0;
}

static const struct in_use_part *in_use_part_of(const struct in_use *use, const char *node,
						unsigned major, unsigned minor)
{
	for (size_t i = 0; i < use->n_parts; i++) {
		const struct in_use_part *part = &use->parts[i];

		if ((major || minor) && part->major == major && part->minor == minor)
			return part;
		if (node && in_use_is_node(use, node, part->name))
			return part;
	}
	return NULL;
}

/* "ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [FIELD...] - TYPE SOURCE OPTIONS" (proc(5)). */
static bool in_use_mount_line(struct in_use *use, const char *line)
{
	unsigned major = 0, minor = 0;
	char where[256] = "", node[256] = "";
	const char *rest = strstr(line, " - ");

	if (sscanf(line, "%*s %*s %u:%u %*s %255s", &major, &minor, // NOLINT(cert-err34-c)
		   where) != 3)
		return false;
	if (rest)
		(void)sscanf(rest, " - %*s %255s", node); // NOLINT(cert-err34-c)
	if (!in_use_part_of(use, node, major, minor))
		return false;
	snprintf(use->text, use->size, "mounted on %s", where);
	return true;
}

static bool in_use_swap_line(struct in_use *use, const char *line)
{
	char node[256] = "";

	if (sscanf(line, "%255s", node) != 1 || // NOLINT(cert-err34-c)
	    !in_use_part_of(use, node, 0, 0))
		return false;
	snprintf(use->text, use->size, "swap space");
	return true;
}

/* 0 where the file can't be read. */
static int in_use_table(struct in_use *use, const char *name,
			bool (*line)(struct in_use *use, const char *line), bool *ret_found)
{
	char path[IN_USE_PATH];
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r;

	snprintf(path, sizeof(path), "%s/%s", use->roots->proc, name);
	r = file_read(path, IN_USE_MAX_TABLE, &text, &size);
	*ret_found = false;
	for (char *rest = text, *one; r == 0 && !*ret_found && (one = strsep(&rest, "\n"));)
		*ret_found = line(use, one);
	return r;
}

static bool in_use_tables(struct in_use *use)
{
	bool found;

	/* The agent may live in a mount namespace of its own: that of process 1 counts. */
	if (in_use_table(use, "1/mountinfo", in_use_mount_line, &found) < 0)
		(void)in_use_table(use, "self/mountinfo", in_use_mount_line, &found);
	if (!found)
		(void)in_use_table(use, "swaps", in_use_swap_line, &found);
	return found;
}

/* Only links below /dev are followed: what is on a network may never answer. */
static bool in_use_descriptor(void *data, const char *path, const char *name)
{
	struct in_use *use = data;
	char link[IN_USE_PATH], node[256], process[64], command[64] = "";
	const struct in_use_part *part;
	struct stat st = { 0 };
	ssize_t n;
	unsigned pid = 0;

	snprintf(link, sizeof(link), "%s/%.32s", path, name);
	n = readlink(link, node, sizeof(node) - 1);
	if (n < 0)
		return false;
	node[n] = '\0';
	if (strncmp(node, use->roots->dev, strlen(use->roots->dev)) != 0)
		return false;
	if (stat(link, &st) != 0 || !S_ISBLK(st.st_mode))
		st.st_rdev = 0;
	part = in_use_part_of(use, node, major(st.st_rdev), minor(st.st_rdev));
	if (!part)
		return false;
	(void)sscanf(path + strlen(use->roots->proc), "/%u", &pid); // NOLINT(cert-err34-c)
	snprintf(process, sizeof(process), "%u/comm", pid);
	snprintf(link, sizeof(link), "%s/%s", use->roots->proc, process);
	(void)file_read_line(AT_FDCWD, link, command, sizeof(command));
	snprintf(use->text, use->size, "open in process %u%s%s%s", pid, *command ? " (" : "",
		 command, *command ? ")" : "");
	return true;
}

static bool in_use_process(void *data, const char *path, const char *name)
{
	char folder[IN_USE_PATH];

	if (name[strspn(name, "0123456789")] != '\0')
		return false;
	snprintf(folder, sizeof(folder), "%s/%.32s/fd", path, name);
	return file_any(folder, in_use_descriptor, data);
}

static bool in_use_is_claimed(struct in_use *use)
{
	char path[IN_USE_PATH];
	struct stat st;
	_cleanup_fd_ int fd = -1;

	snprintf(path, sizeof(path), "%s/%.64s", use->roots->dev, use->disk);
	if (stat(path, &st) != 0 || !S_ISBLK(st.st_mode))
		return false;
	/* A claimed partition keeps the disk from being claimed (bd_may_claim, block/bdev.c). */
	fd = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0 || errno != EBUSY)
		return false;
	snprintf(use->text, use->size, "claimed by something in the kernel");
	return true;
}

bool in_use_find(const struct in_use_roots *roots, const char *name, char *ret_text, size_t size)
{
	struct in_use use = { .roots = roots, .disk = name, .text = ret_text, .size = size };

	in_use_read_parts(&use);
	return in_use_holders(&use) || in_use_tables(&use) ||
	       file_any(roots->proc, in_use_process, &use) || in_use_is_claimed(&use);
}
