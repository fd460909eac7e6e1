/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/commands/roles.h"
#include "core/clock.h"
#include "pathbell/v1/event.pb-c.h"

#define LIMITS_HOUR_MS (UINT64_C(3600) * 1000)
#define LIFE(name)     PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

struct limits_count {
	uint64_t host, object;		     /* started within the hour */
	uint64_t host_oldest, object_oldest; /* start of the oldest of them */
	uint64_t object_end;		     /* of the newest */
	uint64_t attempts;		     /* in a row without success, the newest ones */
	uint64_t newest_start;
};

static void limits_keep_oldest(uint64_t *oldest, uint64_t ms)
{
	if (*oldest == 0 || ms < *oldest)
		*oldest = ms;
}

static void limits_add_object(struct limits_count *count, const struct entry *entry, unsigned verb)
{
	uint64_t end = entry->started_ms + entry->duration_ms;

	count->object++;
	limits_keep_oldest(&count->object_oldest, entry->started_ms);
	if (end > count->object_end)
		count->object_end = end;
	if (entry->verb != verb || entry->started_ms < count->newest_start)
		return;
	/* entries come in the order of their reception: a later one decides */
	count->newest_start = entry->started_ms;
	count->attempts = entry->life == LIFE(SUCCEEDED) ? 0 : count->attempts + 1;
}

/* A start in the future is one before the clock was set back: it counts as now. */
static bool limits_is_recent(const struct entry *entry, uint64_t now_ms)
{
	return entry->started_ms + LIMITS_HOUR_MS > now_ms;
}

static void limits_count(const struct limits_source *source, unsigned verb, const char *object,
			 uint64_t now_ms, struct limits_count *count)
{
	const struct entry *entry;

	for (size_t i = 0; (entry = source->at(source->data, i)); i++) {
		if (!entry->started_ms || entry->dry_run || !role_is_change(entry->verb) ||
		    !limits_is_recent(entry, now_ms))
			continue;
		count->host++;
		limits_keep_oldest(&count->host_oldest, entry->started_ms);
		if (*object && strcmp(entry->object, object) == 0)
			limits_add_object(count, entry, verb);
	}
}

static bool limits_refuse(char *detail, const char *what, uint64_t again_ms)
{
	char text[CLOCK_TEXT_SIZE];

	clock_format(again_ms * CLOCK_NS_PER_MS, text);
	snprintf(detail, LIMITS_DETAIL_SIZE, "%s; it may again at %s", what, text);
	return false;
}

bool limits_allow(const struct settings_commands *settings, const struct limits_source *source,
		  unsigned verb, const char *object, uint64_t now_ms,
		  char ret_detail[LIMITS_DETAIL_SIZE])
{
	uint64_t cooldown_ms = settings->object_cooldown_ns / CLOCK_NS_PER_MS;
	struct limits_count count = { 0 };
	char what[400];

	if (!role_is_change(verb))
		return true;
	limits_count(source, verb, object, now_ms, &count);
	if (settings->host_per_hour && count.host >= settings->host_per_hour) {
		snprintf(what, sizeof(what), "this host has acted %" PRIu64 " times in an hour",
			 count.host);
		return limits_refuse(ret_detail, what, count.host_oldest + LIMITS_HOUR_MS);
	}
	if (!count.object)
		return true;
	if (now_ms < count.object_end + cooldown_ms) {
		snprintf(what, sizeof(what), "%s was acted on less than %" PRIu64 " ms ago", object,
			 cooldown_ms);
		return limits_refuse(ret_detail, what, count.object_end + cooldown_ms);
	}
	if (settings->object_per_hour && count.object >= settings->object_per_hour) {
		snprintf(what, sizeof(what), "%s was acted on %" PRIu64 " times in an hour", object,
			 count.object);
		return limits_refuse(ret_detail, what, count.object_oldest + LIMITS_HOUR_MS);
	}
	if (settings->object_attempts && count.attempts >= settings->object_attempts) {
		snprintf(what, sizeof(what),
			 "%" PRIu64 " attempts in a row on %s have not succeeded", count.attempts,
			 object);
		return limits_refuse(ret_detail, what, count.newest_start + LIMITS_HOUR_MS);
	}
	return true;
}
