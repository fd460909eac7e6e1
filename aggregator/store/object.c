/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/object.h"

#include <stdio.h>
#include <string.h>

#define KIND(name) PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name

bool object_is_told_by(uint32_t kind)
{
	switch (kind) {
	case KIND(STORAGE_DEVICE_STATE):
	case KIND(STORAGE_DEVICE_ADDED):
	case KIND(STORAGE_DEVICE_REMOVED):
	case KIND(STORAGE_PATH_FAILED):
	case KIND(STORAGE_PATH_REINSTATED):
	case KIND(STORAGE_PATH_ADDED):
	case KIND(STORAGE_PATH_REMOVED):
	case KIND(STORAGE_DEVICE_ALL_PATHS_DOWN):
	case KIND(STORAGE_DEVICE_ALL_PATHS_DOWN_CLEARED):
	case KIND(STORAGE_DEVICE_PERMANENT_LOSS):
	case KIND(STORAGE_DEVICE_PERMANENT_LOSS_CLEARED):
	case KIND(MULTIPATH_MAP_ADDED):
	case KIND(MULTIPATH_MAP_REMOVED):
	case KIND(MULTIPATH_MAP_STATE):
	case KIND(NVME_CONTROLLER_RECONNECTING):
	case KIND(NVME_CONTROLLER_CONNECTED):
	case KIND(NVME_CONTROLLER_REMOVED):
	case KIND(NVME_CONTROLLER_ADDED):
	case KIND(NVME_CONTROLLER_STATE):
	case KIND(NVME_DISCONNECTED):
		return true;
	default:
		return false;
	}
}

static void object_from_subject(const Pathbell__V1__Subject *subject, struct store_object *object)
{
	object->name = subject->name;
	object->map_uuid = "";
	object->wwid = subject->wwid;
	object->vendor = subject->vendor;
	object->model = subject->model;
	object->serial = subject->serial;
	object->nqn = subject->nqn;
	object->address = subject->transport_address;
	object->port = "";
}

static enum object_change object_map(const Pathbell__V1__Event *event, char key[OBJECT_KEY_SIZE],
				     struct store_object *object)
{
	const Pathbell__V1__MultipathEvent *map = event->multipath;

	if (!map->map_uuid[0] && !map->map_name[0])
		return OBJECT_NONE;
	snprintf(key, OBJECT_KEY_SIZE, "map:%s", map->map_uuid[0] ? map->map_uuid : map->map_name);
	if (event->kind == KIND(MULTIPATH_MAP_REMOVED))
		return OBJECT_GONE;
	object->type = STORE_OBJECT_MAP;
	object->name = map->map_name[0] ? map->map_name : object->name;
	object->map_uuid = map->map_uuid;
	object->usable = map->valid_paths;
	object->total = map->total_paths;
	return OBJECT_SET;
}

static enum object_change object_controller(const Pathbell__V1__Event *event,
					    char key[OBJECT_KEY_SIZE], struct store_object *object)
{
	const Pathbell__V1__NvmeEvent *nvme = event->nvme;

	if (nvme->discovery_controller || !nvme->subsystem_nqn[0])
		return OBJECT_NONE;
	snprintf(key, OBJECT_KEY_SIZE, "nvme:%s %s", nvme->subsystem_nqn,
		 object->address[0] ? object->address : nvme->controller);
	if (event->kind == KIND(NVME_DISCONNECTED))
		return OBJECT_GONE;
	object->type = STORE_OBJECT_CONTROLLER;
	object->name = nvme->controller;
	object->nqn = nvme->subsystem_nqn;
	object->port = nvme->traddr;
	object->usable =
		event->kind == KIND(NVME_CONTROLLER_CONNECTED) || strcmp(nvme->state, "live") == 0;
	object->total = 1;
	return OBJECT_SET;
}

static enum object_change object_device(const Pathbell__V1__Event *event, char key[OBJECT_KEY_SIZE],
					struct store_object *object)
{
	const char *id = object->wwid[0] ? object->wwid : event->subject->id;

	/* Two paths of one disk share the identity and are two devices. */
	snprintf(key, OBJECT_KEY_SIZE, "dev:%s %s", id, event->subject->bus_address);
	if (event->kind == KIND(STORAGE_DEVICE_REMOVED))
		return OBJECT_GONE;
	object->type = STORE_OBJECT_DEVICE;
	object->usable = 1;
	object->total = 1;
	return OBJECT_SET;
}

enum object_change object_of(const Pathbell__V1__Event *event, char key[OBJECT_KEY_SIZE],
			     struct store_object *ret_object)
{
	if (!event->subject || event->replayed)
		return OBJECT_NONE;
	memset(ret_object, 0, sizeof(*ret_object));
	object_from_subject(event->subject, ret_object);
	ret_object->key = key;
	if (event->payload_case == PATHBELL__V1__EVENT__PAYLOAD_MULTIPATH)
		return object_map(event, key, ret_object);
	if (event->payload_case == PATHBELL__V1__EVENT__PAYLOAD_NVME)
		return object_controller(event, key, ret_object);
	if (event->subject->type == PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_DISK ||
	    event->subject->type == PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_SCSI_DEVICE)
		return object_device(event, key, ret_object);
	return OBJECT_NONE;
}
