/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/commands/entry.h"
#include "agent/settings.h"

/*
 * How often this host may be made to act, whoever signs: per object (cool-down, commands in an
 * hour, attempts in a row that did not succeed) and for the host as a whole. Counted from what the
 * journal remembers as started, so a restart forgets nothing. Verbs that only look, halt, resume
 * and dry runs neither count nor are limited. Pure.
 */
struct limits_source {
	const void *data;
	const struct entry *(*at)(const void *data, size_t index); /* NULL at the end */
};

#define LIMITS_DETAIL_SIZE 512

/* True: it may start at @now_ms. False: @ret_detail says why not and when it may again. */
bool limits_allow(const struct settings_commands *settings, const struct limits_source *source,
		  unsigned verb, const char *object, uint64_t now_ms,
		  char ret_detail[LIMITS_DETAIL_SIZE]);
