/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/nvme_target.h"
#include "core/fd.h"
#include "core/file.h"
#include "core/log.h"
#include "fabrics/connect.h"
#include "fabrics/identify.h"

/*
 * nvme.rescan: rescan_controller, which only queues the work (nvme_sysfs_rescan,
 * drivers/nvme/host/sysfs.c, Linux 6.12). So the controller itself is asked which namespaces it has
 * and how large they are, and sysfs is watched until it says the same.
 */
#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name
#define LIFE(name)    PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

#define NVME_RESCAN_ANY UINT64_MAX

struct nvme_rescan_space {
	uint32_t nsid;
	uint64_t sectors;
};

struct nvme_rescan_spaces {
	size_t n;
	struct nvme_rescan_space items[IDENTIFY_MAX];
};

struct nvme_rescan {
	const struct action_host *host;
	struct nvme_target target;
	char text[600];
	struct nvme_rescan_spaces theirs, ours; /* of the controller; of the kernel */
	size_t n_before;
};

static int nvme_rescan_look(struct action *action, struct nvme_rescan *rescan)
{
	const struct look *look = &rescan->target.look;

	rescan->host = action->host;
	if (nvme_target_find(action, &rescan->target))
		return ACTION_E_DONE;
	nvme_target_describe(&rescan->target, rescan->text, sizeof(rescan->text));
	if (rescan->target.tid.discovery)
		return action_refuse(action, REFUSAL(PRECONDITION),
				     "%s is a discovery controller: it has no namespaces",
				     rescan->text);
	if (!nvme_target_is_live(&rescan->target))
		return action_refuse(action, REFUSAL(PRECONDITION),
				     "%s is %s: it can't be asked for its namespaces", rescan->text,
				     look->state);
	return 0;
}

static int nvme_rescan_compare(const void *a, const void *b)
{
	uint32_t left = ((const struct nvme_rescan_space *)a)->nsid;
	uint32_t right = ((const struct nvme_rescan_space *)b)->nsid;

	return (left > right) - (left < right);
}

static bool nvme_rescan_number(const char *folder, const char *attribute, uint64_t *ret_value)
{
	char path[600], line[32], *end;

	snprintf(path, sizeof(path), "%s/%s", folder, attribute);
	if (file_read_line(AT_FDCWD, path, line, sizeof(line)) != 0)
		return false;
	*ret_value = strtoull(line, &end, 10);
	return end != line && *end == '\0';
}

/* A way to a namespace: a folder nvmeXcYnZ or nvmeXnZ, with nsid and size. */
static bool nvme_rescan_add(void *data, const char *path, const char *name)
{
	struct nvme_rescan_spaces *ours = data;
	char folder[512];
	uint64_t nsid, sectors;

	if (strncmp(name, "nvme", 4) != 0 || ours->n == IDENTIFY_MAX)
		return false;
	snprintf(folder, sizeof(folder), "%s/%.64s", path, name);
	if (nvme_rescan_number(folder, "nsid", &nsid) &&
	    nvme_rescan_number(folder, "size", &sectors))
		ours->items[ours->n++] = (struct nvme_rescan_space){ (uint32_t)nsid, sectors };
	return false;
}

static void nvme_rescan_read_ours(struct nvme_rescan *rescan)
{
	struct nvme_rescan_spaces *ours = &rescan->ours;
	char path[512];

	ours->n = 0;
	snprintf(path, sizeof(path), "%s/class/nvme/%s", rescan->host->sysfs,
		 rescan->target.look.name);
	(void)file_any(path, nvme_rescan_add, ours);
	qsort(ours->items, ours->n, sizeof(ours->items[0]), nvme_rescan_compare);
}

static int nvme_rescan_read_theirs(struct nvme_rescan *rescan)
{
	struct nvme_rescan_spaces *theirs = &rescan->theirs;
	uint32_t nsids[IDENTIFY_MAX];
	char path[512];
	_cleanup_fd_ int fd = -1;
	int r;

	snprintf(path, sizeof(path), "%s/%s", rescan->host->dev, rescan->target.look.name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = identify_list(fd, 0, nsids, &theirs->n);
	if (r)
		return r;
	for (size_t i = 0; i < theirs->n; i++) {
		theirs->items[i].nsid = nsids[i];
		r = identify_sectors(fd, nsids[i], &theirs->items[i].sectors);
		if (r < 0)
			return r;
		if (r > 0) /* of an ANA group that can't be reached it does not say */
			theirs->items[i].sectors = NVME_RESCAN_ANY;
	}
	return 0;
}

static bool nvme_rescan_agrees(const struct nvme_rescan *rescan)
{
	const struct nvme_rescan_spaces *theirs = &rescan->theirs, *ours = &rescan->ours;

	if (theirs->n != ours->n)
		return false;
	for (size_t i = 0; i < ours->n; i++)
		if (ours->items[i].nsid != theirs->items[i].nsid ||
		    (theirs->items[i].sectors != NVME_RESCAN_ANY &&
		     ours->items[i].sectors != theirs->items[i].sectors))
			return false;
	return true;
}

static int nvme_rescan_plan(struct action *action)
{
	struct nvme_rescan *rescan = calloc(1, sizeof(*rescan));
	int r;

	if (!rescan)
		return action_finish(action, LIFE(FAILED), ENOMEM, "out of memory");
	r = nvme_rescan_look(action, rescan);
	if (r == 0 && action->command->dry_run) {
		nvme_rescan_read_ours(rescan);
		r = action_finish(action, LIFE(SUCCEEDED), 0,
				  "dry run: would rescan %s, which has %zu namespaces now",
				  rescan->text, rescan->ours.n);
	}
	free(rescan);
	return r;
}

/* Waits until the kernel knows what the controller says. */
static int nvme_rescan_judge(struct action *action, struct nvme_rescan *rescan)
{
	int r;

	for (;;) {
		r = nvme_rescan_read_theirs(rescan);
		if (r)
			break;
		nvme_rescan_read_ours(rescan);
		if (nvme_rescan_agrees(rescan))
			return action_finish(action, LIFE(SUCCEEDED), 0,
					     "%s: %zu namespaces before, %zu now, as the "
					     "controller says, sizes too",
					     rescan->text, rescan->n_before, rescan->ours.n);
		if (!nvme_target_pause(action))
			return action_finish(action, LIFE(INEFFECTIVE), ETIMEDOUT,
					     "%s has %zu namespaces, the kernel knows %zu, or "
					     "their sizes differ",
					     rescan->text, rescan->theirs.n, rescan->ours.n);
	}
	if (nvme_target_read(action->host, &rescan->target) != 0)
		return action_finish(action, LIFE(WORSE), ENODEV, "%s is gone", rescan->text);
	return action_finish(action, LIFE(INEFFECTIVE), r < 0 ? -r : EIO,
			     "%s was rescanned, but did not say which namespaces it has: %s%s",
			     rescan->text, r < 0 ? "" : "NVMe status, ",
			     r < 0 ? log_errno(r) : "see the kernel's log");
}

static int nvme_rescan_act(struct action *action, struct nvme_rescan *rescan)
{
	int r = nvme_rescan_look(action, rescan);

	if (r)
		return r;
	nvme_rescan_read_ours(rescan);
	rescan->n_before = rescan->ours.n;
	r = connect_rescan(action->host->sysfs, rescan->target.look.name);
	if (r < 0)
		return action_finish(action, LIFE(FAILED), -r, "the kernel did not rescan %s: %s",
				     rescan->text, log_errno(r));
	return nvme_rescan_judge(action, rescan);
}

static int nvme_rescan_apply(struct action *action)
{
	struct nvme_rescan *rescan = calloc(1, sizeof(*rescan));
	int r;

	if (!rescan)
		return action_finish(action, LIFE(FAILED), ENOMEM, "out of memory");
	r = nvme_rescan_act(action, rescan);
	free(rescan);
	return r;
}

/* A look whether the two agree now; nothing is queued again. */
static int nvme_rescan_resolve(struct action *action)
{
	struct nvme_rescan *rescan = calloc(1, sizeof(*rescan));
	int r;

	if (!rescan)
		return action_finish(action, LIFE(FAILED), ENOMEM, "out of memory");
	r = nvme_rescan_look(action, rescan);
	if (r == 0) {
		nvme_rescan_read_ours(rescan);
		rescan->n_before = rescan->ours.n;
		r = nvme_rescan_judge(action, rescan);
	} else {
		action->result->life = LIFE(INEFFECTIVE);
		action->result->refusal = 0;
	}
	free(rescan);
	return r;
}

const struct action_verb action_nvme_rescan = {
	.verb = PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_NVME_RESCAN,
	.place = ACTION_IN_CHILD,
	.plan = nvme_rescan_plan,
	.apply = nvme_rescan_apply,
	.verify = action_is_told,
	.resolve = nvme_rescan_resolve,
};
