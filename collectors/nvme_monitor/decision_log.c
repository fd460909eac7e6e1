/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme_monitor/decision_log.h"

#include <stdlib.h>
#include <string.h>

/* Capacity doubles, so that a quiet host keeps no room for a thousand. 0 or -1. */
static int decision_log_grow(struct decision_log *log)
{
	size_t capacity = log->capacity ? log->capacity * 2 : 16;
	struct decision_log_entry *entries;

	if (log->n < log->capacity || log->capacity == DECISION_LOG_MAX)
		return 0;
	if (capacity > DECISION_LOG_MAX)
		capacity = DECISION_LOG_MAX;
	/* Not yet a ring: first is 0 until it is full for the last time. */
	entries = realloc(log->entries, capacity * sizeof(entries[0]));
	if (entries == NULL)
		return -1;
	log->entries = entries;
	log->capacity = capacity;
	return 0;
}

void decision_log_add(struct decision_log *log, uint64_t unix_ns, unsigned event,
		      const char *address, const char *nqn, const char *reason)
{
	size_t a = strlen(address) + 1, b = strlen(nqn) + 1, c = strlen(reason) + 1;
	struct decision_log_entry *entry;
	char *text = malloc(a + b + c);

	if (text == NULL || decision_log_grow(log) != 0) {
		free(text);
		return;
	}
	memcpy(text, address, a);
	memcpy(text + a, nqn, b);
	memcpy(text + a + b, reason, c);
	if (log->n == log->capacity) {
		free(log->entries[log->first].text);
		log->first = (log->first + 1) % log->capacity;
		log->n--;
	}
	entry = &log->entries[(log->first + log->n++) % log->capacity];
	*entry = (struct decision_log_entry){ .unix_ns = unix_ns, .event = event, .text = text };
}

const struct decision_log_entry *decision_log_get(const struct decision_log *log, size_t index)
{
	return &log->entries[(log->first + index) % log->capacity];
}

const char *decision_log_text(const struct decision_log_entry *entry, unsigned which)
{
	const char *text = entry->text;

	while (which-- > 0)
		text += strlen(text) + 1;
	return text;
}

void decision_log_deinit(struct decision_log *log)
{
	for (size_t i = 0; i < log->n; i++)
		free(log->entries[(log->first + i) % log->capacity].text);
	free(log->entries);
	*log = (struct decision_log){ 0 };
}
