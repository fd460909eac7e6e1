/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "collectors/multipath/order.h"
#include "collectors/uevent/uevent.h"

/* What a uevent says to this collector. Pure. */
enum event_kind {
	EVENT_OTHER,
	EVENT_PATH,	      /* a path of a multipath map failed or was reinstated */
	EVENT_DEVICE_ADDED,   /* a disk */
	EVENT_DEVICE_REMOVED, /* a disk; for device-mapper before it is gone and once again then */
};

struct event {
	enum event_kind kind;
	uint32_t major, minor; /* of the map or disk */
	uint64_t diskseq;      /* 0 before Linux 5.15 */
	struct order_event path;
	const char *name, *uuid; /* EVENT_PATH; into the uevent, "" when absent */
};

/* 0; -EBADMSG: a path event that lacks what it needs. */
int event_decode(const struct uevent *uevent, struct event *ret_event);
