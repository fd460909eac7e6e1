/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/stats.h"

#include <stdarg.h>
#include <stdio.h>

#include "agent/agent.h"
#include "agent/commands/audit.h"
#include "agent/commands/journal.h"
#include "collectors/nvme_monitor/nvme_monitor.h"
#include "collectors/topology/topology.h"
#include "core/log.h"
#include "proto/kind.h"

struct stats_list {
	struct stats_row *rows;
	size_t n_rows, max;
};

static void stats_add(struct stats_list *list, uint64_t value, const char *unit, const char *help,
		      const char *format, ...) __attribute__((format(printf, 5, 6)));

static void stats_add(struct stats_list *list, uint64_t value, const char *unit, const char *help,
		      const char *format, ...)
{
	struct stats_row *row;
	va_list args;

	if (list->n_rows == list->max)
		return;
	row = &list->rows[list->n_rows++];
	va_start(args, format);
	vsnprintf(row->name, sizeof(row->name), format, args);
	va_end(args);
	row->value = value;
	row->unit = unit;
	row->help = help;
}

static void stats_add_pipeline(struct stats_list *list, const struct agent *agent)
{
	const struct pipeline_counters *counters = pipeline_counters(agent->pipeline);
	const struct filter *filter = pipeline_filter(agent->pipeline);

	stats_add(list, counter_get(&counters->captured), "", "Events that collectors handed over.",
		  "pathbell_events_captured_total");
	stats_add(list, counter_get(&counters->filtered), "", "Events dropped by a filter rule.",
		  "pathbell_events_filtered_total");
	for (size_t i = 0; i < filter->n_rules; i++)
		stats_add(list, filter->rules[i].matched, "", "Events that matched a filter rule.",
			  "pathbell_filter_matched_total{rule=\"%s\"}",
			  filter->rules[i].settings->name);
	stats_add(list, counter_get(&counters->appended), "",
		  "Events given to the spool, the agent's own included.",
		  "pathbell_events_spooled_total");
	stats_add(list, counter_get(&counters->cut), "",
		  "Events that lost their raw record because of their size.",
		  "pathbell_events_cut_total");
	stats_add(list, counter_get(&counters->oversize), "",
		  "Events refused because of their size.", "pathbell_events_oversize_total");
	stats_add(list, counter_get(&counters->full), "",
		  "Times a collector was paused because the spool was full.",
		  "pathbell_pipeline_full_total");
	stats_add(list, counter_get(&counters->own_queued), "",
		  "Own events that waited for room in the spool.",
		  "pathbell_own_events_queued_total");
	stats_add(list, counter_get(&counters->own_dropped), "",
		  "Own events lost because too many waited.", "pathbell_own_events_dropped_total");
	stats_add(list, counter_get(&counters->untold), "",
		  "Events whose collector is not told of their delivery: too many are under way.",
		  "pathbell_events_untold_total");
	stats_add(list, counter_get(&counters->twins), "",
		  "Faults that ended while nobody listened, and were cleared afterwards.",
		  "pathbell_faults_cleared_unheard_total");
	stats_add(list, pipeline_faults(agent->pipeline)->n, "",
		  "Faults that were raised and are not cleared.", "pathbell_faults_open");
	stats_add(list, pipeline_faults(agent->pipeline)->untracked, "",
		  "Faults too many or too large to be remembered.",
		  "pathbell_faults_untracked_total");
}

static void stats_add_spool(struct stats_list *list, const struct agent *agent)
{
	struct spool_stats stats;

	spool_stats(agent->spool, &stats);
	stats_add(list, stats.captured, "", "Events ever appended to this spool.",
		  "pathbell_spool_captured_total");
	stats_add(list, stats.acked, "", "Of them, stored by every receiver.",
		  "pathbell_spool_acked_total");
	stats_add(list, stats.unacked, "", "Of them, not yet stored.", "pathbell_spool_unacked");
	stats_add(list, stats.tombstoned, "", "Of them, given up; a tombstone says so.",
		  "pathbell_spool_tombstoned_total");
	for (unsigned i = 0; i < 16; i++)
		if (stats.tombstoned_by_reason[i])
			stats_add(list, stats.tombstoned_by_reason[i], "",
				  "Events given up, by reason.",
				  "pathbell_spool_tombstoned_by_reason_total{reason=\"%s\"}",
				  gone_reason_name(i));
	stats_add(list, stats.bytes_used, "bytes", "Size of all segment files.",
		  "pathbell_spool_bytes");
	stats_add(list, stats.memory_used, "bytes", "Used part of the memory ring.",
		  "pathbell_spool_memory_bytes");
	stats_add(list, stats.segments, "", "Segment files.", "pathbell_spool_segments");
	stats_add(list, stats.corrupt_records, "", "Records with a bad checksum.",
		  "pathbell_spool_corrupt_records_total");
	stats_add(list, stats.syncs, "", "Calls of fdatasync.", "pathbell_spool_syncs_total");
	stats_add(list, stats.sync_ns_total, "nanoseconds", "Time spent in them.",
		  "pathbell_spool_sync_nanoseconds_total");
	stats_add(list, stats.disk_errors, "", "Failed writes and syncs.",
		  "pathbell_spool_disk_errors_total");
	stats_add(list, stats.degraded, "", "1 while the spool works without its disk.",
		  "pathbell_spool_degraded");
}

static void stats_add_collectors(struct stats_list *list, const struct agent *agent)
{
	for (size_t i = 0; i < registry_n; i++) {
		struct guard_status status;
		const char *name;

		if (!agent->collectors[i].guard)
			continue;
		name = registry[i]->name;
		guard_status(agent->collectors[i].guard, &status);
		stats_add(list, status.state == GUARD_UP, "",
			  "1 while the collector hears its source.",
			  "pathbell_collector_up{collector=\"%s\"}", name);
		stats_add(list, status.events, "", "Events of the collector.",
			  "pathbell_collector_events_total{collector=\"%s\"}", name);
		stats_add(list, status.lost, "", "Records that its source lost.",
			  "pathbell_collector_lost_total{collector=\"%s\"}", name);
		stats_add(list, status.gaps, "", "Gaps reported.",
			  "pathbell_collector_gaps_total{collector=\"%s\"}", name);
		stats_add(list, status.reopened, "", "Times the source was opened again.",
			  "pathbell_collector_reopened_total{collector=\"%s\"}", name);
	}
}

static void stats_add_nvme(struct stats_list *list, const struct agent *agent)
{
	int index = registry_find(nvme_monitor_collector.name);
	const struct nvme_monitor *monitor =
		index >= 0 && agent->collectors[index].guard
			? guard_collector(agent->collectors[index].guard)
			: NULL;
	struct nvme_monitor_counter row;

	for (size_t i = 0; monitor && nvme_monitor_counter(monitor, i, &row); i++)
		stats_add(list, row.value, "", row.help, "pathbell_nvme_%s", row.name);
}

static void stats_add_forwarder(struct stats_list *list, const struct agent *agent)
{
	struct forwarder_status status;

	if (!agent->forwarder)
		return;
	forwarder_status(agent->forwarder, &status);
	stats_add(list, status.state == FORWARDER_UP, "", "1 while a session is up.",
		  "pathbell_forwarder_up");
	stats_add(list, status.restarts, "", "Times the process was started again.",
		  "pathbell_forwarder_restarts_total");
	stats_add(list, status.sessions, "", "Sessions with an aggregator.",
		  "pathbell_forwarder_sessions_total");
	stats_add(list, status.reconnects, "", "Connections it made, as it says.",
		  "pathbell_forwarder_reconnects_total");
	stats_add(list, status.batches, "", "Batches given to the present process.",
		  "pathbell_forwarder_batches");
	stats_add(list, status.bad_acks, "", "Acknowledgements that fitted nothing.",
		  "pathbell_forwarder_bad_acks");
	stats_add(list, status.receipts_lost, "", "Receipts of commands that could not be sent.",
		  "pathbell_forwarder_receipts_lost");
	stats_add(list, status.cursor.acked, "", "Events it has brought to a store.",
		  "pathbell_forwarder_acked_total");
	stats_add(list, status.cursor.unacked, "", "Events it has still to bring.",
		  "pathbell_forwarder_unacked");
	stats_add(list, status.cursor.sent_unacked, "", "Of them, under way.",
		  "pathbell_forwarder_in_flight");
	stats_add(list, status.cursor.oldest_unacked_unix_ns, "nanoseconds",
		  "Time of the oldest of them, 0 = none.",
		  "pathbell_forwarder_oldest_unacked_unix_nanoseconds");
	stats_add(list, status.certificate_not_after_unix_ns, "nanoseconds",
		  "End of the host's certificate, 0 = not known.",
		  "pathbell_forwarder_certificate_not_after_unix_nanoseconds");
}

/* Prometheus counts buckets from the smallest on, each with all below it. */
static void stats_add_latency(struct stats_list *list, const struct agent *agent)
{
	static const char help[] = "Samples of the time from capture to the aggregator's ack.";
	const struct latency *latency = pipeline_latency(agent->pipeline);
	uint64_t count = 0;

	for (size_t i = 0; i < LATENCY_N_EDGES; i++) {
		count += latency->counts[i];
		stats_add(list, count, "", help,
			  "pathbell_capture_to_ack_seconds_bucket{le=\"%g\"}",
			  (double)latency_edges[i] / 1e9);
	}
	stats_add(list, latency->samples, "", help,
		  "pathbell_capture_to_ack_seconds_bucket{le=\"+Inf\"}");
	stats_add(list, latency->sum_ns, "nanoseconds", "Sum of those samples.",
		  "pathbell_capture_to_ack_nanoseconds_total");
}

static void stats_add_audit(struct stats_list *list, const struct agent *agent)
{
	struct audit_stats audit;

	audit_stats(commands_audit(agent->commands), &audit);
	stats_add(list, audit.records, "", "Lines of the audit.", "pathbell_audit_lines_total");
	stats_add(list, audit.dropped, "", "Lines lost because its queue was full.",
		  "pathbell_audit_dropped_total");
	stats_add(list, audit.failures, "", "Groups of lines that could not be written at once.",
		  "pathbell_audit_failures_total");
	stats_add(list, audit.rotations, "", "Times a new file was begun.",
		  "pathbell_audit_rotations_total");
	stats_add(list, audit.bytes, "bytes", "Size of the file.", "pathbell_audit_bytes");
}

static void stats_add_commands(struct stats_list *list, const struct agent *agent)
{
	const struct commands_counters *counters;
	struct journal_stats journal;

	if (!agent->commands)
		return;
	counters = commands_counters(agent->commands);
	commands_journal_stats(agent->commands, &journal);
	stats_add(list, counter_get(&counters->delivered), "",
		  "Commands that came, copies included.", "pathbell_commands_delivered_total");
	stats_add(list, counter_get(&counters->rate_limited), "",
		  "Commands not looked at because too many came.",
		  "pathbell_commands_rate_limited_total");
	stats_add(list, counter_get(&counters->unread), "",
		  "Commands whose signatures could not be checked.",
		  "pathbell_commands_unread_total");
	stats_add(list, counter_get(&counters->refused), "", "Commands refused.",
		  "pathbell_commands_refused_total");
	stats_add(list, counter_get(&counters->known), "",
		  "Copies answered with the recorded result.", "pathbell_commands_known_total");
	stats_add(list, counter_get(&counters->accepted), "", "Commands accepted.",
		  "pathbell_commands_accepted_total");
	stats_add(list, counter_get(&counters->finished), "", "Commands that succeeded.",
		  "pathbell_commands_succeeded_total");
	stats_add(list, counter_get(&counters->failed), "", "Commands that ended otherwise.",
		  "pathbell_commands_failed_total");
	stats_add(list, counter_get(&counters->indeterminate), "",
		  "Commands that a crash interrupted.", "pathbell_commands_indeterminate_total");
	stats_add(list, journal.entries, "", "Commands that the journal remembers.",
		  "pathbell_journal_entries");
	stats_add(list, journal.bytes, "bytes", "Size of the journal.", "pathbell_journal_bytes");
	stats_add(list, journal.writes, "", "Groups of records written.",
		  "pathbell_journal_writes_total");
	stats_add(list, journal.failures, "", "Groups that could not be written.",
		  "pathbell_journal_failures_total");
	stats_add(list, journal.compactions, "", "Times it was written anew.",
		  "pathbell_journal_compactions_total");
	stats_add(list, journal.dropped, "", "Commands forgotten because of their age.",
		  "pathbell_journal_dropped_total");
	stats_add_audit(list, agent);
}

size_t stats_collect(struct agent *agent, struct stats_row *ret_rows, size_t max)
{
	struct stats_list list = { ret_rows, 0, max };
	struct topology_stats topology;

	stats_add_pipeline(&list, agent);
	stats_add_collectors(&list, agent);
	stats_add_nvme(&list, agent);
	stats_add_spool(&list, agent);
	stats_add_forwarder(&list, agent);
	stats_add_latency(&list, agent);
	stats_add_commands(&list, agent);
	topology_stats(agent->topology, &topology);
	stats_add(&list, topology.n_devices, "", "Devices whose identity is remembered.",
		  "pathbell_topology_devices");
	stats_add(&list, topology.reads, "", "Devices read from sysfs.",
		  "pathbell_topology_reads_total");
	stats_add(&list, log_dropped(), "", "Log lines lost because the log was slow.",
		  "pathbell_log_dropped_total");
	return list.n_rows;
}
