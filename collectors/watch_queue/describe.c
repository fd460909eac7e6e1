/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/watch_queue/describe.h"

#include <inttypes.h>
#include <stdio.h>

#define KIND(x)	    PATHBELL__V1__EVENT_KIND__EVENT_KIND_##x
#define SEVERITY(x) PATHBELL__V1__SEVERITY__SEVERITY_##x
#define SUBJECT(x)  PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_##x
#define PAYLOAD(x)  PATHBELL__V1__EVENT__PAYLOAD_##x

/* Mainline enum key_notification_subtype, in its order. */
static const struct {
	Pathbell__V1__EventKind kind;
	Pathbell__V1__Severity severity;
} note_keys[] = {
	{ KIND(KEY_INSTANTIATED), SEVERITY(INFO) },   { KIND(KEY_UPDATED), SEVERITY(INFO) },
	{ KIND(KEY_LINKED), SEVERITY(INFO) },	      { KIND(KEY_UNLINKED), SEVERITY(INFO) },
	{ KIND(KEY_CLEARED), SEVERITY(NOTICE) },      { KIND(KEY_REVOKED), SEVERITY(WARNING) },
	{ KIND(KEY_INVALIDATED), SEVERITY(WARNING) }, { KIND(KEY_SETATTR), SEVERITY(NOTICE) },
};

static void note_event_init(struct note_event *e, const char *interface, uint64_t now_unix_ns)
{
	pathbell__v1__event__init(&e->event);
	pathbell__v1__source__init(&e->source);
	e->source.interface = (char *)interface;
	e->event.source = &e->source;
	e->event.severity = SEVERITY(NOTICE);
	e->event.time_unix_ns = now_unix_ns;
	for (size_t i = 0; i < 2; i++) {
		pathbell__v1__attribute__init(&e->extras[i]);
		e->extra[i] = &e->extras[i];
		e->extras[i].value = e->values[i];
	}
	e->event.extra = e->extra;
}

static void note_extra(struct note_event *e, const char *key, uint64_t value)
{
	size_t i = e->event.n_extra++;

	e->extras[i].key = (char *)key;
	snprintf(e->values[i], sizeof(e->values[i]), "%" PRIu64, value);
}

/* Serial numbers are recycled: the configured name is the identity where there is one. */
static void note_subject_key(struct note_event *e, const struct note_watch *watch, uint64_t serial)
{
	pathbell__v1__subject__init(&e->subject);
	e->subject.type = SUBJECT(KEY);
	if (watch->name != NULL)
		snprintf(e->id, sizeof(e->id), "key:%.250s", watch->name);
	else
		snprintf(e->id, sizeof(e->id), "key:%" PRIu64, serial);
	e->subject.id = e->id;
	if (watch->description != NULL)
		e->subject.name = (char *)watch->description;
	e->event.subject = &e->subject;
}

static void note_describe_key(const struct note *note, const struct note_watch *watch,
			      struct note_event *e)
{
	note_subject_key(e, watch, note->key.id);
	e->event.kind = note_keys[note->subtype].kind;
	e->event.severity = note_keys[note->subtype].severity;
	pathbell__v1__key_notification__init(&e->key);
	e->key.key_id = note->key.id;
	e->key.aux = note->key.aux;
	e->key.subtype = note->subtype;
	e->key.watch_id = note->watch_id;
	if (watch->description != NULL)
		e->key.description = (char *)watch->description;
	e->event.payload_case = PAYLOAD(KEY_NOTIFICATION);
	e->event.key_notification = &e->key;
}

static void note_describe_removal(const struct note *note, const struct note_watch *watch,
				  struct note_event *e)
{
	note_subject_key(e, watch, note->object_id);
	e->event.kind = KIND(WATCH_REMOVED);
	pathbell__v1__watch_queue_meta__init(&e->meta);
	e->meta.object_id = note->object_id;
	e->meta.watch_id = note->watch_id;
	e->event.payload_case = PAYLOAD(WATCH_QUEUE_META);
	e->event.watch_queue_meta = &e->meta;
}

static void note_describe_usb(const struct note *note, enum note_dialect dialect,
			      struct note_event *e)
{
	e->event.kind = KIND(USB_CHANGED);
	pathbell__v1__usb_notification__init(&e->usb);
	e->usb.action = (char *)note_usb_action(dialect, note->subtype);
	e->usb.error = note->usb.error;
	e->usb.device = (char *)note->usb.name;
	e->event.payload_case = PAYLOAD(USB_NOTIFICATION);
	e->event.usb_notification = &e->usb;
}

static void note_describe_superblock(const struct note *note, struct note_event *e)
{
	e->event.kind = KIND(STORAGE_FILESYSTEM_ERROR);
	e->event.severity = SEVERITY(ERROR);
	pathbell__v1__filesystem_error__init(&e->filesystem);
	e->filesystem.action = (char *)note_superblock_action(note->subtype);
	e->filesystem.filesystem_id = note->superblock.id;
	e->filesystem.error_number = (int32_t)note->superblock.error;
	if (note->superblock.has_error)
		note_extra(e, "superblock.error_cookie", note->superblock.cookie);
	if (note->flags & 1)
		note_extra(e, "superblock.now_read_only", 1);
	e->event.payload_case = PAYLOAD(FILESYSTEM_ERROR);
	e->event.filesystem_error = &e->filesystem;
}

static void note_describe_mount(const struct note *note, enum note_dialect dialect,
				struct note_event *e)
{
	e->event.kind = KIND(STORAGE_MOUNT_CHANGED);
	pathbell__v1__mount_notification__init(&e->mount);
	e->mount.action = (char *)note_mount_action(note->subtype);
	e->mount.triggered_on = note->mount.triggered_on;
	e->mount.changed_mount = note->mount.changed;
	e->mount.now_read_only = note_mount_is_read_only(dialect, note);
	e->mount.in_subtree = note_mount_is_in_subtree(dialect, note);
	e->mount.submount = note_mount_is_submount(dialect, note);
	e->event.payload_case = PAYLOAD(MOUNT_NOTIFICATION);
	e->event.mount_notification = &e->mount;
}

void note_describe_raw(const uint8_t *data, size_t size, const char *interface,
		       uint64_t now_unix_ns, struct note_event *ret_event)
{
	note_event_init(ret_event, interface, now_unix_ns);
	ret_event->event.kind = KIND(COLLECTOR_SCHEMA_CHANGED);
	ret_event->event.severity = SEVERITY(WARNING);
	ret_event->event.raw.data = (uint8_t *)data;
	ret_event->event.raw.len = size < NOTE_MAX_SIZE ? size : NOTE_MAX_SIZE;
}

void note_describe(const struct note *note, enum note_dialect dialect, const char *interface,
		   const struct note_watch *watch, uint64_t now_unix_ns,
		   struct note_event *ret_event)
{
	note_event_init(ret_event, interface, now_unix_ns);
	switch (note->kind) {
	case NOTE_KEY:
		note_describe_key(note, watch, ret_event);
		break;
	case NOTE_REMOVAL:
		note_describe_removal(note, watch, ret_event);
		break;
	case NOTE_USB:
		note_describe_usb(note, dialect, ret_event);
		break;
	case NOTE_SUPERBLOCK:
		note_describe_superblock(note, ret_event);
		break;
	case NOTE_MOUNT:
		note_describe_mount(note, dialect, ret_event);
		break;
	default:
		note_describe_raw(note->data, note->size, interface, now_unix_ns, ret_event);
		note_extra(ret_event, "watch_queue.type", note->type);
		note_extra(ret_event, "watch_queue.subtype", note->subtype);
		break;
	}
}
