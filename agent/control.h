/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/errmsg.h"
#include "pathbell/v1/local.pb-c.h"
#include "proto/arena.h"

/*
 * The control socket: one LocalRequest in one packet, one LocalResponse back (local.proto). Callers
 * are root, the agent's own user, or members of the configured group, by what the kernel says of
 * them. At most CONTROL_MAX_CLIENTS; one that does not take its answer at once is dropped.
 */
#define CONTROL_MAX_CLIENTS 8
#define CONTROL_MAX_REQUEST 4096
#define CONTROL_MAX_REPLY   (128 * 1024)

struct control;

struct control_options {
	struct ev_loop *loop;
	const char *path;
	const char *group; /* name or number; NULL = none */
	void *data;
	/* Fills @response; what it points to may live in @arena, which is reset afterwards.
	 * @may_change: the caller is root or the agent's own user, not only of the group. */
	void (*answer)(void *data, bool may_change, const Pathbell__V1__LocalRequest *request,
		       Pathbell__V1__LocalResponse *response, struct arena *arena);
};

/* A socket that a dead agent left is replaced. 0 or -errno with @err. */
int control_open(struct control **ret_control, const struct control_options *options,
		 struct errmsg *err);
struct control *control_close(struct control *control);
