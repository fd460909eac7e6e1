/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/stats.h"
#include "core/log.h"

/* Answers on the control socket. What a response points to lives in the arena, or is the agent's
 * own. */
#define LOCAL_LOG_LINES 100
#define LOCAL_LOG_MAX	1000
#define LOCAL_LOG_BYTES (96 * 1024) /* newest lines within it: the answer is one packet */

static char *local_text(const char *text)
{
	return (char *)(text ? text : "");
}

static char *local_copy(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);

	return local_text(copy);
}

static Pathbell__V1__LocalForwarder *local_forwarder(const struct agent *agent, struct arena *arena)
{
	Pathbell__V1__LocalForwarder *local = arena_alloc(arena, sizeof(*local));
	struct forwarder_status status;

	if (!local)
		return NULL;
	pathbell__v1__local_forwarder__init(local);
	forwarder_status(agent->forwarder, &status);
	local->name = (char *)"uplink";
	local->state = local_text(forwarder_state_name(status.state));
	local->cause = local_copy(arena, status.cause);
	local->detail = local_copy(arena, status.detail);
	local->address = local_copy(arena, status.address);
	local->pid = status.pid;
	local->acked = status.cursor.acked;
	local->unacked = status.cursor.unacked;
	local->restarts = status.restarts;
	local->reconnects = status.reconnects;
	local->certificate_not_after_unix_ns = status.certificate_not_after_unix_ns;
	local->oldest_unacked_unix_ns = status.cursor.oldest_unacked_unix_ns;
	return local;
}

static Pathbell__V1__LocalSpool *local_spool(const struct agent *agent, struct arena *arena)
{
	Pathbell__V1__LocalSpool *local = arena_alloc(arena, sizeof(*local));
	struct spool_stats *stats = arena_alloc(arena, sizeof(*stats));

	if (!local || !stats)
		return NULL;
	pathbell__v1__local_spool__init(local);
	spool_stats(agent->spool, stats);
	local->epoch.data = stats->epoch;
	local->epoch.len = sizeof(stats->epoch);
	local->captured = stats->captured;
	local->acked = stats->acked;
	local->unacked = stats->unacked;
	local->tombstoned = stats->tombstoned;
	local->bytes_used = stats->bytes_used;
	local->bytes_limit = agent->settings->spool.max_bytes;
	local->segments = stats->segments;
	local->state = stats->degraded ? stats->degraded_reason : (char *)"ok";
	local->corrupt_records = stats->corrupt_records;
	local->durable_seq = stats->durable_seq;
	local->tail_seq = stats->tail_seq;
	return local;
}

static void local_status_commands(const struct agent *agent, Pathbell__V1__LocalStatus *status)
{
	const struct commands_counters *counters;

	if (!agent->commands) {
		status->command_hold = local_text(agent->commands_error);
		return;
	}
	counters = commands_counters(agent->commands);
	status->command_hold = local_text(commands_hold(agent->commands));
	status->commands_executed = counter_get(&counters->accepted);
	status->commands_refused =
		counter_get(&counters->refused) + counter_get(&counters->rate_limited);
}

static bool local_status(struct agent *agent, Pathbell__V1__LocalResponse *response,
			 struct arena *arena)
{
	Pathbell__V1__LocalStatus *status = arena_alloc(arena, sizeof(*status));

	if (!status)
		return false;
	pathbell__v1__local_status__init(status);
	status->version = local_text(PATHBELL_VERSION);
	status->host_id = local_text(agent->settings->host_id);
	status->pid = (uint32_t)getpid();
	status->started_unix_ns = agent->started_unix_ns;
	status->config_file = local_text(agent->config_path);
	status->config_generation = agent->config_generation;
	status->config_error = agent->config_error;
	status->spool = local_spool(agent, arena);
	local_status_commands(agent, status);
	if (agent->forwarder) {
		status->forwarders = arena_alloc(arena, sizeof(void *));
		if (!status->forwarders)
			return false;
		status->forwarders[0] = local_forwarder(agent, arena);
		status->n_forwarders = status->forwarders[0] != NULL;
	}
	response->response_case = PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_STATUS;
	response->status = status;
	return status->spool != NULL;
}

static void local_fill_collector(const struct agent *agent, size_t index, struct arena *arena,
				 Pathbell__V1__LocalCollector *local)
{
	struct guard_status status = { .reason = "not enabled" };

	if (agent->collectors[index].guard)
		guard_status(agent->collectors[index].guard, &status);
	local->name = local_text(registry[index]->name);
	local->state = agent->collectors[index].guard ? local_text(guard_state_name(status.state))
						      : (char *)"off";
	local->reason = local_copy(arena, status.reason);
	local->events = status.events;
	local->lost = status.lost;
	local->gaps = status.gaps;
	local->reopened = status.reopened;
	local->interface = local_text(registry[index]->help);
}

static bool local_collectors(struct agent *agent, Pathbell__V1__LocalResponse *response,
			     struct arena *arena)
{
	Pathbell__V1__LocalCollectors *list = arena_alloc(arena, sizeof(*list));
	Pathbell__V1__LocalCollector *rows = arena_alloc(arena, registry_n * sizeof(*rows));
	Pathbell__V1__LocalCollector **pointers = arena_alloc(arena, registry_n * sizeof(void *));

	if (!list || !rows || !pointers)
		return false;
	pathbell__v1__local_collectors__init(list);
	list->collectors = pointers;
	for (size_t i = 0; i < registry_n; i++) {
		if (!registry[i])
			continue;
		pathbell__v1__local_collector__init(&rows[i]);
		local_fill_collector(agent, i, arena, &rows[i]);
		list->collectors[list->n_collectors++] = &rows[i];
	}
	response->response_case = PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_COLLECTORS;
	response->collectors = list;
	return true;
}

static bool local_stats(struct agent *agent, Pathbell__V1__LocalResponse *response,
			struct arena *arena)
{
	Pathbell__V1__LocalStats *stats = arena_alloc(arena, sizeof(*stats));
	struct stats_row *rows = arena_alloc(arena, STATS_MAX * sizeof(*rows));
	Pathbell__V1__LocalCounter *counters = arena_alloc(arena, STATS_MAX * sizeof(*counters));

	if (!stats || !rows || !counters)
		return false;
	pathbell__v1__local_stats__init(stats);
	stats->n_counters = stats_collect(agent, rows, STATS_MAX);
	stats->counters = arena_alloc(arena, stats->n_counters * sizeof(void *));
	if (!stats->counters)
		return false;
	for (size_t i = 0; i < stats->n_counters; i++) {
		pathbell__v1__local_counter__init(&counters[i]);
		counters[i].name = rows[i].name;
		counters[i].value = rows[i].value;
		counters[i].help = local_text(rows[i].help);
		counters[i].unit = local_text(rows[i].unit);
		stats->counters[i] = &counters[i];
	}
	response->response_case = PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_STATS;
	response->stats = stats;
	return true;
}

/* The newest @n lines that fit, oldest first. */
static bool local_take_lines(char **lines, size_t n, Pathbell__V1__LocalLog *log,
			     struct arena *arena)
{
	size_t first = n, bytes = 0;

	while (first > 0) {
		bytes += strlen(lines[first - 1]) + 8;
		if (bytes > LOCAL_LOG_BYTES)
			break;
		first--;
	}
	log->lines = arena_alloc(arena, (n - first + 1) * sizeof(log->lines[0]));
	for (size_t i = first; log->lines && i < n; i++)
		log->lines[log->n_lines++] = local_copy(arena, lines[i]);
	return log->lines != NULL;
}

static bool local_log(const Pathbell__V1__LocalLogRequest *request,
		      Pathbell__V1__LocalResponse *response, struct arena *arena)
{
	Pathbell__V1__LocalLog *log = arena_alloc(arena, sizeof(*log));
	size_t max = request->lines ? request->lines : LOCAL_LOG_LINES, n;
	char **lines;
	bool taken;

	if (max > LOCAL_LOG_MAX)
		max = LOCAL_LOG_MAX;
	lines = calloc(max, sizeof(*lines));
	if (!log || !lines) {
		free(lines);
		return false;
	}
	pathbell__v1__local_log__init(log);
	n = log_recent(lines, max);
	taken = local_take_lines(lines, n, log, arena);
	for (size_t i = 0; i < n; i++)
		free(lines[i]);
	free(lines);
	response->response_case = PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_LOG;
	response->log = log;
	return taken;
}

void agent_answer(void *data, bool may_change, const Pathbell__V1__LocalRequest *request,
		  Pathbell__V1__LocalResponse *response, struct arena *arena)
{
	struct agent *agent = data;
	bool answered;

	switch (request->request_case) {
	case PATHBELL__V1__LOCAL_REQUEST__REQUEST_STATUS:
		answered = local_status(agent, response, arena);
		break;
	case PATHBELL__V1__LOCAL_REQUEST__REQUEST_COLLECTORS:
		answered = local_collectors(agent, response, arena);
		break;
	case PATHBELL__V1__LOCAL_REQUEST__REQUEST_STATS:
		answered = local_stats(agent, response, arena);
		break;
	case PATHBELL__V1__LOCAL_REQUEST__REQUEST_LOG:
		answered = local_log(request->log, response, arena);
		break;
	case PATHBELL__V1__LOCAL_REQUEST__REQUEST_NVME:
		answered = agent_answer_nvme(agent, may_change, request->nvme, response, arena);
		break;
	case PATHBELL__V1__LOCAL_REQUEST__REQUEST_KEYS:
		answered = agent_answer_keys(agent, response, arena);
		break;
	case PATHBELL__V1__LOCAL_REQUEST__REQUEST_AUDIT:
		answered = agent_answer_audit(agent, request->audit, response, arena);
		break;
	default:
		response->error = (char *)"unknown request";
		return;
	}
	if (answered)
		return;
	pathbell__v1__local_response__init(response);
	response->error = (char *)"out of memory";
}
