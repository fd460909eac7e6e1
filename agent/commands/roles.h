/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>

/*
 * What a key may ask for. One table says the least role of each verb: a viewer only looks, an
 * operator brings paths back, an admin also takes them away and lifts a halt. Pure.
 */
enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN };

/* The least role for the verb (Pathbell__V1__CommandVerb); ROLE_ADMIN for one that is not listed.
 */
enum role role_of_verb(unsigned verb);
/* The verb changes something on the host: it counts against the limits and needs the audit. */
bool role_is_change(unsigned verb);
/* Executes also while the host is halted: what only looks, halt itself, resume. */
bool role_is_free_of_halt(unsigned verb);
const char *role_name(enum role role);
/* NULL-terminated, index = enum role - 1: for the option table. */
extern const char *const role_names[];
