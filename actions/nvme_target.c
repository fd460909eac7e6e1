/* SPDX-License-Identifier: Apache-2.0 */
#include "actions/nvme_target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "core/clock.h"
#include "core/log.h"
#include "fabrics/exclusions.h"

#define REFUSAL(name) PATHBELL__V1__COMMAND_REFUSAL__COMMAND_REFUSAL_##name

#define NVME_TARGET_MAX	   1024
#define NVME_TARGET_LOOK   (50 * CLOCK_NS_PER_MS)
#define NVME_TARGET_MARGIN (250 * CLOCK_NS_PER_MS) /* to say how it ended */

struct nvme_target_query {
	const Pathbell__V1__CommandTarget *target;
	const char *nqn;    /* "" = any */
	struct tid address; /* transport "" = any */
};

/* Walks all controllers; @fits may set what it likes. Returns how many fit, the first (or the first
 * live one) in *ret_target. */
static size_t nvme_target_walk(const struct action_host *host,
			       bool (*fits)(const void *data, const struct nvme_target *one),
			       const void *data, struct nvme_target *ret_target)
{
	char(*names)[LOOK_NAME] = calloc(NVME_TARGET_MAX, sizeof(names[0]));
	size_t n_names = 0, n_unseen, n = 0;
	bool has_live = false;

	if (names)
		(void)look_list(host->sysfs, NVME_TARGET_MAX, names, &n_names, &n_unseen);
	for (size_t i = 0; i < n_names; i++) {
		struct nvme_target one = { 0 };

		if (look_read(host->sysfs, names[i], &one.look) != 0)
			continue;
		look_tid(host->sysfs, &one.look, &one.tid);
		if (!fits(data, &one))
			continue;
		if (n++ == 0 || (!has_live && nvme_target_is_live(&one)))
			*ret_target = one;
		has_live = has_live || nvme_target_is_live(&one);
	}
	free(names);
	if (n > 0)
		(void)owner_read(host->nvme_registry, ret_target->look.name, ret_target->owner);
	return n;
}

static bool nvme_target_fits_address(const struct tid *address, const struct tid *existing)
{
	struct tid wanted = *address;

	if (!wanted.transport[0])
		return true;
	if (!wanted.nqn[0])
		memcpy(wanted.nqn, existing->nqn, sizeof(wanted.nqn));
	tid_normalise(&wanted);
	return tid_matches(&wanted, existing);
}

static bool nvme_target_fits(const void *data, const struct nvme_target *one)
{
	const struct nvme_target_query *query = data;
	const Pathbell__V1__CommandTarget *target = query->target;

	if (*target->name && strcmp(target->name, one->look.name) != 0)
		return false;
	if (*query->nqn && strcmp(query->nqn, one->look.nqn) != 0)
		return false;
	if (target->generation && target->generation != one->look.inode)
		return false;
	return nvme_target_fits_address(&query->address, &one->tid);
}

/* Of nqn, or of the id that events give controllers. */
static const char *nvme_target_nqn(const Pathbell__V1__CommandTarget *target)
{
	if (*target->nqn)
		return target->nqn;
	return strncmp(target->id, "nqn:", 4) == 0 ? target->id + 4 : "";
}

/* 0, or ACTION_E_DONE: MALFORMED. */
static int nvme_target_query(struct action *action, struct nvme_target_query *ret_query)
{
	const Pathbell__V1__CommandTarget *target = action->command->target;
	struct errmsg err = { 0 };

	ret_query->nqn = "";
	if (!target || (!*target->name && !*target->id && !*target->nqn &&
			!*target->transport_address && !target->generation))
		return action_refuse(action, REFUSAL(MALFORMED), "no target is given");
	ret_query->target = target;
	ret_query->nqn = nvme_target_nqn(target);
	if (*target->id && !*ret_query->nqn)
		return action_refuse(action, REFUSAL(MALFORMED),
				     "\"%.256s\" is not the id of an NVMe controller", target->id);
	if (tid_parse(target->transport_address, &ret_query->address, &err) < 0)
		return action_refuse(action, REFUSAL(MALFORMED), "the transport address: %s",
				     err.text);
	if (*target->transport_address && !ret_query->address.transport[0])
		return action_refuse(action, REFUSAL(MALFORMED),
				     "the transport address has no transport");
	return 0;
}

/* Is the node younger than the command? Then the name meant another one when it was written.
 * devtmpfs makes the node with the controller. */
static bool nvme_target_is_younger(const struct action *action, const char *name)
{
	char path[512];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", action->host->dev, name);
	if (stat(path, &st) != 0)
		return false;
	return (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000 >
	       action->command->not_before_unix_ms;
}

static int nvme_target_none(struct action *action, const char *text)
{
	const char *name = action->command->target->name;
	struct nvme_target other = { 0 };

	if (!*name || look_read(action->host->sysfs, name, &other.look) != 0)
		return action_refuse(action, REFUSAL(TARGET_ABSENT), "no NVMe controller fits %s",
				     text);
	return action_refuse(action, REFUSAL(TARGET_RECYCLED),
			     "%s is another controller now: %.223s", name, other.look.nqn);
}

static void nvme_target_set_object(struct action *action, const struct tid *tid)
{
	char address[TID_TEXT];

	tid_format(tid, address, sizeof(address));
	snprintf(action->result->object, sizeof(action->result->object), "%s nqn=%s", address,
		 tid->nqn);
}

int nvme_target_find(struct action *action, struct nvme_target *ret_target)
{
	struct nvme_target_query query = { 0 };
	char text[300];
	size_t n;

	if (nvme_target_query(action, &query))
		return ACTION_E_DONE;
	action_target_format(query.target, text, sizeof(text));
	n = nvme_target_walk(action->host, nvme_target_fits, &query, ret_target);
	if (n == 0)
		return nvme_target_none(action, text);
	if (n > 1)
		return action_refuse(action, REFUSAL(AMBIGUOUS_TARGET),
				     "%zu controllers fit %s: name the transport address too", n,
				     text);
	nvme_target_set_object(action, &ret_target->tid);
	if (*query.nqn || *query.target->transport_address || query.target->generation ||
	    !nvme_target_is_younger(action, ret_target->look.name))
		return 0;
	return action_refuse(action, REFUSAL(TARGET_RECYCLED),
			     "%s was made after the command was written: its name alone does not "
			     "tell which controller is meant",
			     ret_target->look.name);
}

int nvme_target_wanted(struct action *action, const char *default_nqn, struct tid *ret_tid)
{
	struct nvme_target_query query = { 0 };
	struct errmsg err = { 0 };

	if (nvme_target_query(action, &query))
		return ACTION_E_DONE;
	*ret_tid = query.address;
	if (*query.nqn && tid_set(ret_tid, "nqn", query.nqn) != 0)
		return action_refuse(action, REFUSAL(MALFORMED), "the NQN is not one");
	if (!ret_tid->nqn[0] && default_nqn)
		snprintf(ret_tid->nqn, sizeof(ret_tid->nqn), "%s", default_nqn);
	tid_normalise(ret_tid);
	if (tid_check(ret_tid, &err) < 0)
		return action_refuse(action, REFUSAL(MALFORMED), "the target: %s", err.text);
	nvme_target_set_object(action, ret_tid);
	return 0;
}

static bool nvme_target_fits_tid(const void *data, const struct nvme_target *one)
{
	return strncmp(one->look.state, "deleting", 8) != 0 &&
	       strcmp(one->look.state, "dead") != 0 && tid_matches(data, &one->tid);
}

int nvme_target_match(const struct action_host *host, const struct tid *wanted,
		      struct nvme_target *ret_target)
{
	if (nvme_target_walk(host, nvme_target_fits_tid, wanted, ret_target) == 0)
		return NVME_TARGET_E_NONE;
	return 0;
}

int nvme_target_read(const struct action_host *host, struct nvme_target *target)
{
	struct look look;

	if (look_read(host->sysfs, target->look.name, &look) != 0 ||
	    look.inode != target->look.inode)
		return NVME_TARGET_E_NONE;
	target->look = look;
	return 0;
}

int nvme_target_check_exclusions(struct action *action, const struct tid *tid)
{
	struct exclusions exclusions = { 0 };
	const struct exclusion *by = NULL;
	char path[512];
	int r = 0;

	snprintf(path, sizeof(path), "%s/exclusions.conf", action->host->nvme_conf);
	/* Without memory nothing is known: as a file that can't be read it fails open. */
	if (exclusions_read(&exclusions, path, NULL, NULL) == 0)
		by = exclusions_find(&exclusions, tid);
	if (by)
		r = action_refuse(action, REFUSAL(EXCLUDED), "%.128s, line %u, excludes it",
				  by->file, by->line);
	exclusions_deinit(&exclusions);
	return r;
}

int nvme_target_check_owner(struct action *action, const struct nvme_target *target)
{
	if (!target->owner[0] || strcmp(target->owner, OWNER_SELF) == 0)
		return 0;
	return action_refuse(action, REFUSAL(OWNED_BY_OTHER), "%s belongs to %s: ask that to do it",
			     target->look.name, target->owner);
}

bool nvme_target_is_live(const struct nvme_target *target)
{
	return strcmp(target->look.state, "live") == 0;
}

void nvme_target_describe(const struct nvme_target *target, char *ret_text, size_t size)
{
	char address[TID_TEXT];
	struct tid tid = target->tid;

	tid.nqn[0] = '\0';
	tid_format(&tid, address, sizeof(address));
	snprintf(ret_text, size, "%s (%s at %s), %s%s", target->look.name, target->look.nqn,
		 address, target->owner[0] ? "owner " : "nobody's", target->owner);
}

bool nvme_target_pause(const struct action *action)
{
	const struct timespec time = { .tv_nsec = NVME_TARGET_LOOK };

	if (clock_monotonic_ns() + NVME_TARGET_LOOK + NVME_TARGET_MARGIN > action->deadline_ns)
		return false;
	(void)nanosleep(&time, NULL);
	return true;
}

int nvme_target_wait_live(const struct action *action, struct nvme_target *target)
{
	do {
		if (nvme_target_read(action->host, target) != 0)
			return NVME_TARGET_E_NONE;
		if (nvme_target_is_live(target))
			return 0;
	} while (nvme_target_pause(action));
	return NVME_TARGET_E_LATE;
}
