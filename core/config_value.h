/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "core/config.h"

/*
 * One scalar against one option: BOOL to PATH and ENUM. Private to core/config*.c. @text is what
 * the user wrote, @plain: without quotes. A string that was in @target is freed. 0,
 * CONFIG_E_INVALID or -ENOMEM with err->text (no position).
 */
int config_value_set(const struct config_option *option, const char *text, bool plain, void *target,
		     struct errmsg *err);

/* Number of elements of a list against the limits of its option. 0 or CONFIG_E_INVALID. */
int config_value_check_count(const struct config_option *option, size_t n, struct errmsg *err);

/* The greatest unit that writes @ns or @bytes exactly. */
#define CONFIG_VALUE_TEXT_SIZE 32
void config_value_format_duration(uint64_t ns, char ret_text[CONFIG_VALUE_TEXT_SIZE]);
void config_value_format_size(uint64_t bytes, char ret_text[CONFIG_VALUE_TEXT_SIZE]);
/* @value as the user of @option would write it. */
void config_value_format_limit(const struct config_option *option, uint64_t value,
			       char ret_text[CONFIG_VALUE_TEXT_SIZE]);

/* The name of @names nearest to @word within three edits, or NULL. */
const char *config_value_nearest(const char *word, const char *const *names, size_t n_names);
