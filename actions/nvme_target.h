/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "actions/action.h"
#include "fabrics/look.h"
#include "fabrics/owner.h"
#include "fabrics/tid.h"

/*
 * The NVMe controller that a command names, and whether it may be touched. Everything here reads
 * sysfs and files, and may sleep: in the action's child only.
 */
struct nvme_target {
	struct look look;
	struct tid tid;		/* where it is, normalised */
	char owner[OWNER_NAME]; /* "" = nobody's */
};

/*
 * The one controller that fits all that the target gives: nqn (or id "nqn:..."), transport_address,
 * name, generation (the inode in sysfs, as events have it). A name alone counts only where the
 * controller is older than the command, for numbers are used again. 0, or ACTION_E_DONE with the
 * refusal: MALFORMED, TARGET_ABSENT, TARGET_RECYCLED, AMBIGUOUS_TARGET.
 */
int nvme_target_find(struct action *action, struct nvme_target *ret_target);
/* What the target asks for, where a controller may yet have to be made. @default_nqn: NULL = the
 * command must give one. 0, or ACTION_E_DONE: MALFORMED. Sets result->object. */
int nvme_target_wanted(struct action *action, const char *default_nqn, struct tid *ret_tid);

/* The controller that fits @wanted as tid_matches says, one that is live before others. 0, or
 * NVME_TARGET_E_NONE. */
#define NVME_TARGET_E_NONE 1
int nvme_target_match(const struct action_host *host, const struct tid *wanted,
		      struct nvme_target *ret_target);
/* Reads it anew. 0; NVME_TARGET_E_NONE: it is gone, or its number belongs to another. */
int nvme_target_read(const struct action_host *host, struct nvme_target *target);

/* 0, or ACTION_E_DONE: EXCLUDED, naming the line. */
int nvme_target_check_exclusions(struct action *action, const struct tid *tid);
/* 0, or ACTION_E_DONE: OWNED_BY_OTHER. */
int nvme_target_check_owner(struct action *action, const struct nvme_target *target);
/*
 * Would something lose its last path with this controller? 0; ACTION_E_DONE: LAST_PATH, naming the
 * namespace and its user, unless the command overrides it: then 0 with that sentence in @ret_users.
 * For a dry run @ret_users also names a user of a namespace that keeps another path. "" in it:
 * nothing uses any. (nvme_paths.c)
 */
int nvme_target_check_last_path(struct action *action, const struct nvme_target *target,
				char *ret_users, size_t size);

bool nvme_target_is_live(const struct nvme_target *target);
/* "nvme0 (NQN at transport=.. traddr=..), owner stas" */
void nvme_target_describe(const struct nvme_target *target, char *ret_text, size_t size);
/* Waits a little. False: the action's time is nearly over. */
bool nvme_target_pause(const struct action *action);
/* Until it is live. 0; NVME_TARGET_E_NONE: it went; NVME_TARGET_E_LATE. */
#define NVME_TARGET_E_LATE 2
int nvme_target_wait_live(const struct action *action, struct nvme_target *target);
