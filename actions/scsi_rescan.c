/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actions/action.h"
#include "core/fd.h"
#include "core/file.h"
#include "core/hctl.h"
#include "core/log.h"

/*
 * scsi.rescan: of a device (its capacity and identity are read again: `rescan`,
 * drivers/scsi/scsi_sysfs.c, Linux 6.12), or of a SCSI host (new devices are looked for: `scan`).
 * Both wait for the devices: in a child. The effect is what sysfs says before and afterwards.
 */
#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

static uint32_t rescan_host_number(const Pathbell__V1__Command *command)
{
	return command->args_case == PATHBELL__V1__COMMAND__ARGS_SCSI_RESCAN
		       ? command->scsi_rescan->host
		       : 0;
}

static int rescan_write(const char *path, const char *text)
{
	_cleanup_fd_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* Device */

static int rescan_find(struct action *action)
{
	const Pathbell__V1__CommandTarget *target = action_target(action->command);
	struct device *device = &action->result->device;
	char text[300];
	int r;

	if (!target)
		return action_refuse(action, REFUSAL(MALFORMED), "no device and no host is named");
	action_target_format(target, text, sizeof(text));
	r = action->host->find(action->host->data, target, device);
	if (r == ACTION_E_ABSENT && target->generation)
		return action_refuse(action, REFUSAL(TARGET_RECYCLED),
				     "%s is gone, or another device has its name now", text);
	if (r == ACTION_E_ABSENT)
		return action_refuse(action, REFUSAL(TARGET_ABSENT), "no device fits %s", text);
	if (r == ACTION_E_AMBIGUOUS)
		return action_refuse(action, REFUSAL(AMBIGUOUS_TARGET),
				     "more than one device fits %s: name it by its identity", text);
	if (r < 0)
		return action_finish(action, LIFE(FAILED), -r, "cannot look up %s: %s", text,
				     log_errno(r));
	if (!hctl_is_valid(device->bus_address))
		return action_refuse(action, REFUSAL(PRECONDITION), "%s is not a SCSI device",
				     device->name);
	snprintf(action->result->object, sizeof(action->result->object), "%s", device->id);
	return 0;
}

static int rescan_device_apply(struct action *action)
{
	struct action_result *result = action->result;
	struct device_state before;
	char path[256];
	int r = device_read_state(action->host->sysfs, &result->device, &before);

	snprintf(path, sizeof(path), "%s/bus/scsi/devices/%s/rescan", action->host->sysfs,
		 result->device.bus_address);
	if (r == 0)
		r = rescan_write(path, "1\n");
	if (r == 0)
		r = device_read_state(action->host->sysfs, &result->device, &result->state);
	if (r < 0)
		return action_finish(action, LIFE(FAILED), -r, "%s can't be rescanned: %s",
				     result->device.name, log_errno(r));
	result->has_device = true;
	if (!result->state.present)
		return action_finish(action, LIFE(WORSE), ENODEV, "%s went away with the rescan",
				     result->device.name);
	device_read_sector(action->host->sysfs, action->host->dev, &result->device, &result->state);
	if (!result->state.readable)
		return action_finish(action, LIFE(INEFFECTIVE), -result->state.read_error,
				     "%s was rescanned (%s), but can't be read: %s",
				     result->device.name, result->state.state,
				     log_errno(result->state.read_error));
	return action_finish(action, LIFE(SUCCEEDED), 0, "%s was rescanned: %llu sectors%s, %s",
			     result->device.name, (unsigned long long)result->state.size_sectors,
			     before.size_sectors == result->state.size_sectors ? " as before"
									       : ", changed",
			     result->state.state);
}

/* Host */

static size_t rescan_count(const char *sysfs, uint32_t number)
{
	char path[128];
	struct dirent *entry;
	size_t n = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "%s/bus/scsi/devices", sysfs);
	folder = opendir(path);
	while (folder && (entry = readdir(folder)) != NULL) {
		struct hctl address;

		n += hctl_parse(entry->d_name, &address) && address.host == number;
	}
	if (folder)
		closedir(folder);
	return n;
}

static int rescan_host_path(struct action *action, char *ret_path, size_t size)
{
	uint32_t number = rescan_host_number(action->command) - 1;

	snprintf(ret_path, size, "%s/class/scsi_host/host%u/scan", action->host->sysfs, number);
	snprintf(action->result->object, sizeof(action->result->object), "scsi_host:%u", number);
	if (access(ret_path, F_OK) != 0)
		return action_refuse(action, REFUSAL(TARGET_ABSENT), "there is no SCSI host %u",
				     number);
	return 0;
}

static int rescan_host_apply(struct action *action)
{
	uint32_t number = rescan_host_number(action->command) - 1;
	size_t before = rescan_count(action->host->sysfs, number), after;
	char path[256];
	int r = rescan_host_path(action, path, sizeof(path));

	if (r)
		return r;
	/* all channels, targets and LUNs (scsi_scan, Documentation/ABI) */
	r = rescan_write(path, "- - -\n");
	after = rescan_count(action->host->sysfs, number);
	if (r < 0)
		return action_finish(action, LIFE(FAILED), -r, "host %u can't be scanned: %s",
				     number, log_errno(r));
	return action_finish(action, after < before ? LIFE(WORSE) : LIFE(SUCCEEDED), 0,
			     "host %u was scanned: %zu devices before, %zu now", number, before,
			     after);
}

/* Both */

static int rescan_plan(struct action *action)
{
	bool is_host = rescan_host_number(action->command) > 0;
	char path[256];
	int r = is_host ? rescan_host_path(action, path, sizeof(path)) : rescan_find(action);

	if (r || !action->command->dry_run)
		return r;
	return action_finish(action, LIFE(SUCCEEDED), 0, "dry run: would rescan %s",
			     is_host ? action->result->object : action->result->device.name);
}

static int rescan_apply(struct action *action)
{
	return rescan_host_number(action->command) ? rescan_host_apply(action)
						   : rescan_device_apply(action);
}

/* A rescan changes nothing by itself: how is the device now? */
static int rescan_resolve(struct action *action)
{
	struct action_result *result = action->result;
	int r = rescan_plan(action);

	if (r)
		return action_end_resolve(action, r);
	if (rescan_host_number(action->command))
		return action_finish(
			action, LIFE(SUCCEEDED), 0, "%s has %zu devices now", result->object,
			rescan_count(action->host->sysfs, rescan_host_number(action->command) - 1));
	r = device_read_state(action->host->sysfs, &result->device, &result->state);
	result->has_device = r == 0;
	return action_finish(action, result->state.present ? LIFE(SUCCEEDED) : LIFE(FAILED), 0,
			     "%s is %s now", result->device.name,
			     result->state.present ? result->state.state : "gone");
}

const struct action_verb action_scsi_rescan = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_SCSI_RESCAN,
	.place = ACTION_IN_CHILD,
	.plan = rescan_plan,
	.apply = rescan_apply,
	.verify = action_is_told,
	.resolve = rescan_resolve,
};
