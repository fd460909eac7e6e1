/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/multipath/publish.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/topology/topology.h"
#include "core/utf8.h"
#include "handlers/handlers.h"

/*
 * The subject is the map: "uuid:" and its device-mapper UUID, which a table reload, a renaming and
 * a reboot keep. The path is in the payload by its kernel name and number, and by its WWID in
 * snapshots. Strings of the topology live until its next call: they are copied.
 */
#define PUBLISH_MAX_PATHS 128 /* of a group: event.proto */
#define PUBLISH_TEXT_SIZE 160
#define PUBLISH_ID_SIZE	  512

struct publish_path_text {
	char name[64], wwid[256];
};

/* Names of device-mapper are any bytes; a string of an event is UTF-8. */
static void publish_copy(char *ret_text, size_t size, const char *text)
{
	size_t len = strlen(text), at = 0;

	while (at < len) {
		uint32_t code;
		size_t n = utf8_decode(text + at, len - at, &code);

		if (at + (n > 0 ? n : 1) >= size)
			break;
		if (n > 0)
			memcpy(ret_text + at, text + at, n);
		else
			ret_text[at] = '?';
		at += n > 0 ? n : 1;
	}
	ret_text[at] = '\0';
}

static void publish_path_text(struct topology *topology, uint32_t major, uint32_t minor,
			      struct publish_path_text *ret_text)
{
	Pathbell__V1__Subject subject;

	topology_fill_subject(topology, major, minor, &subject);
	snprintf(ret_text->name, sizeof(ret_text->name), "%s", subject.name);
	snprintf(ret_text->wwid, sizeof(ret_text->wwid), "%s", subject.wwid);
}

static bool publish_is_path_fault(Pathbell__V1__EventKind kind)
{
	return kind == PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_PATH_FAILED ||
	       kind == PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_PATH_REINSTATED ||
	       kind == PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_PATH_REMOVED;
}

/* A path that failed, or whose device is gone; not one that left a table. */
static bool publish_is_new_fault(const struct map_change *change)
{
	return change->kind == PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_PATH_FAILED ||
	       (change->kind == PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_PATH_REMOVED &&
		change->severity == PATHBELL__V1__SEVERITY__SEVERITY_ERROR);
}

/* The same for both twins. */
static void publish_fault_id(const struct map_change *change, const char *id,
			     char ret_text[PUBLISH_ID_SIZE])
{
	const char *fault = "permanent_loss";

	if (publish_is_path_fault(change->kind))
		fault = "path_failed";
	else if (change->has_path)
		fault = "path_marginal";
	else if (change->kind ==
			 PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_DEVICE_ALL_PATHS_DOWN ||
		 change->kind ==
			 PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_DEVICE_ALL_PATHS_DOWN_CLEARED)
		fault = "all_paths_down";
	ret_text[0] = '\0';
	if (change->phase == PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_UNSPECIFIED)
		return;
	if (change->has_path)
		snprintf(ret_text, PUBLISH_ID_SIZE, "%s:%.200s:%u:%u", fault, id,
			 change->path_major, change->path_minor);
	else
		snprintf(ret_text, PUBLISH_ID_SIZE, "%s:%.200s", fault, id);
}

/* All groups and paths of a map as one block of memory. */
struct publish_groups {
	Pathbell__V1__MultipathGroup groups[STATUS_MAX_GROUPS], *group_list[STATUS_MAX_GROUPS];
	Pathbell__V1__MultipathPath paths[STATUS_MAX_PATHS], *path_list[STATUS_MAX_PATHS];
	struct publish_path_text texts[STATUS_MAX_PATHS];
};

static void publish_path(struct publish_groups *all, size_t index, const struct map_path *path,
			 struct topology *topology)
{
	struct publish_path_text *text = &all->texts[index];
	Pathbell__V1__MultipathPath *out = &all->paths[index];

	publish_path_text(topology, path->major, path->minor, text);
	*out = (Pathbell__V1__MultipathPath)PATHBELL__V1__MULTIPATH_PATH__INIT;
	out->name = text->name;
	out->wwid = text->wwid;
	out->major = path->major;
	out->minor = path->minor;
	out->active = path->active && path->present;
	out->fail_count = path->fail_count;
	all->path_list[index] = out;
}

static const char *publish_group_state(char state)
{
	return state == 'A' ? "active" : state == 'D' ? "disabled" : "enabled";
}

static void publish_groups(struct publish_groups *all, const struct map *map,
			   struct topology *topology, Pathbell__V1__MultipathEvent *event)
{
	for (size_t g = 0; g < map->n_groups; g++) {
		const struct status_group *group = &map->groups[g];
		Pathbell__V1__MultipathGroup *out = &all->groups[g];

		for (size_t i = 0; i < group->n_paths; i++)
			publish_path(all, group->first_path + i, &map->paths[group->first_path + i],
				     topology);
		*out = (Pathbell__V1__MultipathGroup)PATHBELL__V1__MULTIPATH_GROUP__INIT;
		out->number = (uint32_t)g + 1;
		out->state = (char *)publish_group_state(group->state);
		out->selector = (char *)group->selector;
		out->paths = &all->path_list[group->first_path];
		out->n_paths =
			group->n_paths < PUBLISH_MAX_PATHS ? group->n_paths : PUBLISH_MAX_PATHS;
		all->group_list[g] = out;
	}
	event->groups = all->group_list;
	event->n_groups = map->n_groups;
}

/*
 * The kernel does not say which error failed the path, only that the path is at fault
 * (blk_path_error, include/linux/blk_types.h, Linux 6.12); of a removed device the error is known,
 * DID_NO_CONNECT (include/scsi/scsi_status.h). The map's handler judges, else that of the device's
 * kind.
 */
#define PUBLISH_DID_NO_CONNECT 0x01

static void publish_verdict(const struct map_change *change, const char *path,
			    Pathbell__V1__ErrorVerdict *ret_verdict)
{
	bool removed = change->kind == PATHBELL__V1__EVENT_KIND__EVENT_KIND_STORAGE_PATH_REMOVED;
	struct handler_error error = { .source = removed ? HANDLER_FROM_STATUS : HANDLER_FROM_ERRNO,
				       .host_byte = removed ? PUBLISH_DID_NO_CONNECT : 0,
				       .error = removed ? 0 : -EIO };
	const char *name = strncmp(path, "nvme", 4) == 0 ? "nvme" : "scsi";
	const struct handler_type *type;
	struct handler_verdict verdict;

	type = handlers_builtin(change->map->handler[0] != '\0' ? change->map->handler : name);
	type->error(&error, &verdict);
	pathbell__v1__error_verdict__init(ret_verdict);
	ret_verdict->handler = (char *)type->name;
	ret_verdict->fail_path = (verdict.flags & HANDLER_FAIL_PATH) != 0;
	ret_verdict->bypass_group = (verdict.flags & HANDLER_BYPASS_PG) != 0;
	ret_verdict->error_io = (verdict.flags & HANDLER_ERROR_IO) != 0;
	ret_verdict->reason = (char *)verdict.reason;
}

static void publish_payload(const struct map_change *change, Pathbell__V1__MultipathEvent *out)
{
	const struct map *map = change->map;

	pathbell__v1__multipath_event__init(out);
	out->event_nr = map->event_nr;
	out->dm_seqnum = change->seqnum;
	out->path_major = change->path_major;
	out->path_minor = change->path_minor;
	out->valid_paths = change->valid_paths;
	out->total_paths = (uint32_t)map->n_paths;
	out->group = change->group;
	out->previous_group = change->previous_group;
	out->queue_if_no_path = map->queueing;
	out->fail_count = change->fail_count;
	out->penalty = change->penalty;
	out->state_since_unix_ns = change->since_unix_ns;
	out->handler = (char *)map->handler;
	out->action = (char *)change->action;
}

/* Fills what all kinds have in common and hands over. */
static void publish_event(struct collector_ctx *ctx, const struct map_change *change,
			  Pathbell__V1__MultipathEvent *payload)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	char fault_id[PUBLISH_ID_SIZE], id[PUBLISH_TEXT_SIZE];
	Pathbell__V1__Subject subject;

	topology_fill_subject(ctx->topology, change->map->major, change->map->minor, &subject);
	subject.type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_MULTIPATH_MAP;
	if (payload->map_uuid[0] != '\0') {
		snprintf(id, sizeof(id), "uuid:%s", payload->map_uuid);
		subject.id = id;
		subject.uuid = payload->map_uuid;
	}
	publish_fault_id(change, subject.id, fault_id);
	source.interface = (char *)(change->seqnum != 0 ? "netlink:uevent" : "ioctl:device-mapper");
	source.seq = change->seqnum;
	event.kind = change->kind;
	event.severity = change->severity;
	event.fault_phase = change->phase;
	event.fault_id = fault_id;
	event.time_unix_ns = change->time_unix_ns;
	event.coalesced = change->coalesced;
	event.source = &source;
	event.subject = &subject;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_MULTIPATH;
	event.multipath = payload;
	ctx->publish(ctx, &event, 0);
}

int publish_change(struct collector_ctx *ctx, const struct map_change *change)
{
	char name[PUBLISH_TEXT_SIZE], uuid[PUBLISH_TEXT_SIZE];
	struct publish_path_text path = { .name = "" };
	Pathbell__V1__MultipathEvent payload;
	Pathbell__V1__ErrorVerdict verdict;
	struct publish_groups *all = NULL;

	publish_payload(change, &payload);
	publish_copy(name, sizeof(name), change->map->name);
	publish_copy(uuid, sizeof(uuid), change->map->uuid);
	payload.map_name = name;
	payload.map_uuid = uuid;
	if (change->has_path)
		publish_path_text(ctx->topology, change->path_major, change->path_minor, &path);
	payload.path = path.name;
	if (publish_is_new_fault(change)) {
		publish_verdict(change, path.name, &verdict);
		payload.verdict = &verdict;
	}
	if (change->kind == PATHBELL__V1__EVENT_KIND__EVENT_KIND_MULTIPATH_MAP_STATE) {
		all = malloc(sizeof(*all));
		if (all == NULL)
			return -ENOMEM;
		publish_groups(all, change->map, ctx->topology, &payload);
	}
	publish_event(ctx, change, &payload);
	free(all);
	return 0;
}
