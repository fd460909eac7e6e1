/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

#include "core/errmsg.h"
#include "pathbell/v1/fleet.pb-c.h"

#define WHERE_MAX_GLOBS 64 /* CampaignSelector.host_globs */
#define WHERE_MAX_TEXT	4096

/* --where as the schema's selector; points into itself. */
struct where {
	Pathbell__V1__CampaignSelector selector;
	char *globs[WHERE_MAX_GLOBS];
	char *text; /* the terms, NUL behind each */
	size_t size;
};

/* An empty selector; where_deinit in every case. */
void where_init(struct where *where);
void where_deinit(struct where *where);
/*
 * Adds "target=NQN,array=GLOB,host=GLOB,degraded" (in any order; host= may be repeated). A piece
 * behind a comma that is no such term belongs to the value before it, so that addresses with commas
 * are whole. 0 or -EINVAL with @err: a target or array twice, an empty value, no term.
 */
int where_add(struct where *where, const char *text, struct errmsg *err);
/* Does it name anything? A selector that fits the whole fleet is not one. */
bool where_is_empty(const struct where *where);
