/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

/* What the words of commands and campaigns mean, and what a person can do. For `explain`. */
struct meaning {
	const char *word;  /* as it is printed: last_path, INEFFECTIVE, STOPPED, command.held */
	const char *group; /* refusal, life, campaign, kind */
	const char *text;
	const char *what_to_do; /* "" = nothing */
};

extern const struct meaning meanings[];
extern const size_t meanings_n;

/* Case and '-' for '_' do not matter. NULL: no such word. */
const struct meaning *meaning_find(const char *word);
