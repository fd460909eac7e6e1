/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "collectors/nvme_monitor/work_part.h"
#include "fabrics/in_use.h"

/*
 * Behind the agent's back, when it has ended: deletes what the monitor had made. What anything uses
 * stays (fabrics/in_use.h).
 */
#define WORK_CLEAN_UP_S 300 /* then the rest stays */

/* nvme0n1 and, as the path of a shared namespace, nvme0c1n1, whose disk is nvme0n1. False: not a
 * namespace. */
static bool work_disk_name(const char *entry, char *ret_disk, size_t size)
{
	unsigned subsystem, controller, namespace;
	int end = -1;

	if (sscanf(entry, "nvme%uc%un%u%n", &subsystem, &controller, &namespace, &end) == 3 &&
	    end > 0 && entry[end] == '\0') {
		snprintf(ret_disk, size, "nvme%un%u", subsystem, namespace);
		return true;
	}
	end = -1;
	if (sscanf(entry, "nvme%un%u%n", &subsystem, &namespace, &end) != 2 || end < 0 ||
	    entry[end] != '\0')
		return false;
	snprintf(ret_disk, size, "%s", entry);
	return true;
}

static bool work_is_used(const struct work_job *job, const char *controller)
{
	const struct in_use_roots roots = { job->sysfs, "/proc", job->dev };
	char path[512], disk[64], use[256];
	const struct dirent *entry;
	bool used = false;
	DIR *folder;

	snprintf(path, sizeof(path), "%s/class/nvme/%s", job->sysfs, controller);
	folder = opendir(path);
	if (folder == NULL)
		return errno != ENOENT;
	while (!used && (entry = readdir(folder)) != NULL)
		used = work_disk_name(entry->d_name, disk, sizeof(disk)) &&
		       in_use_find(&roots, disk, use, sizeof(use));
	closedir(folder);
	return used;
}

void work_clean_up(const struct work_job *job)
{
	(void)alarm(WORK_CLEAN_UP_S);
	for (size_t i = 0; i < job->n_targets; i++) {
		const struct work_target *target = &job->targets[i];

		if (!work_is_ours(job->config, target->controller))
			continue;
		if (!target->is_discovery && work_is_used(job, target->controller))
			continue;
		(void)work_delete(job, target->controller, target->inode);
	}
}
