/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Test hook: called by the writer thread just before and just after it does @what: segment-create,
 * dir-sync, append, sync, seal, state, unlink, copy. NULL in production. A test ends the process
 * here to prove recovery.
 */
extern void (*crash_hook)(const char *what, bool after);

static inline void crash_point(const char *what, bool after)
{
	if (crash_hook != NULL)
		crash_hook(what, after);
}
