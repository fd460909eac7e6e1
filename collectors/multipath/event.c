/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/multipath/event.h"

#include <errno.h>
#include <string.h>

#include "mapper/status.h"

/* Keys: dm_build_path_uevent and dm_send_uevents, drivers/md/dm-uevent.c, Linux 5.10 to 7.2. */

static bool event_get_number32(const struct uevent *uevent, const char *key, uint32_t *ret_value)
{
	uint64_t value;

	if (!uevent_get_number(uevent, key, &value) || value > UINT32_MAX)
		return false;
	*ret_value = (uint32_t)value;
	return true;
}

static bool event_is(const struct uevent *uevent, const char *key, const char *value)
{
	const char *found = uevent_get(uevent, key);

	return found != NULL && strcmp(found, value) == 0;
}

static const char *event_text(const struct uevent *uevent, const char *key)
{
	const char *found = uevent_get(uevent, key);

	return found != NULL ? found : "";
}

static int event_decode_path(const struct uevent *uevent, struct event *event)
{
	struct order_event *path = &event->path;

	path->failed = event_is(uevent, "DM_ACTION", "PATH_FAILED");
	if (!path->failed && !event_is(uevent, "DM_ACTION", "PATH_REINSTATED"))
		return 0;
	event->kind = EVENT_PATH;
	event->name = event_text(uevent, "DM_NAME");
	event->uuid = event_text(uevent, "DM_UUID");
	if (!uevent_get_number(uevent, "DM_SEQNUM", &path->seqnum) || path->seqnum == 0 ||
	    path->seqnum == UINT64_MAX ||
	    status_parse_device(event_text(uevent, "DM_PATH"), &path->path_major,
				&path->path_minor) != 0)
		return -EBADMSG;
	if (!event_get_number32(uevent, "DM_NR_VALID_PATHS", &path->valid_paths))
		path->valid_paths = 0;
	return 0;
}

int event_decode(const struct uevent *uevent, struct event *ret_event)
{
	struct event event = { .kind = EVENT_OTHER, .name = "", .uuid = "" };
	int r = 0;

	*ret_event = event;
	if (strcmp(uevent->subsystem, "block") != 0 || event_is(uevent, "DEVTYPE", "partition"))
		return 0;
	if (!event_get_number32(uevent, "MAJOR", &event.major) ||
	    !event_get_number32(uevent, "MINOR", &event.minor))
		return event_is(uevent, "DM_TARGET", "multipath") ? -EBADMSG : 0;
	if (!uevent_get_number(uevent, "DISKSEQ", &event.diskseq))
		event.diskseq = 0;
	if (strcmp(uevent->action, "add") == 0)
		event.kind = EVENT_DEVICE_ADDED;
	else if (strcmp(uevent->action, "remove") == 0)
		event.kind = EVENT_DEVICE_REMOVED;
	else if (event_is(uevent, "DM_TARGET", "multipath"))
		r = event_decode_path(uevent, &event);
	if (r == 0)
		*ret_event = event;
	return r;
}
