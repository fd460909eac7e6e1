/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "collectors/tracefs/format.h"
#include "core/errmsg.h"

/*
 * A private tracefs instance: its own ring buffers, filters and switches, which no other user of
 * tracing sees or disturbs. See the essay in instance.c. Nothing is mounted here, and the
 * instance's folder is removed on every way out.
 */
struct instance;

struct instance_options {
	const char *tracefs_path; /* /sys/kernel/tracing */
	const char *collector;	  /* the folder is instances/pathbell-COLLECTOR-PID-N */
	uint64_t buffer_size;	  /* bytes for each CPU */
};

struct instance_record {
	const uint8_t *data; /* valid until the next instance_next */
	size_t size;
	uint64_t source_clock_ns; /* as the trace clock gave it */
	uint64_t time_unix_ns;	  /* the same as CLOCK_REALTIME; 0 = this trace clock cannot be
				     converted */
	int cpu;
	/* With INSTANCE_E_LOSS: how many records before this point were lost, and how. */
	const char *loss_cause; /* ring_overrun, decode */
	uint64_t loss_count;
	bool loss_is_minimum;
};

#define INSTANCE_E_ABSENT \
	1 /* not on this kernel, not mounted, or not permitted: @err says what to do */
#define INSTANCE_E_EMPTY 2 /* every CPU is drained */
#define INSTANCE_E_LOSS	 3 /* something was lost; go on */

/* 0, INSTANCE_E_ABSENT, -errno; both with @err. */
int instance_open(struct instance **ret_instance, const struct instance_options *options,
		  struct errmsg *err);
/* Removes the folder. NULL is accepted; returns NULL. */
struct instance *instance_close(struct instance *instance);

/*
 * Switches an event on with a filter (NULL = none) and reads its layout. At most
 * INSTANCE_MAX_EVENTS. 0, INSTANCE_E_ABSENT (no such event), -errno; both with @err.
 */
#define INSTANCE_MAX_EVENTS 16
int instance_enable(struct instance *instance, const char *system, const char *event,
		    const char *filter, struct format *ret_format, struct errmsg *err);

/* Becomes readable when any CPU has a record; never read it. Owned by the instance. */
int instance_doorbell(const struct instance *instance);
/* Never blocks. 0, INSTANCE_E_EMPTY, INSTANCE_E_LOSS, -errno. */
int instance_next(struct instance *instance, struct instance_record *ret_record);
/*
 * Proof of hearing: recording is on and every event that was enabled still is. 0, or
 * INSTANCE_E_ABSENT with @err.
 */
int instance_check(const struct instance *instance, struct errmsg *err);
