/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The last decisions, for `pathbell local nvme log`: a ring that holds at most DECISION_LOG_MAX. */
#define DECISION_LOG_MAX 1000

struct decision_log_entry {
	uint64_t unix_ns;
	unsigned event; /* Pathbell__V1__EventKind */
	char *text;	/* address, NQN, reason: three strings behind each other */
};

struct decision_log {
	struct decision_log_entry *entries; /* NULL until the first */
	size_t first, n, capacity;
};

/* Copies. Without memory nothing is kept. */
void decision_log_add(struct decision_log *log, uint64_t unix_ns, unsigned event,
		      const char *address, const char *nqn, const char *reason);
/* @index from 0, the oldest. */
const struct decision_log_entry *decision_log_get(const struct decision_log *log, size_t index);
/* 0 address, 1 NQN, 2 reason. */
const char *decision_log_text(const struct decision_log_entry *entry, unsigned which);
void decision_log_deinit(struct decision_log *log);
