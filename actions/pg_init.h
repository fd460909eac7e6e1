/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "actions/action.h"
#include "actions/map_target.h"

/*
 * Makes a path group ready for I/O through the hardware handler of its paths (handlers/handler.h):
 * the handler decides what is to be sent and what the answers mean, this sends it by SG_IO.
 * In an action's child only.
 */
struct pg_init_report {
	const char *handler; /* a constant: alua, rdac, ... */
	unsigned flags;	     /* HANDLER_FAIL_PATH, HANDLER_BYPASS_PG, HANDLER_ERROR_IO; 0 = ready */
	unsigned n_commands;
	char text[160]; /* what was sent and answered; "" = nothing */
};

/* What the handler's state says before anything is changed. 0; PG_INIT_E_REFUSE with a sentence. */
#define PG_INIT_E_REFUSE 1
int pg_init_check(const struct action_host *host, const struct status_path *path,
		  const struct map_path *device, char *ret_text, size_t size);
/* 0 with *ret_report; -errno. @bypassed: the group is disabled. */
int pg_init_run(const struct action_host *host, const struct status_path *path,
		const struct map_path *device, bool bypassed, struct pg_init_report *ret_report);
