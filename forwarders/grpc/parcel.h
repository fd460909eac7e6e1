/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A packet of the agent on its way from the loop, which reads it, to the gRPC thread, which sends
 * it on from where it is. `pending` counts the bytes that are on the way or wait to be sent.
 */
struct parcel {
	struct parcel *next; /* for the pool */
	_Atomic size_t *pending;
	size_t size, capacity;
	uint8_t packet[];
};

/* Large ones (of FRAME_MAX) come from a small pool: malloc would map and unmap pages for each.
 * NULL: no memory. */
struct parcel *parcel_new(size_t capacity);
void parcel_free(struct parcel *parcel); /* any thread */
void parcel_drain(void);		 /* frees the pool */
