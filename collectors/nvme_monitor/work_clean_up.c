/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "collectors/nvme_monitor/work_part.h"
#include "core/fd.h"
#include "fabrics/owner.h"

/*
 * Behind the agent's back, when it has ended: deletes what it had made. What is in use stays: a
 * mounted file system, a swap area, a map or an array above a namespace hold its block device
 * exclusively, and so does every claim on one of its partitions (bd_prepare_to_claim,
 * block/bdev.c, Linux 6.12), which is what O_EXCL finds out.
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
	if (sscanf(entry, "nvme%un%u%n", &subsystem, &namespace, &end) == 2 && end > 0 &&
	    entry[end] == '\0') {
		snprintf(ret_disk, size, "%s", entry);
		return true;
	}
	return false;
}

static bool work_is_used(const struct work_job *job, const char *controller)
{
	char path[512], disk[64];
	const struct dirent *entry;
	bool used = false;
	DIR *folder;

	snprintf(path, sizeof(path), "%s/class/nvme/%s", job->sysfs, controller);
	folder = opendir(path);
	if (folder == NULL)
		return errno != ENOENT;
	while (!used && (entry = readdir(folder)) != NULL) {
		_cleanup_fd_ int fd = -1;

		if (!work_disk_name(entry->d_name, disk, sizeof(disk)))
			continue;
		snprintf(path, sizeof(path), "%s/%s", job->dev, disk);
		fd = open(path, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC);
		used = fd < 0 && errno != ENOENT && errno != ENXIO;
	}
	closedir(folder);
	return used;
}

void work_clean_up(const struct work_job *job)
{
	(void)alarm(WORK_CLEAN_UP_S);
	for (size_t i = 0; i < job->n_targets; i++) {
		const struct work_target *target = &job->targets[i];
		char owner[OWNER_NAME] = "";

		if (owner_read(job->config->registry, target->controller, owner) != 0 ||
		    strcmp(owner, OWNER_SELF) != 0)
			continue;
		if (!target->is_discovery && work_is_used(job, target->controller))
			continue;
		(void)work_delete(job, target->controller, target->inode);
	}
}
