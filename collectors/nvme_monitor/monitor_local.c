/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "collectors/nvme_monitor/monitor.h"
#include "core/clock.h"
#include "core/fd.h"
#include "core/log.h"
#include "proto/kind.h"

/* What the control socket and commands ask for. */

void nvme_monitor_set_mode(struct nvme_monitor *monitor, enum nvme_monitor_mode mode)
{
	bool on = mode == NVME_MONITOR_AUTOCONNECT;
	uint64_t now_ns = clock_monotonic_ns();

	if (on == monitor->autoconnect)
		return;
	log_write(LOG_LEVEL_NOTICE, "mode %s collector=nvme_monitor",
		  on ? "autoconnect" : "observe");
	monitor->autoconnect = on;
	connections_set_autoconnect(&monitor->connections, on, now_ns);
	if (on) {
		monitor->wants_mask = true;
		monitor->wants_kick = monitor->config->fc_kickstart;
		monitor_watch_files(monitor);
		/* One that still runs was begun before: what it brings is looked at again. */
		monitor->files_due_ns = now_ns;
	} else {
		monitor->inotify = fd_close(monitor->inotify);
		monitor->files_due_ns = UINT64_MAX;
		monitor_unmask(monitor, "told to observe", false);
	}
	monitor_wake(monitor);
}

/* What a command or an operator asks for. */
static int monitor_want(struct nvme_monitor *monitor, const struct tid *asked, bool is_discovery,
			struct connection **ret_connection)
{
	struct tid tid = *asked;
	int r;

	tid_normalise(&tid);
	monitor_wake(monitor);
	r = connections_want(&monitor->connections, &tid, is_discovery, CONNECTION_COMMAND,
			     clock_monotonic_ns(), ret_connection);
	return r == CONNECTIONS_E_FULL ? NVME_MONITOR_E_FULL : r;
}

int nvme_monitor_discover(struct nvme_monitor *monitor, const struct tid *tid)
{
	struct connection *connection;
	int r = monitor_want(monitor, tid, true, &connection);

	if (r == 0)
		connections_poke(&monitor->connections, connection, "asked for by an operator",
				 true, clock_monotonic_ns());
	return r;
}

int nvme_monitor_want(struct nvme_monitor *monitor, const struct tid *tid)
{
	struct connection *connection;

	return monitor_want(monitor, tid, tid->discovery || tid_is_discovery_nqn(tid->nqn),
			    &connection);
}

int nvme_monitor_forget(struct nvme_monitor *monitor, const struct tid *asked, const char *reason)
{
	struct connections *connections = &monitor->connections;
	struct tid tid = *asked;
	struct connection *connection;

	tid_normalise(&tid);
	connection =
		connections_find(connections, &tid, tid.discovery || tid_is_discovery_nqn(tid.nqn));
	if (connection == NULL)
		return NVME_MONITOR_E_UNKNOWN;
	connections_forget(connections, connection, reason, clock_monotonic_ns());
	monitor_wake(monitor);
	return 0;
}

/* The registry for people. */

struct monitor_view {
	const struct nvme_monitor *monitor;
	struct arena *arena;
	uint64_t now_ns, unix_ns;
	size_t left; /* bytes */
};

static uint64_t monitor_unix(const struct monitor_view *view, uint64_t when_ns)
{
	if (when_ns == CONNECTION_NEVER)
		return 0;
	return view->unix_ns + (when_ns - view->now_ns); /* wraps to the past as well */
}

static char *monitor_address(const struct monitor_view *view, const struct connection *connection)
{
	char text[TID_TEXT] = "";

	if (connection != NULL)
		tid_format(&connection->tid, text, sizeof(text));
	return text[0] != '\0' ? arena_strdup(view->arena, text) : (char *)"";
}

static const char *monitor_error(const struct connection *connection)
{
	if (connection->stuck)
		return "past its deadline, its child does not end";
	return connection->error < 0 ? log_errno(connection->error) : "";
}

static Pathbell__V1__LocalNvmeConnection *monitor_describe_one(const struct monitor_view *view,
							       const struct connection *connection)
{
	const struct connections *connections = &view->monitor->connections;
	Pathbell__V1__LocalNvmeConnection *row = arena_alloc(view->arena, sizeof(*row));

	if (row == NULL)
		return NULL;
	pathbell__v1__local_nvme_connection__init(row);
	row->transport_address = monitor_address(view, connection);
	row->discovered_from = monitor_address(
		view,
		connection->from != 0 ? connections_find_id(connections, connection->from) : NULL);
	row->error = arena_strdup(view->arena, monitor_error(connection));
	row->nqn = (char *)connection->tid.nqn;
	row->state = (char *)connection_state_name(connection->state);
	row->desired_by = (char *)connection_desired_by(connection->sources);
	row->controller = (char *)connection->controller;
	row->owner = (char *)connection->owner;
	row->discovery_controller = connection->is_discovery;
	row->persistent = connection->persistent;
	row->ours = connection->ours;
	row->attempts = connection->attempts;
	/* Observing, only what an operator asked for is tried. */
	if (view->monitor->autoconnect || connection->demanded)
		row->retry_unix_ns = monitor_unix(view, connection->retry_ns);
	row->give_up_unix_ns = monitor_unix(view, connection->give_up_ns);
	row->since_unix_ns = monitor_unix(view, connection->since_ns);
	row->queued = connection->queued;
	row->genctr = connection->genctr;
	if (row->transport_address == NULL || row->discovered_from == NULL || row->error == NULL)
		return NULL;
	return row;
}

static bool monitor_describe_connections(struct monitor_view *view, Pathbell__V1__LocalNvme *local)
{
	const struct connections *connections = &view->monitor->connections;
	const size_t most = 1024; /* LocalNvme.connections */

	local->connections = arena_alloc(view->arena, (connections->n + 1) * sizeof(void *));
	if (local->connections == NULL)
		return false;
	for (size_t i = 0; i < connections->n; i++) {
		Pathbell__V1__LocalNvmeConnection *row =
			monitor_describe_one(view, connections->items[i]);
		size_t size;

		if (row == NULL)
			return false;
		size = pathbell__v1__local_nvme_connection__get_packed_size(row) + 8;
		if (size > view->left || local->n_connections == most) {
			local->not_shown = (uint32_t)(connections->n - i);
			return true;
		}
		view->left -= size;
		local->connections[local->n_connections++] = row;
	}
	return true;
}

/* The newest that fit, oldest first. */
static bool monitor_describe_decisions(struct monitor_view *view, size_t n_wanted,
				       Pathbell__V1__LocalNvme *local)
{
	const struct decision_log *log = &view->monitor->log;
	size_t first = log->n, n = log->n < n_wanted ? log->n : n_wanted;

	while (first > log->n - n) {
		const struct decision_log_entry *entry = decision_log_get(log, first - 1);
		size_t size = strlen(decision_log_text(entry, 0)) +
			      strlen(decision_log_text(entry, 1)) +
			      strlen(decision_log_text(entry, 2)) + 64;

		if (size > view->left)
			break;
		view->left -= size;
		first--;
	}
	local->decisions = arena_alloc(view->arena, (log->n - first + 1) * sizeof(void *));
	for (size_t i = first; local->decisions != NULL && i < log->n; i++) {
		const struct decision_log_entry *entry = decision_log_get(log, i);
		Pathbell__V1__LocalNvmeDecision *row = arena_alloc(view->arena, sizeof(*row));

		if (row == NULL)
			return false;
		pathbell__v1__local_nvme_decision__init(row);
		row->unix_ns = entry->unix_ns;
		row->kind = (char *)kind_name(entry->event);
		row->transport_address = (char *)decision_log_text(entry, 0);
		row->nqn = (char *)decision_log_text(entry, 1);
		row->reason = (char *)decision_log_text(entry, 2);
		local->decisions[local->n_decisions++] = row;
	}
	return local->decisions != NULL;
}

bool nvme_monitor_describe(const struct nvme_monitor *monitor, size_t n_decisions, size_t max_size,
			   struct arena *arena, Pathbell__V1__LocalNvme *local)
{
	struct monitor_view view = { .monitor = monitor,
				     .arena = arena,
				     .now_ns = clock_monotonic_ns(),
				     .unix_ns = clock_realtime_ns(),
				     .left = max_size };

	local->mode = (char *)(monitor->autoconnect ? "autoconnect" : "observe");
	local->persistent = monitor->config->persistent;
	local->keep = monitor->config->keep;
	local->rules = (char *)(monitor->masked > 0			       ? "masked"
				: monitor->autoconnect && monitor->rules_known ? "absent"
									       : "unmasked");
	local->children = (uint32_t)monitor->children.n;
	return n_decisions > 0 ? monitor_describe_decisions(&view, n_decisions, local)
			       : monitor_describe_connections(&view, local);
}

bool nvme_monitor_counter(const struct nvme_monitor *monitor, size_t index,
			  struct nvme_monitor_counter *ret_counter)
{
	const struct connections *connections = &monitor->connections;
	const struct connections_counters *counters = &connections->counters;
	const struct nvme_monitor_counter rows[] = {
		{ "connections", "Addresses and controllers that are known.", connections->n },
		{ "children", "Children that run.", monitor->children.n },
		{ "discoveries_total", "Discoveries begun.", counters->discoveries },
		{ "discoveries_failed_total", "Discoveries that failed.",
		  counters->discoveries_failed },
		{ "connects_total", "Connects begun.", counters->connects },
		{ "connects_failed_total", "Connects that failed.", counters->connects_failed },
		{ "stuck_total", "Children past their deadline.", counters->stuck },
		{ "adopted_total", "Controllers found, not made.", counters->adopted },
		{ "skipped_total", "Connects left out: excluded.", counters->skipped },
		{ "queued_total", "Events that came while their discovery ran.", counters->queued },
		{ "given_up_total", "Discovered addresses given up.", counters->given_up },
		{ "forgotten_total", "Addresses that nobody wants any more.", counters->forgotten },
		{ "disconnects_total", "Controllers deleted by the monitor.",
		  counters->disconnects },
		{ "referrals_total", "Referrals read.", counters->referrals },
		{ "referral_loops_total", "Referrals that lead back.", counters->referral_loops },
		{ "referrals_too_deep_total", "Referrals not followed because of their depth.",
		  counters->referrals_too_deep },
		{ "refused_total", "Addresses above max_connections.", counters->refused },
	};

	if (index >= sizeof(rows) / sizeof(rows[0]))
		return false;
	*ret_counter = rows[index];
	return true;
}
