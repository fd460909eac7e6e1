/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/campaign/plan.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/store/target.h"

#define VERB(name)    PATHBELL__V1__COMMAND_VERB__COMMAND_VERB_##name
#define PLAN_MAX_TEXT 512

/* What is selected on one host. */
struct plan_seen {
	uint32_t usable, total;
	size_t n;
	const struct store_object *first, *map, *controller, *device;
};

const char *plan_check(const Pathbell__V1__CampaignSelector *selector)
{
	if (!selector)
		return "selector: missing";
	if (selector->n_host_globs == 0 && !selector->target[0] && !selector->array[0])
		return "selector: names neither hosts nor storage";
	if (strlen(selector->target) > PLAN_MAX_TEXT)
		return "selector.target: longer than 512 bytes";
	if (strlen(selector->array) > PLAN_MAX_TEXT)
		return "selector.array: longer than 512 bytes";
	for (size_t i = 0; i < selector->n_host_globs; i++)
		if (strlen(selector->host_globs[i]) > 256)
			return "selector.host_globs: longer than 256 bytes";
	return NULL;
}

static bool plan_names(const Pathbell__V1__CampaignSelector *selector, const char *host_id,
		       const char *hostname)
{
	for (size_t i = 0; i < selector->n_host_globs; i++)
		if (fnmatch(selector->host_globs[i], host_id, 0) == 0 ||
		    fnmatch(selector->host_globs[i], hostname, 0) == 0)
			return true;
	return selector->n_host_globs == 0;
}

/* ---- objects ---- */

static bool plan_is_target(const char *target, const struct store_object *object)
{
	const char *names[] = { object->nqn, object->address, object->port, object->map_uuid,
				object->wwid };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(target, names[i]) == 0)
			return true;
	return false;
}

static bool plan_is_array(const char *glob, const struct store_object *object)
{
	return fnmatch(glob, object->vendor, 0) == 0 || fnmatch(glob, object->model, 0) == 0 ||
	       fnmatch(glob, object->serial, 0) == 0;
}

/*
 * The part of a name that the disk and the map made of it share: multipath-tools name a map by
 * "mpath-" and the WWID of its paths, which for NAA and EUI names is "3" or "2" and the digits that
 * the kernel shows behind "naa." and "eui." (scsi_id's page 0x83 types).
 */
static const char *plan_wwid_core(const struct store_object *object)
{
	const char *text = object->map_uuid[0] ? object->map_uuid : object->wwid;

	if (strncmp(text, "mpath-", 6) == 0)
		return text[6] == '3' || text[6] == '2' ? text + 7 : text + 6;
	if (strncmp(text, "naa.", 4) == 0 || strncmp(text, "eui.", 4) == 0)
		return text + 4;
	return text;
}

/* A map has no vendor of its own: its disks tell. */
static bool plan_map_is_array(const char *glob, const struct store_object *map,
			      const struct store_object *objects, size_t n_objects)
{
	const char *core = plan_wwid_core(map);

	for (size_t i = 0; i < n_objects; i++)
		if (objects[i].type == STORE_OBJECT_DEVICE &&
		    strcmp(plan_wwid_core(&objects[i]), core) == 0 &&
		    plan_is_array(glob, &objects[i]))
			return true;
	return false;
}

static bool plan_fits(const Pathbell__V1__CampaignSelector *selector,
		      const struct store_object *object, const struct store_object *objects,
		      size_t n_objects)
{
	if (selector->target[0] && !plan_is_target(selector->target, object))
		return false;
	if (!selector->array[0] || plan_is_array(selector->array, object))
		return true;
	return object->type == STORE_OBJECT_MAP &&
	       plan_map_is_array(selector->array, object, objects, n_objects);
}

/* Of two that fit, the one that has lost more is what a command is for. */
static const struct store_object *plan_worse(const struct store_object *old,
					     const struct store_object *new_object)
{
	if (!old)
		return new_object;
	if ((new_object->usable == 0) != (old->usable == 0))
		return new_object->usable == 0 ? new_object : old;
	return (new_object->usable < new_object->total) > (old->usable < old->total) ? new_object
										     : old;
}

static void plan_see(struct plan_seen *seen, const struct store_object *object)
{
	seen->n++;
	if (object->type == STORE_OBJECT_DEVICE) {
		seen->device = plan_worse(seen->device, object);
		return;
	}
	seen->usable += object->usable;
	seen->total += object->total;
	seen->first = plan_worse(seen->first, object);
	if (object->type == STORE_OBJECT_MAP)
		seen->map = plan_worse(seen->map, object);
	else
		seen->controller = plan_worse(seen->controller, object);
}

/* ---- the command's target ---- */

static bool plan_is_nvme(Pathbell__V1__CommandVerb verb)
{
	return verb >= VERB(NVME_CONNECT) && verb <= VERB(NVME_DISCONNECT);
}

static bool plan_is_multipath(Pathbell__V1__CommandVerb verb)
{
	return verb >= VERB(MULTIPATH_REINSTATE) && verb <= VERB(MULTIPATH_SWITCH_GROUP);
}

/* Which of the selected objects the verb acts on; NULL: none that it could. */
static const struct store_object *plan_object(Pathbell__V1__CommandVerb verb,
					      const struct plan_seen *seen)
{
	if (plan_is_nvme(verb))
		return seen->controller;
	if (plan_is_multipath(verb))
		return seen->map;
	if ((verb == VERB(SCSI_RESCAN) || verb == VERB(PROBE)) && seen->device)
		return seen->device;
	return seen->first ? seen->first : seen->device;
}

static bool plan_copy(struct arena *arena, const char *from, char **ret_to)
{
	if (!from[0])
		return true;
	*ret_to = arena_strdup(arena, from);
	return *ret_to != NULL;
}

static Pathbell__V1__CommandTarget *plan_target(struct plan *plan,
						const struct store_object *object)
{
	Pathbell__V1__CommandTarget *target = arena_alloc(plan->arena, sizeof(*target));
	struct arena *arena = plan->arena;
	char id[PLAN_MAX_TEXT];
	bool ok;

	if (!target)
		return NULL;
	pathbell__v1__command_target__init(target);
	switch (object->type) {
	case STORE_OBJECT_MAP:
		ok = plan_copy(arena, object->map_uuid, &target->map_uuid) &&
		     plan_copy(arena, object->name, &target->map_name);
		break;
	case STORE_OBJECT_CONTROLLER:
		/* A discovery has no subsystem yet. */
		ok = (plan->verb == VERB(NVME_DISCOVER) ||
		      plan_copy(arena, object->nqn, &target->nqn)) &&
		     plan_copy(arena, object->address, &target->transport_address);
		break;
	default:
		snprintf(id, sizeof(id), "wwid:%.500s", object->wwid);
		ok = plan_copy(arena, object->wwid[0] ? id : "", &target->id) &&
		     plan_copy(arena, object->name, &target->name);
		break;
	}
	return ok ? target : NULL;
}

/* ---- one host ---- */

static int plan_make(struct plan *plan, const char *host_id, const struct plan_seen *seen,
		     const struct store_object *object, Pathbell__V1__CampaignHost **ret_host)
{
	Pathbell__V1__CampaignHost *host = arena_alloc(plan->arena, sizeof(*host));

	if (!host)
		return -ENOMEM;
	pathbell__v1__campaign_host__init(host);
	host->host_id = arena_strdup(plan->arena, host_id);
	if (!host->host_id)
		return -ENOMEM;
	if (object && !plan_copy(plan->arena, target_storage(object), &host->storage_target))
		return -ENOMEM;
	if (object) {
		host->target = plan_target(plan, object);
		if (!host->target)
			return -ENOMEM;
	}
	if (seen->total > 0) {
		host->usable_paths = seen->usable + 1;
		host->total_paths = seen->total;
	}
	*ret_host = host;
	return 0;
}

static bool plan_needs_storage(const struct plan *plan)
{
	return plan->selector->target[0] || plan->selector->array[0] ||
	       plan->selector->degraded_only || plan_is_nvme(plan->verb) ||
	       plan_is_multipath(plan->verb);
}

int plan_host(struct plan *plan, const char *host_id, const char *hostname,
	      const struct store_object *objects, size_t n_objects,
	      Pathbell__V1__CampaignHost **ret_host)
{
	const Pathbell__V1__CampaignSelector *selector = plan->selector;
	struct plan_seen seen = { 0 };
	const struct store_object *object;

	plan->n_hosts++;
	if (!plan_names(selector, host_id, hostname)) {
		plan->n_not_named++;
		return PLAN_E_NO_FIT;
	}
	if (!plan_needs_storage(plan))
		return plan_make(plan, host_id, &seen, NULL, ret_host);
	for (size_t i = 0; i < n_objects; i++)
		if (plan_fits(selector, &objects[i], objects, n_objects))
			plan_see(&seen, &objects[i]);
	object = plan_object(plan->verb, &seen);
	if (n_objects == 0)
		plan->n_without_objects++;
	else if (!object)
		plan->n_without_target++;
	else if (selector->degraded_only && seen.usable >= seen.total)
		plan->n_not_degraded++;
	else
		return plan_make(plan, host_id, &seen, object, ret_host);
	return PLAN_E_NO_FIT;
}

/* ---- all ---- */

static int plan_rank(const Pathbell__V1__CampaignHost *host)
{
	if (host->usable_paths == 0)
		return 2;
	if (host->usable_paths == 1)
		return 0;
	return host->usable_paths - 1 < host->total_paths ? 1 : 2;
}

static int plan_compare(const void *a, const void *b)
{
	const Pathbell__V1__CampaignHost *left = *(Pathbell__V1__CampaignHost *const *)a;
	const Pathbell__V1__CampaignHost *right = *(Pathbell__V1__CampaignHost *const *)b;
	int order = plan_rank(left) - plan_rank(right);

	return order ? order : strcmp(left->host_id, right->host_id);
}

void plan_order(Pathbell__V1__CampaignHost **hosts, size_t n_hosts)
{
	if (n_hosts > 0)
		qsort(hosts, n_hosts, sizeof(Pathbell__V1__CampaignHost *), plan_compare);
}

void plan_reason(const struct plan *plan, char *ret_text, size_t size)
{
	size_t named = plan->n_hosts - plan->n_not_named;

	if (plan->n_hosts == 0)
		snprintf(ret_text, size, "no host was ever seen here");
	else if (named == 0)
		snprintf(ret_text, size, "none of the %zu hosts has such an id or name",
			 plan->n_hosts);
	else
		snprintf(ret_text, size,
			 "of %zu hosts %zu have told nothing about their storage, %zu have nothing "
			 "that fits the target, array and verb, %zu have lost no path",
			 named, plan->n_without_objects, plan->n_without_target,
			 plan->n_not_degraded);
}
