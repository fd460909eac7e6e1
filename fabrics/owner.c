/* SPDX-License-Identifier: Apache-2.0 */
#include "fabrics/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/file.h"

#define OWNER_PATH  512
#define OWNER_MAKER "pathbell-maker"

/* "nvme" and digits: a name from elsewhere must not lead out of the folder. */
static bool owner_is_controller(const char *name)
{
	return strncmp(name, "nvme", 4) == 0 && name[4] &&
	       name[4 + strspn(name + 4, "0123456789")] == '\0' && strlen(name) < OWNER_NAME;
}

static int owner_path(const char *dir, const char *controller, const char *attribute,
		      char *ret_path)
{
	if (!owner_is_controller(controller))
		return -EINVAL;
	if (snprintf(ret_path, OWNER_PATH, "%s/%s%s%s", dir, controller, *attribute ? "/" : "",
		     attribute) >= OWNER_PATH)
		return -ENAMETOOLONG;
	return 0;
}

static int owner_get(const char *dir, const char *controller, const char *attribute,
		     char ret_value[OWNER_NAME])
{
	char path[OWNER_PATH], line[256];
	int r = owner_path(dir, controller, attribute, path);

	ret_value[0] = '\0';
	if (r == 0)
		r = file_read_line(AT_FDCWD, path, line, sizeof(line));
	if (r == 0)
		snprintf(ret_value, OWNER_NAME, "%s", line);
	return r == -ENOENT ? 0 : r;
}

int owner_read(const char *dir, const char *controller, char ret_owner[OWNER_NAME])
{
	return owner_get(dir, controller, "owner", ret_owner);
}

int owner_read_maker(const char *dir, const char *controller, char ret_maker[OWNER_NAME])
{
	return owner_get(dir, controller, OWNER_MAKER, ret_maker);
}

static int owner_put(const char *dir, const char *controller, const char *attribute,
		     const char *value)
{
	char path[OWNER_PATH], text[64];
	int r = owner_path(dir, controller, attribute, path);

	if (r == 0)
		r = file_replace(path, text, (size_t)snprintf(text, sizeof(text), "%.62s\n", value),
				 0644);
	return r;
}

int owner_write_maker(const char *dir, const char *controller, const char *maker)
{
	return owner_put(dir, controller, OWNER_MAKER, maker);
}

static int owner_unlink(const char *dir, const char *controller, const char *attribute)
{
	char path[OWNER_PATH];
	int r = owner_path(dir, controller, attribute, path);

	if (r)
		return r;
	return unlink(path) == 0 || errno == ENOENT ? 0 : -errno;
}

int owner_write(const char *dir, const char *seqnum_path, const char *controller, const char *owner)
{
	char path[OWNER_PATH], seqnum[32];
	int r = owner_path(dir, controller, "", path);

	if (r == 0)
		r = file_read_line(AT_FDCWD, seqnum_path, seqnum, sizeof(seqnum));
	if (r == 0)
		r = file_mkdirs(path, 0755);
	/* Who made the last one with this number did not make this one. */
	if (r == 0)
		r = owner_unlink(dir, controller, OWNER_MAKER);
	/* The stamp first: an entry without one would never be removed. */
	if (r == 0)
		r = owner_put(dir, controller, "seqnum", seqnum);
	if (r == 0)
		r = owner_put(dir, controller, "owner", owner);
	return r;
}

int owner_remove(const char *dir, const char *controller, uint64_t seqnum)
{
	char path[OWNER_PATH], line[32];
	int r = owner_path(dir, controller, "seqnum", path);

	if (r)
		return r;
	if (file_read_line(AT_FDCWD, path, line, sizeof(line)) == 0 &&
	    strtoull(line, NULL, 10) > seqnum)
		return OWNER_E_YOUNGER;
	r = owner_unlink(dir, controller, "owner");
	if (r == 0)
		r = owner_unlink(dir, controller, OWNER_MAKER);
	if (r == 0)
		r = owner_unlink(dir, controller, "seqnum");
	if (r == 0)
		r = owner_path(dir, controller, "", path);
	/* Attributes of other programs keep the folder. */
	if (r == 0 && rmdir(path) != 0 && errno != ENOENT && errno != ENOTEMPTY)
		r = -errno;
	return r;
}
