/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/nvme_monitor/connections.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collectors/nvme_monitor/internal.h"

/*
 * Happy path of a discovery controller: wanted -> NEW, due at once -> tick: DISCOVERING, decision
 * DISCOVER -> connections_discovered: ONLINE, and what the log page names is wanted -> each of
 * those NEW, CONNECTING, decision CONNECT, connections_connected: ONLINE. A poke (an AEN) makes the
 * discovery connection due again.
 *
 * What decides alone whether something is tried is retry_ns: due when it has come, CONNECTION_NEVER
 * when there is nothing to do. While autoconnect is off only what an operator demands is tried.
 *
 * Failure modes
 *   - A poke while the discovery runs: counted in `queued`; the end of that discovery, good or bad,
 *     makes the connection due again. So no poke is older than the last log page that was read.
 *   - An attempt fails: retry_ns by core/backoff, for ever for what is configured, until give_up_ns
 *     for what was only discovered. While it fails, one fault is raised.
 *   - Its controller goes away: the same, but if nobody wants it the entry goes too.
 *   - A child that does not end (stuck): gives its slot back, up to CONNECTIONS_MAX_STUCK; the
 *     entry stays `running`, so nothing else is started for that address.
 *   - A log page that lists less than before: what nobody lists is not wanted any more. Nothing is
 *     disconnected for it, and an answer that did not come changes nothing.
 *   - Referrals in a circle: the registry itself is the set of addresses that were visited; the
 *     depth is bounded besides.
 */
#define CONNECTIONS_MAX	      1024
#define CONNECTIONS_MAX_JOBS  8
#define CONNECTIONS_MAX_DEPTH 8
#define CONNECTIONS_MAX_STUCK 32

const char *connection_state_name(enum connection_state state)
{
	static const char *const names[] = {
		[CONNECTION_NEW] = "new",
		[CONNECTION_DISCOVERING] = "discovering",
		[CONNECTION_CONNECTING] = "connecting",
		[CONNECTION_ONLINE] = "online",
		[CONNECTION_FAILED] = "failed",
	};

	return names[state];
}

const char *connection_desired_by(uint32_t sources)
{
	static const char *const names[CONNECTION_N_SOURCES] = {
		[CONNECTION_YAML] = "yaml",
		[CONNECTION_DISCOVERY_CONF] = "discovery.conf",
		[CONNECTION_CONFIG_JSON] = "config.json",
		[CONNECTION_FABRICS_CONF] = "nvme-fabrics.conf",
		[CONNECTION_COMMAND] = "command",
		[CONNECTION_UEVENT] = "uevent",
		[CONNECTION_FC_KICKSTART] = "fc-kickstart",
		[CONNECTION_DISCOVERY] = "discovery",
		[CONNECTION_REFERRAL] = "referral",
		[CONNECTION_EXISTING] = "existing",
	};

	for (int i = 0; i < CONNECTION_N_SOURCES; i++)
		if (sources & CONNECTION_BIT(i))
			return names[i];
	return "";
}

void connections_init(struct connections *connections, const struct connections_options *options)
{
	*connections = (struct connections){ .options = *options };
	if (connections->options.max == 0)
		connections->options.max = CONNECTIONS_MAX;
	if (connections->options.max_jobs == 0)
		connections->options.max_jobs = CONNECTIONS_MAX_JOBS;
	if (connections->options.max_depth == 0)
		connections->options.max_depth = CONNECTIONS_MAX_DEPTH;
}

void connections_deinit(struct connections *connections)
{
	while (connections->n > 0)
		connections_drop(connections, connections->items[connections->n - 1]);
	decisions_deinit(&connections->decisions);
	free(connections->items);
	connections->items = NULL;
	connections->capacity = 0;
}

/* Parts. */

struct decision *connections_tell(struct connections *connections, struct connection *connection,
				  unsigned event, const char *reason)
{
	struct decision *decision =
		decisions_add(&connections->decisions, DECISION_TELL, connection, event);

	if (decision != NULL)
		snprintf(decision->reason, sizeof(decision->reason), "%s", reason);
	return decision;
}

void connections_enter(struct connection *connection, enum connection_state state, uint64_t now_ns)
{
	if (connection->state != state)
		connection->since_ns = now_ns;
	connection->state = state;
}

void connections_drop(struct connections *connections, struct connection *connection)
{
	size_t at = 0;

	while (connections->items[at] != connection)
		at++;
	memmove(&connections->items[at], &connections->items[at + 1],
		(connections->n - at - 1) * sizeof(connections->items[0]));
	connections->n--;
	if (connection->holds_slot)
		connections->n_jobs--;
	connection->holds_slot = false;
	connection->dropped = true;
	if (connection->pins > 0)
		return;
	free(connection->named);
	free(connection);
}

uint32_t connections_ms(uint64_t from_ns, uint64_t to_ns)
{
	uint64_t ms = to_ns > from_ns ? (to_ns - from_ns) / 1000000 : 0;

	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

void connections_set_give_up(const struct connections *connections, struct connection *connection,
			     uint64_t now_ns)
{
	connection->give_up_ns = CONNECTION_NEVER;
	if (!(connection->sources & CONNECTION_CONFIGURED))
		connection->give_up_ns = now_ns + connections->options.give_up_ns;
}

void connections_attach(struct connection *connection,
			const struct connections_controller *controller)
{
	bool some = controller != NULL;

	snprintf(connection->controller, sizeof(connection->controller), "%s",
		 some ? controller->name : "");
	snprintf(connection->owner, sizeof(connection->owner), "%s", some ? controller->owner : "");
	connection->inode = some ? controller->inode : 0;
	connection->ours = some && controller->ours;
	connection->persistent = some && controller->persistent;
	if (some)
		connection->sources |= CONNECTION_BIT(CONNECTION_EXISTING);
	else
		connection->sources &= ~CONNECTION_BIT(CONNECTION_EXISTING);
}

/* Looking up. */

/* What was asked for in the same words wins over what only matches. */
struct connection *connections_find(const struct connections *connections, const struct tid *tid,
				    bool is_discovery)
{
	struct connection *match = NULL;

	for (size_t i = 0; i < connections->n; i++) {
		struct connection *item = connections->items[i];

		if (item->is_discovery != is_discovery)
			continue;
		if (tid_is_same(&item->tid, tid))
			return item;
		if (match == NULL && tid_matches(&item->tid, tid))
			match = item;
	}
	return match;
}

struct connection *connections_find_controller(const struct connections *connections,
					       const char *name)
{
	for (size_t i = 0; i < connections->n; i++)
		if (strcmp(connections->items[i]->controller, name) == 0)
			return connections->items[i];
	return NULL;
}

struct connection *connections_find_id(const struct connections *connections, uint32_t id)
{
	for (size_t i = 0; i < connections->n; i++)
		if (connections->items[i]->id == id)
			return connections->items[i];
	return NULL;
}

static int connections_grow(struct connections *connections)
{
	size_t capacity = connections->capacity ? connections->capacity * 2 : 8;
	struct connection **items;

	if (connections->n < connections->capacity)
		return 0;
	items = realloc(connections->items, capacity * sizeof(items[0]));
	if (items == NULL)
		return -ENOMEM;
	connections->items = items;
	connections->capacity = capacity;
	return 0;
}

static int connections_add(struct connections *connections, const struct tid *tid,
			   bool is_discovery, uint64_t now_ns, struct connection **ret_connection)
{
	const struct connections_options *options = &connections->options;
	struct backoff_options backoff = { .base_ns = options->backoff_base_ns,
					   .cap_ns = options->backoff_cap_ns,
					   .healthy_ns = options->backoff_cap_ns };
	struct connection *connection;

	if (connections->n >= options->max) {
		connections->counters.refused++;
		return CONNECTIONS_E_FULL;
	}
	connection = calloc(1, sizeof(*connection));
	if (connection == NULL || connections_grow(connections) != 0) {
		free(connection);
		return -ENOMEM;
	}
	connection->tid = *tid;
	connection->id = ++connections->last_id;
	connection->is_discovery = is_discovery;
	connection->since_ns = now_ns;
	connection->retry_ns = connection->give_up_ns = CONNECTION_NEVER;
	backoff_init(&connection->backoff, &backoff, options->seed + connection->id);
	connections->items[connections->n++] = connection;
	*ret_connection = connection;
	return 0;
}

/* Desire. */

static void connections_set_why(struct connection *connection, const char *why)
{
	snprintf(connection->why, sizeof(connection->why), "%s", why);
}

/* A connection without a controller, or a log page that was never read, is due. */
static void connections_awaken(struct connection *connection, const char *why, uint64_t now_ns)
{
	bool has_it = connection->controller[0] != '\0' &&
		      (!connection->is_discovery || connection->genctr != 0);

	if (connection->running || has_it)
		return;
	connection->retry_ns = now_ns;
	connections_set_why(connection, why);
}

int connections_want(struct connections *connections, const struct tid *tid, bool is_discovery,
		     enum connection_source source, uint64_t now_ns,
		     struct connection **ret_connection)
{
	struct connection *connection = connections_find(connections, tid, is_discovery);
	char why[CONNECTION_WHY];
	bool is_news;

	if (connection == NULL) {
		int r = connections_add(connections, tid, is_discovery, now_ns, &connection);

		if (r != 0)
			return r;
	}
	if (ret_connection != NULL)
		*ret_connection = connection;
	connection->stale &= ~CONNECTION_BIT(source);
	if (source == CONNECTION_COMMAND)
		connection->forgotten = false;
	if (connection->forgotten)
		return 0;
	is_news = !(connection->sources & CONNECTION_BIT(source));
	connection->sources |= CONNECTION_BIT(source);
	if (is_news) {
		snprintf(why, sizeof(why), "wanted by %s",
			 connection_desired_by(CONNECTION_BIT(source)));
		connections_awaken(connection, why, now_ns);
	}
	if (is_news || connection->state != CONNECTION_FAILED)
		connections_set_give_up(connections, connection, now_ns);
	return 0;
}

void connections_unwant(struct connections *connections, struct connection *connection,
			uint32_t bits, const char *reason, uint64_t now_ns)
{
	struct decision *decision;

	if (!CONNECTION_WANTED(connection->sources & bits))
		return;
	connection->sources &= ~bits;
	if (CONNECTION_WANTED(connection->sources)) {
		if (!(connection->sources & CONNECTION_CONFIGURED) &&
		    connection->give_up_ns == CONNECTION_NEVER)
			connections_set_give_up(connections, connection, now_ns);
		return;
	}
	connections->counters.forgotten++;
	decision = connections_tell(connections, connection, KIND(CONNECT_FORGOTTEN), reason);
	if (decision != NULL && connection->raised)
		decision->phase = DECISION_CLEARS;
	connection->raised = false;
	connection->give_up_ns = CONNECTION_NEVER;
	if (connection->controller[0] == '\0')
		connection->retry_ns = CONNECTION_NEVER;
	if (connection->controller[0] == '\0' && !connection->running && !connection->forgotten)
		connections_drop(connections, connection);
}

void connections_forget(struct connections *connections, struct connection *connection,
			const char *reason, uint64_t now_ns)
{
	connection->forgotten = true;
	connection->demanded = false;
	connection->queued = 0;
	connection->retry_ns = CONNECTION_NEVER;
	connections_unwant(connections, connection, ~CONNECTION_BIT(CONNECTION_EXISTING), reason,
			   now_ns);
}

void connections_refresh_begin(struct connections *connections, uint32_t sources)
{
	for (size_t i = 0; i < connections->n; i++)
		connections->items[i]->stale |= connections->items[i]->sources & sources;
}

void connections_refresh_end(struct connections *connections, uint32_t sources, const char *reason,
			     uint64_t now_ns)
{
	for (size_t i = connections->n; i-- > 0;) {
		struct connection *connection = connections->items[i];
		uint32_t stale = connection->stale & sources;

		connection->stale &= ~sources;
		connections_unwant(connections, connection, stale, reason, now_ns);
	}
}

void connections_poke(struct connections *connections, struct connection *connection,
		      const char *reason, bool demanded, uint64_t now_ns)
{
	if (demanded)
		connection->forgotten = false;
	if (!connection->is_discovery || connection->forgotten)
		return;
	connection->demanded = connection->demanded || demanded;
	if (!connection->running) {
		connection->retry_ns = now_ns;
		connections_set_why(connection, reason);
		return;
	}
	connection->queued++;
	connections->counters.queued++;
	connections_tell(connections, connection, KIND(DISCOVERY_QUEUED), reason);
}

void connections_set_autoconnect(struct connections *connections, bool on, uint64_t now_ns)
{
	connections->options.autoconnect = on;
	/* The time in which nothing was tried does not count. */
	for (size_t i = 0; on && i < connections->n; i++)
		connections_set_give_up(connections, connections->items[i], now_ns);
}

/* What there is. */

static void connections_adopt(struct connections *connections, struct connection *connection,
			      const struct connections_controller *controller, uint64_t now_ns)
{
	struct decision *decision;

	connections_attach(connection, controller);
	connections_enter(connection, CONNECTION_ONLINE, now_ns);
	connections->counters.adopted++;
	decision = connections_tell(connections, connection, KIND(CONTROLLER_ADOPTED),
				    controller->ours		   ? "made by this agent before"
				    : controller->owner[0] != '\0' ? "found; another owner has it"
								   : "found");
	if (decision != NULL && connection->raised)
		decision->phase = DECISION_CLEARS;
	connection->raised = false;
	connection->attempts = 0;
	connection->error = 0;
	connection->retry_ns = CONNECTION_NEVER;
	backoff_up(&connection->backoff, now_ns);
	connections_set_give_up(connections, connection, now_ns);
	/* It may have changed while nobody listened. */
	if (connection->is_discovery)
		connections_poke(connections, connection, "a controller was found", false, now_ns);
}

int connections_see(struct connections *connections,
		    const struct connections_controller *controller, uint64_t now_ns)
{
	struct connection *connection = connections_find_controller(connections, controller->name);
	int r = 0;

	/* The name stands for another one now. */
	if (connection != NULL && connection->inode != controller->inode) {
		connections_gone(connections, controller->name, now_ns);
		connection = NULL;
	}
	if (connection != NULL) {
		snprintf(connection->owner, sizeof(connection->owner), "%s", controller->owner);
		connection->ours = controller->ours;
		connection->persistent = controller->persistent;
		return 0;
	}
	/* One without keep-alive lives as long as the program that reads its log page. */
	if (controller->is_discovery && !controller->persistent)
		return 0;
	connection = connections_find(connections, &controller->tid, controller->is_discovery);
	/* Another path to what was asked for without naming this host's side: a line of its own. */
	if (connection != NULL && !connection->running && connection->controller[0] != '\0' &&
	    !tid_is_same(&connection->tid, &controller->tid))
		connection = NULL;
	if (connection == NULL)
		r = connections_add(connections, &controller->tid, controller->is_discovery, now_ns,
				    &connection);
	if (r != 0)
		return r;
	/* While a child runs, its result tells. A second controller of one address is not ours to
	 * judge. */
	if (!connection->running && connection->controller[0] == '\0')
		connections_adopt(connections, connection, controller, now_ns);
	return 0;
}

void connections_gone(struct connections *connections, const char *name, uint64_t now_ns)
{
	struct connection *connection = connections_find_controller(connections, name);
	struct decision *decision;

	if (connection == NULL)
		return;
	connections_attach(connection, NULL);
	if (connection->running)
		return;
	if (!CONNECTION_WANTED(connection->sources) && !connection->forgotten) {
		connections_drop(connections, connection);
		return;
	}
	connections_enter(connection, CONNECTION_FAILED, now_ns);
	if (connection->forgotten)
		return;
	connection->error = -ENOTCONN;
	connection->retry_ns = backoff_down(&connection->backoff, now_ns);
	connections_set_give_up(connections, connection, now_ns);
	connections_set_why(connection, "its controller is gone");
	decision = connections_tell(connections, connection, KIND(CONNECT_RETRY),
				    "its controller is gone");
	if (decision != NULL)
		decision->retry_ms = connections_ms(now_ns, connection->retry_ns);
}

void connections_unheard(struct connections *connections, uint64_t now_ns)
{
	for (size_t i = 0; i < connections->n; i++)
		if (connections->items[i]->controller[0] != '\0')
			connections_poke(connections, connections->items[i], "events were lost",
					 false, now_ns);
}

/* What is due. */

static bool connections_may_try(const struct connections *connections,
				const struct connection *connection)
{
	if (connection->running || connection->retry_ns == CONNECTION_NEVER)
		return false;
	return connection->demanded || (connections->options.autoconnect && !connection->forgotten);
}

static void connections_start(struct connections *connections, struct connection *connection,
			      uint64_t now_ns)
{
	bool is_discovery = connection->is_discovery;
	struct decision *decision;

	connection->attempts++;
	connections_enter(connection, is_discovery ? CONNECTION_DISCOVERING : CONNECTION_CONNECTING,
			  now_ns);
	decision = decisions_add(&connections->decisions,
				 is_discovery ? DECISION_DISCOVER : DECISION_CONNECT, connection,
				 is_discovery ? KIND(DISCOVERY_STARTED) : KIND(CONNECT_STARTED));
	if (decision == NULL) { /* no memory: later */
		connection->retry_ns = now_ns + connections->options.backoff_base_ns;
		return;
	}
	snprintf(decision->reason, sizeof(decision->reason), "%s", connection->why);
	connection->running = connection->holds_slot = true;
	connection->demanded = false;
	connection->queued = 0;
	connection->start_ns = now_ns;
	connection->retry_ns = CONNECTION_NEVER;
	connections->n_jobs++;
	if (is_discovery)
		connections->counters.discoveries++;
	else
		connections->counters.connects++;
}

/* The one that has waited longest, so that none starves behind those that fail fast. */
static struct connection *connections_pick(const struct connections *connections, uint64_t now_ns,
					   uint64_t *ret_next_ns)
{
	struct connection *picked = NULL;

	*ret_next_ns = CONNECTION_NEVER;
	for (size_t i = 0; i < connections->n; i++) {
		struct connection *connection = connections->items[i];

		if (!connections_may_try(connections, connection))
			continue;
		if (connection->retry_ns > now_ns) {
			if (connection->retry_ns < *ret_next_ns)
				*ret_next_ns = connection->retry_ns;
		} else if (picked == NULL || connection->retry_ns < picked->retry_ns) {
			picked = connection;
		}
	}
	return picked;
}

uint64_t connections_tick(struct connections *connections, uint64_t now_ns)
{
	uint64_t next_ns;
	struct connection *due = connections_pick(connections, now_ns, &next_ns);

	/* With all slots taken the end of a child is the next occasion. */
	while (due != NULL && connections->n_jobs < connections->options.max_jobs) {
		connections_start(connections, due, now_ns);
		due = connections_pick(connections, now_ns, &next_ns);
	}
	return next_ns;
}

void connections_stuck(struct connections *connections, struct connection *connection,
		       uint64_t now_ns)
{
	unsigned event = connection->is_discovery ? KIND(DISCOVERY_STUCK) : KIND(CONNECT_STUCK);
	struct decision *decision;
	unsigned n_stuck = 0;

	if (!connection->running || connection->stuck)
		return;
	for (size_t i = 0; i < connections->n; i++)
		n_stuck += connections->items[i]->stuck && !connections->items[i]->holds_slot;
	connection->stuck = true;
	if (n_stuck < CONNECTIONS_MAX_STUCK) {
		connection->holds_slot = false;
		connections->n_jobs--;
	}
	connections->counters.stuck++;
	decision = connections_tell(connections, connection, event,
				    "past its deadline; killed, and not waited for");
	if (decision != NULL)
		decision->duration_ms = connections_ms(connection->start_ns, now_ns);
}

void connections_clean_up(struct connections *connections, const char *reason, uint64_t now_ns)
{
	/* Discovery controllers last: they are what could still tell. */
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < connections->n; i++) {
			struct connection *connection = connections->items[i];
			struct decision *decision;

			if (!connection->ours || connection->controller[0] == '\0' ||
			    connection->is_discovery != (pass == 1))
				continue;
			decision = decisions_add(&connections->decisions, DECISION_DISCONNECT,
						 connection, KIND(DISCONNECTED));
			if (decision == NULL)
				continue;
			snprintf(decision->reason, sizeof(decision->reason), "%s", reason);
			decision->duration_ms = connections_ms(connection->since_ns, now_ns);
			connections->counters.disconnects++;
		}
	}
}
