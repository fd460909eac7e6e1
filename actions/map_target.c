/* SPDX-License-Identifier: Apache-2.0 */
#include "actions/map_target.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/file.h"
#include "core/hctl.h"
#include "core/log.h"

#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

#define MAP_TARGET_UUID_PREFIX "mpath-" /* of multipathd, libmultipath/devmapper.h */

static bool map_target_is_uuid(const char *wanted, const char *uuid)
{
	size_t prefix = strlen(MAP_TARGET_UUID_PREFIX);

	if (strncmp(wanted, "uuid:", 5) == 0)
		wanted += 5;
	if (!*wanted || !*uuid)
		return false;
	return strcmp(wanted, uuid) == 0 || (strncmp(uuid, MAP_TARGET_UUID_PREFIX, prefix) == 0 &&
					     strcmp(wanted, uuid + prefix) == 0);
}

static bool map_target_is_meant(const Pathbell__V1__CommandTarget *wanted,
				const struct dm_status *status)
{
	if (*wanted->map_uuid && !map_target_is_uuid(wanted->map_uuid, status->uuid))
		return false;
	if (*wanted->map_name && strcmp(wanted->map_name, status->name) != 0)
		return false;
	if (*wanted->map_uuid || *wanted->map_name)
		return true;
	return map_target_is_uuid(wanted->id, status->uuid);
}

/* 0 with *ret_found; -errno. A map that went away meanwhile is none. */
static int map_target_try(struct map_target *target, const Pathbell__V1__CommandTarget *wanted,
			  const struct dm_entry *entry, bool *ret_found)
{
	struct dm_status status;
	int r = dm_table_status(target->control, &target->buffer, entry->major, entry->minor, true,
				&status);

	*ret_found = false;
	if (r == -ENXIO)
		return 0;
	if (r < 0)
		return r;
	if (strcmp(status.target, "multipath") != 0 || !map_target_is_meant(wanted, &status))
		return 0;
	*ret_found = true;
	target->major = entry->major;
	target->minor = entry->minor;
	snprintf(target->name, sizeof(target->name), "%s", status.name);
	snprintf(target->uuid, sizeof(target->uuid), "%s", status.uuid);
	return 0;
}

static int map_target_search(struct map_target *target, const Pathbell__V1__CommandTarget *wanted,
			     size_t *ret_n)
{
	struct dm_buffer list = { 0 };
	struct dm_entry entry;
	size_t offset = 0;
	bool found;
	int r = dm_list(target->control, &list);

	*ret_n = 0;
	while (r == 0 && dm_list_next(&list, &offset, &entry)) {
		r = map_target_try(target, wanted, &entry, &found);
		*ret_n += r == 0 && found;
	}
	dm_buffer_free(&list);
	return r;
}

int map_target_read(struct map_target *target)
{
	struct dm_status status;
	int r = dm_table_status(target->control, &target->buffer, target->major, target->minor,
				true, &status);

	if (r == 0)
		r = status_parse_table(status.text, &target->table);
	if (r == 0)
		r = dm_table_status(target->control, &target->buffer, target->major, target->minor,
				    false, &status);
	if (r < 0)
		return r;
	target->suspended = status.suspended;
	return status_parse_info(status.text, &target->info);
}

/* multipathd answers on this abstract socket (libmpathcmd, 0.7 and later); its table in /proc says
 * whether somebody listens, without a connection. */
static void map_target_look_for_multipathd(struct map_target *target)
{
	_cleanup_free_ char *text = NULL;
	size_t size;

	if (file_read("/proc/net/unix", 4 << 20, &text, &size) == 0 &&
	    (strstr(text, "@/org/kernel/linux/storage/multipathd") ||
	     strstr(text, "/run/multipathd.socket")))
		snprintf(target->multipathd, sizeof(target->multipathd),
			 "multipathd manages it too");
}

static int map_target_failed(struct action *action, const char *what, int error)
{
	return action_finish(action, LIFE(FAILED), -error, "cannot %s: %s", what, log_errno(error));
}

static const char *map_target_wanted_name(const Pathbell__V1__CommandTarget *wanted)
{
	if (*wanted->map_uuid)
		return wanted->map_uuid;
	return *wanted->map_name ? wanted->map_name : wanted->id;
}

int map_target_open(struct action *action, struct map_target *target)
{
	const Pathbell__V1__CommandTarget *wanted = action_target(action->command);
	const char *name;
	size_t n;
	int r;

	memset(target, 0, sizeof(*target));
	target->control = -1;
	if (!wanted || !(*wanted->map_uuid || *wanted->map_name || *wanted->id))
		return action_refuse(action, REFUSAL(MALFORMED),
				     "no map is named: give its UUID, WWID or name");
	name = map_target_wanted_name(wanted);
	if (!dm_is_present())
		return action_refuse(
			action, REFUSAL(TARGET_ABSENT),
			"device-mapper is not in this kernel, so there is no map %.256s", name);
	target->control = dm_open();
	if (target->control < 0)
		return map_target_failed(action, "open " DM_CONTROL, target->control);
	r = map_target_search(target, wanted, &n);
	if (r < 0)
		return map_target_failed(action, "list the maps", r);
	if (n == 0)
		return action_refuse(action, REFUSAL(TARGET_ABSENT), "no multipath map is %.256s",
				     name);
	if (n > 1)
		return action_refuse(action, REFUSAL(AMBIGUOUS_TARGET),
				     "%zu multipath maps are %.256s: name it by its UUID", n, name);
	r = map_target_read(target);
	if (r < 0)
		return map_target_failed(action, "read the map's status", r);
	map_target_look_for_multipathd(target);
	snprintf(action->result->object, sizeof(action->result->object), "uuid:%s",
		 *target->uuid ? target->uuid : target->name);
	return 0;
}

void map_target_close(struct map_target *target)
{
	dm_buffer_free(&target->buffer);
	target->control = fd_close(target->control);
}

static void map_target_link_name(const char *path, char *ret_name, size_t size)
{
	char target[512];
	ssize_t n = readlink(path, target, sizeof(target) - 1);
	const char *base;

	ret_name[0] = '\0';
	if (n < 0)
		return;
	target[n] = '\0';
	base = strrchr(target, '/');
	snprintf(ret_name, size, "%s", base ? base + 1 : target);
}

void map_target_read_path(const char *sysfs, const struct status_path *path,
			  struct map_path *ret_path)
{
	char folder[128], attribute[256], text[64];

	memset(ret_path, 0, sizeof(*ret_path));
	snprintf(folder, sizeof(folder), "%s/dev/block/%u:%u", sysfs, path->major, path->minor);
	map_target_link_name(folder, ret_path->name, sizeof(ret_path->name));
	snprintf(attribute, sizeof(attribute), "%s/device", folder);
	map_target_link_name(attribute, ret_path->hctl, sizeof(ret_path->hctl));
	if (!hctl_is_valid(ret_path->hctl))
		ret_path->hctl[0] = '\0';
	snprintf(attribute, sizeof(attribute), "%s/device/state", folder);
	(void)file_read_line(AT_FDCWD, attribute, ret_path->state, sizeof(ret_path->state));
	snprintf(attribute, sizeof(attribute), "%s/device/wwid", folder);
	(void)file_read_line(AT_FDCWD, attribute, ret_path->wwid, sizeof(ret_path->wwid));
	snprintf(attribute, sizeof(attribute), "%s/diskseq", folder);
	if (file_read_line(AT_FDCWD, attribute, text, sizeof(text)) == 0)
		ret_path->generation = strtoull(text, NULL, 10);
}

static bool map_target_is_wwid(const char *wanted, const char *wwid)
{
	if (strncmp(wanted, "wwid:", 5) == 0)
		wanted += 5;
	return strcmp(wanted, wwid) == 0;
}

/* Names of a path, without what tells whether it still is the one that was meant. */
static bool map_target_path_fits(const Pathbell__V1__CommandTarget *wanted,
				 const struct status_path *path, const struct map_path *device)
{
	const char *hctl = wanted->transport_address;
	char number[32];

	snprintf(number, sizeof(number), "%u:%u", path->major, path->minor);
	if (*wanted->name && strcmp(wanted->name, device->name) != 0 &&
	    strcmp(wanted->name, number) != 0)
		return false;
	if (*hctl && (strncmp(hctl, "hctl=", 5) != 0 || strcmp(hctl + 5, device->hctl) != 0))
		return false;
	/* The WWID chooses only where nothing else does; else it is a check. */
	return *wanted->name || *hctl || map_target_is_wwid(wanted->path_wwid, device->wwid);
}

/* The one that is named must also be the one that the operator saw. */
static int map_target_check_identity(struct action *action, const struct map_target *target)
{
	const Pathbell__V1__CommandTarget *wanted = action_target(action->command);
	const struct map_path *device = &target->device;

	if (wanted->generation && device->generation && wanted->generation != device->generation)
		return action_refuse(action, REFUSAL(TARGET_RECYCLED),
				     "%s is another device now: DISKSEQ %llu, the command means "
				     "%llu",
				     device->name, (unsigned long long)device->generation,
				     (unsigned long long)wanted->generation);
	if (*wanted->path_wwid && *device->wwid &&
	    !map_target_is_wwid(wanted->path_wwid, device->wwid))
		return action_refuse(action, REFUSAL(TARGET_RECYCLED),
				     "%s is another device now: its WWID is %s, the command means "
				     "%s",
				     device->name, device->wwid, wanted->path_wwid);
	return 0;
}

/* Not a path of the map: is it a device that another one has become? */
static int map_target_no_path(struct action *action, const struct map_target *target)
{
	const Pathbell__V1__CommandTarget *wanted = action_target(action->command);
	char link[128], number[64];

	snprintf(link, sizeof(link), "%s/block/%s", action->host->sysfs, wanted->name);
	map_target_link_name(link, number, sizeof(number));
	if (*wanted->name && *number)
		return action_refuse(action, REFUSAL(TARGET_RECYCLED),
				     "%s is a device here, but not a path of map %s: the name "
				     "belongs to another device now",
				     wanted->name, target->name);
	return action_refuse(action, REFUSAL(TARGET_ABSENT), "map %s has no such path",
			     target->name);
}

/* The host's limits count by object: for a verb on a path this is the path, not the whole map, else
 * a map with many paths could not be mended within an hour. */
static void map_target_set_object(struct action *action, const struct map_target *target)
{
	char *object = action->result->object;
	const struct status_path *path = &target->info.paths[target->path];
	size_t len = strlen(object), size = sizeof(action->result->object) - len;

	if (*target->device.hctl)
		snprintf(object + len, size, " hctl=%s", target->device.hctl);
	else
		snprintf(object + len, size, " path=%u:%u", path->major, path->minor);
}

int map_target_find_path(struct action *action, struct map_target *target)
{
	const Pathbell__V1__CommandTarget *wanted = action_target(action->command);
	size_t n = 0;

	if (!*wanted->name && !*wanted->path_wwid && !*wanted->transport_address)
		return action_refuse(action, REFUSAL(MALFORMED),
				     "no path of map %s is named: give its kernel name, WWID or "
				     "hctl=H:C:T:L",
				     target->name);
	for (size_t i = 0; i < target->info.n_paths; i++) {
		struct map_path device;

		map_target_read_path(action->host->sysfs, &target->info.paths[i], &device);
		if (!map_target_path_fits(wanted, &target->info.paths[i], &device))
			continue;
		target->path = i;
		target->device = device;
		n++;
	}
	if (n == 0)
		return map_target_no_path(action, target);
	if (n > 1)
		return action_refuse(action, REFUSAL(AMBIGUOUS_TARGET),
				     "%zu paths of map %s fit: name one by its kernel name or "
				     "hctl=H:C:T:L",
				     n, target->name);
	map_target_set_object(action, target);
	return map_target_check_identity(action, target);
}

size_t map_target_n_usable(const struct map_target *target)
{
	size_t n = 0;

	for (size_t g = 0; g < target->info.n_groups; g++) {
		const struct status_group *group = &target->info.groups[g];

		if (group->state == 'D')
			continue;
		for (size_t i = 0; i < group->n_paths; i++)
			n += target->info.paths[group->first_path + i].active;
	}
	return n;
}

size_t map_target_group_of(const struct map_target *target, size_t path)
{
	size_t g = 0;

	while (g + 1 < target->info.n_groups && path >= target->info.groups[g + 1].first_path)
		g++;
	return g;
}

void map_target_describe(const struct map_target *target, char *ret_text, size_t size)
{
	snprintf(ret_text, size, "map %s (%s): %zu of %zu paths usable, group %u in use%s%s%s",
		 target->name, *target->uuid ? target->uuid : "no UUID",
		 map_target_n_usable(target), target->info.n_paths, target->info.group,
		 target->suspended ? ", suspended" : "", *target->multipathd ? ", " : "",
		 target->multipathd);
}

int map_target_read_block(const struct action_host *host, const struct status_path *path,
			  const struct map_path *device)
{
	struct device what = { .major = path->major, .minor = path->minor };
	struct device_state state = { 0 };

	snprintf(what.name, sizeof(what.name), "%s", device->name);
	device_read_sector(host->sysfs, host->dev, &what, &state);
	return state.readable ? 0 : state.read_error ? state.read_error : -ENODEV;
}
