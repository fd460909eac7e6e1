/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/filter.h"

#include <fnmatch.h>
#include <string.h>

#include "proto/kind.h"

#define FILTER_FIRST_OWN PATHBELL__V1__EVENT_KIND__EVENT_KIND_COLLECTOR_UP
#define FILTER_LAST_OWN	 999

static uint64_t filter_old_count(const struct filter *old, const char *name)
{
	for (size_t i = 0; i < old->n_rules; i++)
		if (strcmp(old->rules[i].settings->name, name) == 0)
			return old->rules[i].matched;
	return 0;
}

void filter_configure(struct filter *filter, const struct settings *settings)
{
	const struct settings_filter *rules = settings->filters.items;
	struct filter next = { .n_rules = settings->filters.n_items };

	for (size_t i = 0; i < next.n_rules; i++)
		next.rules[i] = (struct filter_rule){
			.settings = &rules[i],
			.min_severity = settings_filter_severity(&rules[i]),
			.matched = filter_old_count(filter, rules[i].name),
		};
	*filter = next;
}

static bool filter_subject_matches(const char *glob, const Pathbell__V1__Subject *subject)
{
	if (!glob)
		return true;
	if (!subject)
		return false;
	return fnmatch(glob, subject->id, 0) == 0 || fnmatch(glob, subject->name, 0) == 0;
}

static bool filter_rule_matches(const struct filter_rule *rule, const char *collector,
				const Pathbell__V1__Event *event)
{
	const struct settings_filter *settings = rule->settings;

	if ((unsigned)event->severity < rule->min_severity)
		return false;
	if (settings->collector && strcmp(settings->collector, collector) != 0)
		return false;
	if (settings->kind && !kind_matches(event->kind, settings->kind))
		return false;
	return filter_subject_matches(settings->subject, event->subject);
}

bool filter_keeps(struct filter *filter, const char *collector, const Pathbell__V1__Event *event)
{
	if (event->kind >= FILTER_FIRST_OWN && (unsigned)event->kind <= FILTER_LAST_OWN)
		return true;
	for (size_t i = 0; i < filter->n_rules; i++) {
		if (!filter_rule_matches(&filter->rules[i], collector, event))
			continue;
		filter->rules[i].matched++;
		return filter->rules[i].settings->action == SETTINGS_KEEP;
	}
	return true;
}
