/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/errmsg.h"
#include "handlers/handlers.h"

/*
 * An instance of a hardware handler, for one multipath map. Nothing here touches a device: what is
 * to be sent to the array is given to the `act` callback, and the answer comes back later by
 * handler_action_done.
 */
#define HANDLER_MAX_ARGS   8
#define HANDLER_MAX_QUEUED 256
#define HANDLER_PATH_MAX   64

enum handler_command {
	HANDLER_SET_TARGET_PORT_GROUPS, /* alua: SPC-5 SET TARGET PORT GROUPS */
	HANDLER_REDUNDANT_CONTROLLER,	/* rdac: MODE SELECT, vendor page 2Ch */
	HANDLER_TRESPASS,		/* emc: MODE SELECT, vendor page 22h */
	HANDLER_START_UNIT,		/* hp_sw: START STOP UNIT with START */
};

struct handler_action {
	enum handler_command command;
	const char *path; /* borrowed for the call */
	uint64_t ticket;
	unsigned attempt;			 /* from 0 */
	bool delayed;				 /* wait before sending: the array asked for time */
	bool short_trespass, honor_reservations; /* emc */
	bool optimize; /* alua: leave the group alone where it is active but not optimized */
};

/* Results of the modern device handlers, include/scsi/scsi_dh.h, Linux 6.12. */
enum handler_result {
	HANDLER_OK,
	HANDLER_NOSYS,		  /* the device knows no such command: path fails */
	HANDLER_DEV_TEMP_BUSY,	  /* the controller is busy: another group */
	HANDLER_RETRY,		  /* again after a pause */
	HANDLER_IMM_RETRY,	  /* again at once */
	HANDLER_RES_TEMP_UNAVAIL, /* our own resources: again after a pause */
	HANDLER_FAILED,		  /* all others: path fails */
};

struct handler_options {
	size_t argc;
	const char *const *argv; /* borrowed for the call */
	unsigned pg_init_retries;
	/* Starts @action, never waits, and never calls handler_action_done itself. 0, -errno. */
	int (*act)(void *data, const struct handler_action *action);
	void *act_data;
};

/* 0; -ENOENT: no such type; -EINVAL with @err; -ENOMEM. The registry must outlive the instance. */
int handler_new(struct handler **ret_handler, struct handlers *handlers, const char *name,
		const struct handler_options *options, struct errmsg *err);
/* A pg_init that runs completes with FAIL_PATH before, and no other can begin. Returns NULL. */
struct handler *handler_free(struct handler *handler);

/*
 * Makes the group of @path usable before requests go there. Returns at once. 0: @done comes later,
 * once, with the flags (0 = ready); on a group that is @bypassed already FAIL_PATH is added to
 * whatever comes. HANDLER_E_READY: there is nothing to do, @done will not be called. -EBUSY: one
 * runs; -EINVAL: path; -errno of the act callback.
 */
#define HANDLER_E_READY 1
int handler_pg_init(struct handler *handler, bool bypassed, const char *path,
		    void (*done)(void *data, unsigned flags), void *data);
bool handler_is_initialising(const struct handler *handler);
/* For types with a pg_init of their own. 0, -EINVAL (none runs), -EBUSY (from inside act). */
int handler_pg_init_complete(struct handler *handler, unsigned flags);
/* The answer to an action. 0, -EINVAL (not the one that is awaited), -EBUSY (from inside act). */
int handler_action_done(struct handler *handler, uint64_t ticket, enum handler_result result);
/*
 * Work for the group: run at once with flags 0, or, while pg_init runs, after its `done`, in order,
 * with its flags. 0, -ENOSPC: HANDLER_MAX_QUEUED wait already (counted).
 */
int handler_queue(struct handler *handler, void (*run)(void *data, unsigned flags), void *data);
uint64_t handler_refused(const struct handler *handler);

void handler_error(const struct handler *handler, const struct handler_error *error,
		   struct handler_verdict *ret_verdict);
/* As device-mapper prints it in its status line; cut to @size. */
void handler_status(const struct handler *handler, enum handler_status what, char *text,
		    size_t size);

/* For implementations of struct handler_type. */
const struct handler_type *handler_type(const struct handler *handler);
void *handler_state(const struct handler *handler);
void handler_set_state(struct handler *handler, void *state);
/* From pg_init: gives @action, with its path, ticket and attempt filled, to the act callback; it is
 * kept for retries. 0, -errno. */
int handler_act(struct handler *handler, const struct handler_action *action);
