/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "core/errmsg.h"

/*
 * Gives up all that the uplink does not need, before the first thread: no_new_privs, no capability,
 * no core dump or ptrace by equals (keys are in memory), and a list of system calls. 0 or -errno
 * with @err.
 */
int sandbox_enter(struct errmsg *err);
