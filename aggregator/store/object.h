/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "aggregator/store/records_campaign.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * What an event says about a thing on its host that a command may be meant for: a multipath map, an
 * NVMe controller, a disk. Pure.
 */
#define OBJECT_KEY_SIZE 600

/* By the kind alone: can such an event tell an object? Cheap; asked for each event. */
bool object_is_told_by(uint32_t kind);

enum object_change { OBJECT_NONE, OBJECT_SET, OBJECT_GONE };
/* @ret_object borrows from @event and @key. A controller that the kernel gave up stays, without a
 * usable path: it is what nvme.connect is for. */
enum object_change object_of(const Pathbell__V1__Event *event, char key[OBJECT_KEY_SIZE],
			     struct store_object *ret_object);
