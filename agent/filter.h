/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/settings.h"
#include "pathbell/v1/event.pb-c.h"

/*
 * The filter rules: first match wins, what none matches is kept. What the agent says about itself
 * and about commands (kinds 800 to 999) passes always: a filter must not hide a gap.
 */
struct filter_rule {
	const struct settings_filter *settings;
	unsigned min_severity;
	uint64_t matched;
};

struct filter {
	struct filter_rule rules[SETTINGS_MAX_FILTERS];
	size_t n_rules;
};

/* Borrows @settings. Counts of rules whose name stays are kept. */
void filter_configure(struct filter *filter, const struct settings *settings);
/* Counts. True: keep it. */
bool filter_keeps(struct filter *filter, const char *collector, const Pathbell__V1__Event *event);
