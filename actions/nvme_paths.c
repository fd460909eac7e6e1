/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/nvme_target.h"
#include "core/file.h"
#include "fabrics/in_use.h"

/*
 * The last-path guard. Below a controller lie its ways to namespaces:
 *
 *   nvmeXcYnZ	native multipath: subsystem X, controller Y; nvmeXnZ is the disk that is used.
 *Another way to it is nvmeXcWnZ of a controller that is live, in an ANA state that takes I/O.
 *   nvmeXnZ	the disk itself: native multipath off, or a namespace that is not shared. Others are
 *		found where device-mapper multipath holds it: the map's other disks (slaves).
 *
 * (nvme_set_disk_name in drivers/nvme/host/multipath.c and core.c, Linux 5.10 to 6.12.) A namespace
 * that keeps another way, or that nothing uses, loses nothing.
 */
#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name

#define NVME_PATHS_NAME 64

struct nvme_paths_way {
	unsigned subsystem, controller, namespace;
	bool is_hidden; /* nvmeXcYnZ */
};

struct nvme_paths {
	const struct action_host *host;
	char controller[LOOK_NAME]; /* that is to go away */
	bool wants_users;	    /* also of a namespace that keeps another path */
	char users[400];
	struct nvme_paths_way way; /* that is asked about now */
	const char *other;	   /* the controller that may have another */
};

static bool nvme_paths_parse(const char *name, struct nvme_paths_way *ret_way)
{
	struct nvme_paths_way way = { 0 };
	char end;

	// NOLINTNEXTLINE(cert-err34-c)
	if (sscanf(name, "nvme%uc%un%u%c", &way.subsystem, &way.controller, &way.namespace, &end) ==
	    3)
		way.is_hidden = true;
	// NOLINTNEXTLINE(cert-err34-c)
	else if (sscanf(name, "nvme%un%u%c", &way.subsystem, &way.namespace, &end) != 2)
		return false;
	*ret_way = way;
	return true;
}

static bool nvme_paths_is_live(const struct nvme_paths *paths, const char *controller)
{
	char state[LOOK_NAME];

	return strcmp(controller, paths->controller) != 0 &&
	       look_read_state(paths->host->sysfs, controller, state) == 0 &&
	       strcmp(state, "live") == 0;
}

/* Without ANA there is no such attribute, and the path takes I/O. */
static bool nvme_paths_takes_io(const struct nvme_paths *paths, const char *controller,
				const char *name)
{
	char path[512], state[LOOK_NAME];

	snprintf(path, sizeof(path), "%s/class/nvme/%s/%s/ana_state", paths->host->sysfs,
		 controller, name);
	return file_read_line(AT_FDCWD, path, state, sizeof(state)) != 0 ||
	       strcmp(state, "optimized") == 0 || strcmp(state, "non-optimized") == 0;
}

/* Is this, below paths->other, a usable way to the namespace of paths->way? */
static bool nvme_paths_is_other(void *data, const char *path, const char *name)
{
	const struct nvme_paths *paths = data;
	const struct nvme_paths_way *way = &paths->way;
	struct nvme_paths_way other;

	return nvme_paths_parse(name, &other) && other.is_hidden &&
	       other.subsystem == way->subsystem && other.namespace == way->namespace &&
	       nvme_paths_takes_io(paths, paths->other, name);
}

static bool nvme_paths_controller_has_other(void *data, const char *path, const char *name)
{
	struct nvme_paths *paths = data;
	char folder[512];

	if (strncmp(name, "nvme", 4) != 0 || strlen(name) >= LOOK_NAME ||
	    !nvme_paths_is_live(paths, name))
		return false;
	paths->other = name;
	snprintf(folder, sizeof(folder), "%s/%s", path, name);
	return file_any(folder, nvme_paths_is_other, paths);
}

static bool nvme_paths_has_other(struct nvme_paths *paths)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/class/nvme", paths->host->sysfs);
	return file_any(path, nvme_paths_controller_has_other, paths);
}

/* The controller of a disk nvmeYnZ, by its link /sys/block/NAME/device. */
static bool nvme_paths_disk_is_usable(void *data, const char *slaves, const char *disk)
{
	const struct nvme_paths *paths = data;
	char path[512], state[LOOK_NAME], *real, *base;
	bool is_other;

	snprintf(path, sizeof(path), "%s/block/%.64s/device", paths->host->sysfs, disk);
	real = realpath(path, NULL);
	base = real ? strrchr(real, '/') : NULL;
	is_other = base && strcmp(base + 1, paths->controller) != 0;
	free(real);
	if (!is_other)
		return false;
	snprintf(path, sizeof(path), "%s/block/%.64s/device/state", paths->host->sysfs, disk);
	if (file_read_line(AT_FDCWD, path, state, sizeof(state)) != 0)
		return false;
	return strcmp(state, "live") == 0 || strcmp(state, "running") == 0; /* NVMe, SCSI */
}

/* Is this a multipath map with a disk besides those of this controller? */
static bool nvme_paths_holder_has_other(void *data, const char *holders, const char *map)
{
	const struct nvme_paths *paths = data;
	char path[512], uuid[256];

	snprintf(path, sizeof(path), "%s/block/%.64s/dm/uuid", paths->host->sysfs, map);
	if (file_read_line(AT_FDCWD, path, uuid, sizeof(uuid)) != 0 ||
	    strncmp(uuid, "mpath-", 6) != 0)
		return false;
	snprintf(path, sizeof(path), "%s/block/%.64s/slaves", paths->host->sysfs, map);
	return file_any(path, nvme_paths_disk_is_usable, data);
}

static bool nvme_paths_is_held_well(struct nvme_paths *paths, const char *disk)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/block/%.64s/holders", paths->host->sysfs, disk);
	return file_any(path, nvme_paths_holder_has_other, paths);
}

/* True: this namespace is used and would lose its last path. paths->users says which it is. */
static bool nvme_paths_check(void *data, const char *path, const char *name)
{
	struct nvme_paths *paths = data;
	const struct action_host *host = paths->host;
	const struct in_use_roots roots = { host->sysfs, host->proc ? host->proc : "/proc",
					    host->dev };
	char disk[NVME_PATHS_NAME], use[300];
	bool has_other;

	if (!nvme_paths_parse(name, &paths->way))
		return false;
	snprintf(disk, sizeof(disk), "nvme%un%u", paths->way.subsystem, paths->way.namespace);
	has_other = paths->way.is_hidden ? nvme_paths_has_other(paths)
					 : nvme_paths_is_held_well(paths, disk);
	if (has_other && !paths->wants_users)
		return false;
	if (!in_use_find(&roots, disk, use, sizeof(use)))
		return false;
	if (has_other)
		snprintf(paths->users, sizeof(paths->users), "%s is %s, and keeps another path",
			 disk, use);
	else
		snprintf(paths->users, sizeof(paths->users),
			 "it is the last live path to %s, which is %s", disk, use);
	return !has_other;
}

int nvme_target_check_last_path(struct action *action, const struct nvme_target *target,
				char *ret_users, size_t size)
{
	struct nvme_paths paths = { .host = action->host, .wants_users = action->command->dry_run };
	char path[512];
	bool found;

	snprintf(paths.controller, sizeof(paths.controller), "%s", target->look.name);
	snprintf(path, sizeof(path), "%s/class/nvme/%s", action->host->sysfs, target->look.name);
	found = file_any(path, nvme_paths_check, &paths);
	snprintf(ret_users, size, "%s", paths.users);
	if (!found || action->command->override_last_path)
		return 0;
	return action_refuse(action, REFUSAL(LAST_PATH), "%s: %s", target->look.name, paths.users);
}
