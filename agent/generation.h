/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * A number in DIR/generation that grows with every start of the agent, durable before it is used.
 * The session generation of the wire is built from it, so that a session of a later life always
 * wins over a forgotten one of an earlier life. Its absence also says that this host never ran an
 * agent.
 *
 * session generation = start << 40 | forwarder process of this start << 24 | session of that
 * process
 */
#define GENERATION_START_SHIFT	 40
#define GENERATION_PROCESS_SHIFT 24

/* 0 or -errno. */
int generation_next(const char *dir, uint64_t *ret_start, bool *ret_first);
