/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collectors/nvme_monitor/connection.h"

/*
 * What the registry decided, in order. Each is an event; some are something to do as well. The
 * connection stays as long as a decision points to it.
 */
#define DECISION_REASON	   200
#define DECISIONS_MAX_TELL 2048

enum decision_kind {
	DECISION_TELL,
	DECISION_DISCOVER,   /* start a child; then connections_discovered or _failed */
	DECISION_CONNECT,    /* start a child; then connections_connected or _failed */
	DECISION_DISCONNECT, /* delete connection->controller, which is ours */
};

enum decision_phase { DECISION_NO_FAULT, DECISION_RAISES, DECISION_CLEARS };

struct decision {
	enum decision_kind kind;
	struct connection *connection;
	unsigned event; /* Pathbell__V1__EventKind */
	enum decision_phase phase;
	enum connection_state state; /* as they were when it was decided: */
	uint32_t sources, attempt;
	uint32_t retry_ms, duration_ms;
	int error; /* negative errno; 0 = none */
	uint64_t genctr;
	uint32_t records;
	char controller[CONNECTION_NAME];
	char reason[DECISION_REASON];
};

struct decisions {
	struct decision *items;
	size_t first, n, capacity;
	uint64_t untold; /* events above DECISIONS_MAX_TELL, or without memory */
};

/* NULL: refused and counted (a TELL), or no memory. The caller fills the rest; the connection is
 * pinned. */
struct decision *decisions_add(struct decisions *decisions, enum decision_kind kind,
			       struct connection *connection, unsigned event);
/* The oldest; NULL = none. */
const struct decision *decisions_peek(const struct decisions *decisions);
/* The oldest is done with. */
void decisions_pop(struct decisions *decisions);
void decisions_deinit(struct decisions *decisions);
