/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme_monitor/decisions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Room for one more behind the last. */
static bool decisions_grow(struct decisions *decisions)
{
	size_t capacity = decisions->capacity ? decisions->capacity * 2 : 16;
	struct decision *items;

	if (decisions->first > 0) {
		memmove(decisions->items, decisions->items + decisions->first,
			decisions->n * sizeof(decisions->items[0]));
		decisions->first = 0;
	}
	if (decisions->n < decisions->capacity)
		return true;
	items = realloc(decisions->items, capacity * sizeof(*items));
	if (items == NULL)
		return false;
	decisions->items = items;
	decisions->capacity = capacity;
	return true;
}

struct decision *decisions_add(struct decisions *decisions, enum decision_kind kind,
			       struct connection *connection, unsigned event)
{
	bool is_full = kind == DECISION_TELL && decisions->n >= DECISIONS_MAX_TELL;
	struct decision *decision;

	if (!is_full && decisions->first + decisions->n == decisions->capacity)
		is_full = !decisions_grow(decisions);
	if (is_full) {
		decisions->untold++;
		return NULL;
	}
	decision = &decisions->items[decisions->first + decisions->n++];
	*decision = (struct decision){ .kind = kind,
				       .connection = connection,
				       .event = event,
				       .state = connection->state,
				       .sources = connection->sources,
				       .attempt = connection->attempts,
				       .genctr = connection->genctr };
	snprintf(decision->controller, sizeof(decision->controller), "%s", connection->controller);
	connection->pins++;
	return decision;
}

const struct decision *decisions_peek(const struct decisions *decisions)
{
	return decisions->n > 0 ? &decisions->items[decisions->first] : NULL;
}

static void decisions_unpin(struct connection *connection)
{
	if (--connection->pins > 0 || !connection->dropped)
		return;
	free(connection->named);
	free(connection);
}

void decisions_pop(struct decisions *decisions)
{
	decisions_unpin(decisions->items[decisions->first].connection);
	decisions->first++;
	decisions->n--;
	if (decisions->n > 0)
		return;
	/* A burst's memory is given back. */
	decisions->first = 0;
	if (decisions->capacity > 64) {
		free(decisions->items);
		decisions->items = NULL;
		decisions->capacity = 0;
	}
}

void decisions_deinit(struct decisions *decisions)
{
	while (decisions->n > 0)
		decisions_pop(decisions);
	free(decisions->items);
	*decisions = (struct decisions){ 0 };
}
