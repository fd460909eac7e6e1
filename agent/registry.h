/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "collectors/collector.h"

/*
 * THE list of collectors that this agent has. The place in it plus one is the spool's source
 * number, kept in records on disk: new ones go to the end, a removed one leaves NULL.
 */
#define REGISTRY_MAX 16

extern const struct collector_ops *const registry[];
extern const size_t registry_n;

/* Index, or -1 where there is no collector of this name. */
int registry_find(const char *name);
