/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actions/sheet.h"
#include "agent/agent.h"
#include "agent/commands/audit.h"
#include "agent/commands/keys.h"
#include "agent/stats.h"
#include "collectors/topology/topology.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"

/*
 * The agent's own sections of the verb diag: written on the loop from memory, a few hundred lines
 * of formatting. No keys, certificates or addresses of others than the aggregators.
 */
#define DESCRIBE_LOG_LINES 200
#define DESCRIBE_AUDIT	   50

static void describe_agent(struct agent *agent, struct sheet *sheet)
{
	char started[CLOCK_TEXT_SIZE], now[CLOCK_TEXT_SIZE];
	const char *hold;

	clock_format(agent->started_unix_ns, started);
	clock_format(clock_realtime_ns(), now);
	hold = agent->commands ? commands_hold(agent->commands) : agent->commands_error;
	sheet_print(sheet, "version=%s host_id=%s pid=%d first_start=%d starts=%llu\n",
		    PATHBELL_VERSION, agent->settings->host_id ? agent->settings->host_id : "none",
		    (int)getpid(), agent->first_start, (unsigned long long)agent->start_number);
	sheet_print(sheet, "now=%s started=%s clock_synchronised=%d\n", now, started,
		    clock_is_synchronised());
	sheet_print(sheet, "config=%s generation=%u error=\"%s\"\n", agent->config_path,
		    agent->config_generation, agent->config_error);
	sheet_print(sheet, "hold=\"%s\"\n", hold ? hold : "");
}

static void describe_collectors(struct agent *agent, struct sheet *sheet)
{
	for (size_t i = 0; i < registry_n; i++) {
		struct guard_status status;

		if (!registry[i])
			continue;
		if (!agent->collectors[i].guard) {
			sheet_print(sheet, "%s off\n", registry[i]->name);
			continue;
		}
		guard_status(agent->collectors[i].guard, &status);
		sheet_print(sheet,
			    "%s %s reason=\"%s\" events=%llu lost=%llu gaps=%llu reopened=%llu\n",
			    registry[i]->name, guard_state_name(status.state), status.reason,
			    (unsigned long long)status.events, (unsigned long long)status.lost,
			    (unsigned long long)status.gaps, (unsigned long long)status.reopened);
	}
}

static void describe_forwarder(struct agent *agent, struct sheet *sheet)
{
	struct forwarder_status status;

	if (!agent->forwarder) {
		sheet_print(sheet, "off\n");
		return;
	}
	forwarder_status(agent->forwarder, &status);
	sheet_print(sheet, "uplink %s cause=\"%s\" detail=\"%s\" address=%s pid=%u\n",
		    forwarder_state_name(status.state), status.cause, status.detail, status.address,
		    status.pid);
	sheet_print(sheet, "acked=%llu unacked=%llu restarts=%llu sessions=%llu reconnects=%llu\n",
		    (unsigned long long)status.cursor.acked,
		    (unsigned long long)status.cursor.unacked, (unsigned long long)status.restarts,
		    (unsigned long long)status.sessions, (unsigned long long)status.reconnects);
}

static void describe_spool(struct agent *agent, struct sheet *sheet)
{
	struct spool_stats *stats = calloc(1, sizeof(*stats));

	if (!stats)
		return;
	spool_stats(agent->spool, stats);
	sheet_print(sheet,
		    "state=\"%s\" captured=%llu acked=%llu unacked=%llu tombstoned=%llu "
		    "bytes=%llu segments=%llu corrupt=%llu durable_seq=%llu tail_seq=%llu\n",
		    stats->degraded ? stats->degraded_reason : "ok",
		    (unsigned long long)stats->captured, (unsigned long long)stats->acked,
		    (unsigned long long)stats->unacked, (unsigned long long)stats->tombstoned,
		    (unsigned long long)stats->bytes_used, (unsigned long long)stats->segments,
		    (unsigned long long)stats->corrupt_records,
		    (unsigned long long)stats->durable_seq, (unsigned long long)stats->tail_seq);
	free(stats);
}

static void describe_topology(struct agent *agent, struct sheet *sheet)
{
	struct topology_stats stats;

	topology_stats(agent->topology, &stats);
	sheet_print(sheet, "devices=%zu hits=%llu reads=%llu checks=%llu evicted=%llu\n",
		    stats.n_devices, (unsigned long long)stats.hits,
		    (unsigned long long)stats.reads, (unsigned long long)stats.checks,
		    (unsigned long long)stats.evicted);
}

static void describe_commands(struct agent *agent, struct sheet *sheet)
{
	const struct keys *keys;

	if (!agent->commands)
		return;
	keys = commands_keys(agent->commands);
	sheet_print(sheet, "keys=%zu revoked=%zu error=\"%s\"\n", keys->n_keys, keys->n_revoked,
		    keys->error);
	commands_describe(agent->commands, sheet);
}

static void describe_audit(struct agent *agent, struct sheet *sheet)
{
	const struct announce_head *head;
	const struct audit *audit;
	char hash[2 * SHA256_SIZE + 1];
	const char *line;
	uint64_t seq;

	if (!agent->commands)
		return;
	audit = commands_audit(agent->commands);
	head = audit_head(audit);
	id_hex(head->hash, SHA256_SIZE, hash);
	sheet_print(sheet, "head seq=%llu hash=%s error=\"%s\"\n", (unsigned long long)head->seq,
		    hash, audit_error(audit) ? audit_error(audit) : "");
	for (size_t i = 0; (line = audit_recent(audit, i, &seq)); i++)
		if (seq + DESCRIBE_AUDIT > head->seq)
			sheet_print(sheet, "%s\n", line);
}

static void describe_counters(struct agent *agent, struct sheet *sheet)
{
	struct stats_row *rows = calloc(STATS_MAX, sizeof(*rows));
	size_t n = rows ? stats_collect(agent, rows, STATS_MAX) : 0;

	for (size_t i = 0; i < n; i++)
		sheet_print(sheet, "%s %llu\n", rows[i].name, (unsigned long long)rows[i].value);
	free(rows);
}

static void describe_log(struct agent *agent, struct sheet *sheet)
{
	char *lines[DESCRIBE_LOG_LINES];
	size_t n = log_recent(lines, DESCRIBE_LOG_LINES);

	for (size_t i = 0; i < n; i++) {
		sheet_print(sheet, "%s\n", lines[i]);
		free(lines[i]);
	}
}

void agent_describe(void *data, const char *section, struct sheet *sheet)
{
	static const struct {
		const char *name;
		void (*write)(struct agent *agent, struct sheet *sheet);
	} rows[] = {
		{ "agent", describe_agent },
		{ "collectors", describe_collectors },
		{ "forwarder", describe_forwarder },
		{ "spool", describe_spool },
		{ "topology", describe_topology },
		{ "commands", describe_commands },
		{ "audit", describe_audit },
		{ "counters", describe_counters },
		{ "log", describe_log },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].name, section) == 0)
			rows[i].write(data, sheet);
}
