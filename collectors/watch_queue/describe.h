/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "collectors/watch_queue/decode.h"
#include "pathbell/v1/event.pb-c.h"

/* A record -> the event that tells of it. Pure. Everything that the event points to lies in this
 * struct, in the note and in the watch: it must stay where it is until the event is published. */
struct note_event {
	Pathbell__V1__Event event;
	Pathbell__V1__Source source;
	Pathbell__V1__Subject subject;
	Pathbell__V1__Attribute extras[2], *extra[2];
	union {
		Pathbell__V1__KeyNotification key;
		Pathbell__V1__WatchQueueMeta meta;
		Pathbell__V1__UsbNotification usb;
		Pathbell__V1__MountNotification mount;
		Pathbell__V1__FilesystemError filesystem;
	};
	char id[300], values[2][24];
};

/* The watch that the record's id stands for. */
struct note_watch {
	const char *name;	 /* configured; NULL = unknown id */
	const char *description; /* kernel's, of the watched object; NULL = unknown */
};

/*
 * Every kind but NOTE_SKIP, NOTE_LOSS and NOTE_DEVICE (see merge.h). NOTE_UNKNOWN becomes an event
 * with the raw record. @interface and @watch are borrowed.
 */
void note_describe(const struct note *note, enum note_dialect dialect, const char *interface,
		   const struct note_watch *watch, uint64_t now_unix_ns,
		   struct note_event *ret_event);
/* Bytes that are no record. */
void note_describe_raw(const uint8_t *data, size_t size, const char *interface,
		       uint64_t now_unix_ns, struct note_event *ret_event);
