/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "aggregator/aggregator.h"

/*
 * What the audit needs beside the store: refused attempts. They are recorded one by one up to a
 * rate, so that a flood of them does not fill the disk; above it they are counted, and the next
 * record says how many there were. gRPC thread only.
 */
struct audit_limit;

struct audit_limit *audit_limit_new(void);
struct audit_limit *audit_limit_free(struct audit_limit *limit); /* returns NULL */

/* @method: full or short name. @caller->uri may be empty. */
void audit_refused(struct aggregator *aggregator, const struct caller *caller, const char *method,
		   int status, const char *details);
/* Does a refusal of this kind say something about the caller? */
bool audit_is_worth(int status);

static inline struct store_actor audit_actor(const struct caller *caller)
{
	return (struct store_actor){ .uri = caller->uri, .certificate = caller->certificate };
}
