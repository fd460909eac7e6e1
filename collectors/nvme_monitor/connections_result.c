/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/nvme_monitor/internal.h"

/* What children bring back. */

/* The attempt is over. Returns how long it took. */
static uint32_t connections_end(struct connections *connections, struct connection *connection,
				uint64_t now_ns)
{
	if (connection->holds_slot)
		connections->n_jobs--;
	connection->running = connection->stuck = connection->holds_slot = false;
	return connections_ms(connection->start_ns, now_ns);
}

/* Events that came while it ran make it due. */
static void connections_take_queued(struct connection *connection, uint64_t when_ns)
{
	if (connection->queued == 0)
		return;
	connection->queued = 0;
	connection->retry_ns = when_ns;
	snprintf(connection->why, sizeof(connection->why), "an event came during the discovery");
}

static void connections_succeed(struct connections *connections, struct connection *connection,
				uint64_t now_ns)
{
	connections_enter(connection, CONNECTION_ONLINE, now_ns);
	connection->attempts = 0;
	connection->error = 0;
	connection->raised = false;
	connection->retry_ns = CONNECTION_NEVER;
	backoff_up(&connection->backoff, now_ns);
	connections_set_give_up(connections, connection, now_ns);
}

/* Referrals. */

static bool connections_is_ancestor(const struct connections *connections,
				    const struct connection *connection,
				    const struct connection *of)
{
	/* As many steps as there can be levels: `from` itself is a chain of what was found first.
	 */
	for (unsigned i = 0; of != NULL && i <= connections->options.max_depth; i++) {
		if (of == connection)
			return true;
		of = of->from != 0 ? connections_find_id(connections, of->from) : NULL;
	}
	return false;
}

static void connections_tell_referral(struct connections *connections,
				      struct connection *connection, struct connection *to,
				      const char *what)
{
	char address[TID_TEXT], reason[DECISION_REASON];

	tid_format(&to->tid, address, sizeof(address));
	snprintf(reason, sizeof(reason), "%s: %.160s", what, address);
	connections_tell(connections, connection, KIND(DISCOVERY_REFERRAL), reason);
}

/* 0, CONNECTIONS_E_FULL, -ENOMEM; *ret_id 0: not followed. */
static int connections_take_referral(struct connections *connections, struct connection *from,
				     const struct tid *tid, uint64_t now_ns, uint32_t *ret_id)
{
	struct connection *to = connections_find(connections, tid, true);
	int r;

	connections->counters.referrals++;
	*ret_id = to != NULL ? to->id : 0;
	if (to != NULL && connections_is_ancestor(connections, to, from)) {
		connections->counters.referral_loops++;
		return 0;
	}
	if (to == NULL && from->depth >= connections->options.max_depth) {
		connections->counters.referrals_too_deep++;
		connections_tell(connections, from, KIND(DISCOVERY_REFERRAL),
				 "not followed: too many referrals behind each other");
		return 0;
	}
	r = connections_want(connections, tid, true, CONNECTION_REFERRAL, now_ns,
			     to == NULL ? &to : NULL);
	if (r != 0)
		return r;
	if (*ret_id == 0) {
		to->from = from->id;
		to->depth = from->depth + 1;
		connections_tell_referral(connections, from, to, "leads to");
	}
	*ret_id = to->id;
	return 0;
}

static int connections_take_subsystem(struct connections *connections, struct connection *from,
				      const struct tid *tid, uint64_t now_ns, uint32_t *ret_id)
{
	struct connection *to = NULL;
	int r = connections_want(connections, tid, false, CONNECTION_DISCOVERY, now_ns, &to);

	*ret_id = r == 0 ? to->id : 0;
	if (r == 0 && to->from == 0)
		to->from = from->id;
	return r;
}

static bool connections_lists(const uint32_t *ids, size_t n, uint32_t id)
{
	for (size_t i = 0; i < n; i++)
		if (ids[i] == id)
			return true;
	return false;
}

/* What was listed and is not any more, by nobody. */
static void connections_sweep(struct connections *connections, struct connection *connection,
			      const uint32_t *before, size_t n_before, uint64_t now_ns)
{
	uint32_t bits = CONNECTION_BIT(CONNECTION_DISCOVERY) | CONNECTION_BIT(CONNECTION_REFERRAL);

	for (size_t i = 0; i < n_before; i++) {
		struct connection *old = connections_find_id(connections, before[i]);
		bool listed = old == NULL;

		for (size_t k = 0; !listed && k < connections->n; k++)
			listed = connections_lists(connections->items[k]->named,
						   connections->items[k]->n_named, old->id);
		if (!listed && old != connection)
			connections_unwant(connections, old, bits,
					   "no discovery log page lists it any more", now_ns);
	}
}

static int connections_take_log(struct connections *connections, struct connection *connection,
				const struct connections_log *log, uint64_t now_ns)
{
	uint32_t *before = connection->named;
	size_t n_before = connection->n_named, n = 0;
	uint32_t *named = calloc(log->n_entries + 1, sizeof(*named));
	int r = named == NULL ? -ENOMEM : 0;

	for (size_t i = 0; r >= 0 && i < log->n_entries; i++) {
		const struct connections_entry *entry = &log->entries[i];
		uint32_t id = 0;

		if (entry->is_referral)
			r = connections_take_referral(connections, connection, &entry->tid, now_ns,
						      &id);
		else
			r = connections_take_subsystem(connections, connection, &entry->tid, now_ns,
						       &id);
		if (id != 0 && !connections_lists(named, n, id))
			named[n++] = id;
	}
	/* Half a list says nothing about what is missing. */
	if (r < 0) {
		free(named);
		return r;
	}
	connection->named = named;
	connection->n_named = n;
	connections_sweep(connections, connection, before, n_before, now_ns);
	free(before);
	return 0;
}

int connections_discovered(struct connections *connections, struct connection *connection,
			   const struct connections_log *log,
			   const struct connections_controller *controller, uint64_t now_ns)
{
	uint32_t took_ms = connections_end(connections, connection, now_ns);
	struct decision *decision;
	char reason[DECISION_REASON];
	int r;

	connections_attach(connection, controller);
	connection->genctr = log->genctr;
	snprintf(reason, sizeof(reason), "%zu entries", log->n_entries);
	decision = connections_tell(connections, connection, KIND(DISCOVERY_FINISHED), reason);
	if (decision != NULL) {
		decision->records = (uint32_t)log->n_entries;
		decision->duration_ms = took_ms;
		decision->state = CONNECTION_ONLINE;
		decision->phase = connection->raised ? DECISION_CLEARS : DECISION_NO_FAULT;
	}
	connections_succeed(connections, connection, now_ns);
	r = connections_take_log(connections, connection, log, now_ns);
	connections_take_queued(connection, now_ns);
	/* It was only looked at. */
	if (connection->sources == 0 && !connection->forgotten &&
	    connection->retry_ns == CONNECTION_NEVER)
		connections_drop(connections, connection);
	return r;
}

void connections_connected(struct connections *connections, struct connection *connection,
			   const struct connections_controller *controller, bool existed,
			   uint64_t now_ns)
{
	uint32_t took_ms = connections_end(connections, connection, now_ns);
	struct decision *decision;

	connections_attach(connection, controller);
	if (existed)
		connections->counters.adopted++;
	decision = connections_tell(connections, connection,
				    existed ? KIND(CONTROLLER_ADOPTED) : KIND(CONNECT_SUCCEEDED),
				    existed ? "it was there already" : connection->why);
	if (decision != NULL) {
		decision->duration_ms = took_ms;
		decision->state = CONNECTION_ONLINE;
		decision->phase = connection->raised ? DECISION_CLEARS : DECISION_NO_FAULT;
	}
	connections_succeed(connections, connection, now_ns);
}

/* Failures. */

static void connections_give_up(struct connections *connections, struct connection *connection,
				const char *reason)
{
	struct decision *decision =
		connections_tell(connections, connection, KIND(CONNECT_GIVEN_UP), reason);

	if (decision != NULL && connection->raised)
		decision->phase = DECISION_CLEARS;
	connection->raised = false;
	connections->counters.given_up++;
	connections_drop(connections, connection);
}

static void connections_plan(struct connections *connections, struct connection *connection,
			     const char *reason, uint64_t now_ns)
{
	uint64_t base_ns = connections->options.backoff_base_ns;
	struct decision *decision;

	connection->retry_ns = backoff_down(&connection->backoff, now_ns);
	snprintf(connection->why, sizeof(connection->why), "tried again: %s", reason);
	connections_take_queued(connection, connection->retry_ns < now_ns + base_ns
						    ? connection->retry_ns
						    : now_ns + base_ns);
	decision = connections_tell(connections, connection, KIND(CONNECT_RETRY), reason);
	if (decision == NULL)
		return;
	decision->retry_ms = connections_ms(now_ns, connection->retry_ns);
	decision->error = connection->error;
}

/* A fault is told once; the same error again is only a retry. */
static void connections_tell_failure(struct connections *connections, struct connection *connection,
				     int error, const char *reason, uint32_t took_ms)
{
	unsigned event = connection->is_discovery ? KIND(DISCOVERY_FAILED) : KIND(CONNECT_FAILED);
	struct decision *decision;

	if (connection->raised && connection->error == error)
		return;
	decision = connections_tell(connections, connection, event, reason);
	if (decision == NULL)
		return;
	decision->error = error;
	decision->duration_ms = took_ms;
	decision->phase = connection->raised ? DECISION_NO_FAULT : DECISION_RAISES;
	connection->raised = true;
}

void connections_failed(struct connections *connections, struct connection *connection, int error,
			const char *reason, uint64_t now_ns)
{
	uint32_t took_ms = connections_end(connections, connection, now_ns);
	bool is_alive = CONNECTION_WANTED(connection->sources) ||
			connection->controller[0] != '\0' || connection->queued > 0;

	if (connection->is_discovery)
		connections->counters.discoveries_failed++;
	else
		connections->counters.connects_failed++;
	connections_enter(connection, CONNECTION_FAILED, now_ns);
	connections_tell_failure(connections, connection, error, reason, took_ms);
	connection->error = error;
	if (connection->forgotten)
		return;
	if (!is_alive)
		connections_give_up(connections, connection, "nobody wants it any more");
	else if (now_ns >= connection->give_up_ns)
		connections_give_up(connections, connection, reason);
	else
		connections_plan(connections, connection, reason, now_ns);
}

void connections_skipped(struct connections *connections, struct connection *connection,
			 const char *reason, uint64_t now_ns)
{
	(void)connections_end(connections, connection, now_ns);
	connections->counters.skipped++;
	connections_enter(connection, CONNECTION_FAILED, now_ns);
	if (connection->error != -EPERM)
		connections_tell(connections, connection, KIND(CONNECT_SKIPPED), reason);
	connection->error = -EPERM;
	connection->queued = 0;
	connection->retry_ns = now_ns + connections->options.backoff_cap_ns;
	snprintf(connection->why, sizeof(connection->why), "looked at again");
}

bool connections_are_settled(const struct connections *connections)
{
	for (size_t i = 0; i < connections->n; i++) {
		const struct connection *connection = connections->items[i];

		/* Without autoconnect nothing is tried, so that nothing new can fail. */
		if (connection->running ||
		    (connection->state == CONNECTION_NEW && connections->options.autoconnect))
			return false;
	}
	return true;
}
