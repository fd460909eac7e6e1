/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/metrics.h"

#include <inttypes.h>
#include <stddef.h>

#include "core/log.h"
#include "proto/kind.h"

#define COUNTER(name_, help_, field_)                                                              \
	{                                                                                          \
		.name = "pathbell_aggregator_" name_, .help = help_, .type = COUNTER_TYPE_COUNTER, \
		.offset = offsetof(struct metrics, field_)                                         \
	}
#define GAUGE(name_, help_, field_)                                                              \
	{                                                                                        \
		.name = "pathbell_aggregator_" name_, .help = help_, .type = COUNTER_TYPE_GAUGE, \
		.offset = offsetof(struct metrics, field_)                                       \
	}
#define REFUSED(cause_, field_)                                                      \
	{                                                                            \
		.name = "pathbell_aggregator_refused_total",                         \
		.help = "Sessions and calls that were refused or closed, by cause.", \
		.labels = "cause=\"" cause_ "\"", .type = COUNTER_TYPE_COUNTER,      \
		.offset = offsetof(struct metrics, field_)                           \
	}

static const struct counter_desc metrics_table[] = {
	GAUGE("ready", "1 while the last commit to the store worked.", ready),
	GAUGE("hosts_connected", "Hosts with an open Events stream.", hosts_connected),
	GAUGE("event_sessions", "Open Events streams.", sessions_events),
	GAUGE("control_sessions", "Open Control streams.", sessions_control),
	COUNTER("sessions_total", "Events streams that said hello.", sessions_total),
	COUNTER("batches_total", "Batches received.", batches),
	COUNTER("batch_bytes_total", "Bytes of messages that carried a batch.", batch_bytes),
	COUNTER("heartbeats_total", "Heartbeats of hosts.", heartbeats),
	COUNTER("acks_total", "Acknowledgements sent, each after its commit.", acks),
	COUNTER("holds_total", "Times a stream was held back because the store was behind.", holds),
	COUNTER("events_stored_total", "Events stored.", events_stored),
	COUNTER("events_duplicate_total", "Events that were stored already.", events_duplicate),
	COUNTER("events_conflicting_total", "Duplicates with other content: integrity alarms.",
		events_conflicting),
	COUNTER("events_rejected_total", "Events kept as integrity alarms, not as events.",
		events_rejected),
	COUNTER("events_tombstoned_total", "Events that hosts declared gone.", events_tombstoned),
	COUNTER("events_declared_lost_total",
		"Events below what a host could still send, unknown to this store.", declared_lost),
	COUNTER("events_retired_total", "Events deleted by retention.", events_retired),
	COUNTER("resends_total", "Resend requests.", resends),
	COUNTER("mark_regressions_total", "Hosts that had more acknowledged than the store holds.",
		mark_regressions),
	COUNTER("commits_total", "Commits of the store.", commits),
	COUNTER("commit_failures_total", "Commits that failed and were tried again.",
		commit_failures),
	GAUGE("store_bytes", "Bytes of the store in use.", store_bytes),
	GAUGE("queue_jobs", "Writes waiting for the store.", queue_jobs),
	GAUGE("queue_bytes", "Bytes of writes waiting for the store.", queue_bytes),
	COUNTER("reads_total", "Queries of the store.", reads),
	COUNTER("reads_refused_total", "Queries refused because too many waited.", reads_refused),
	COUNTER("read_failures_total", "Queries that failed.", read_failures),
	REFUSED("identity", refused_identity),
	REFUSED("host_id_mismatch", refused_host_id),
	REFUSED("protocol", refused_protocol),
	REFUSED("fenced", refused_fenced),
	REFUSED("gap", refused_gap),
	REFUSED("limit", refused_limit),
	REFUSED("role", refused_role),
	REFUSED("unknown_method", refused_method),
	REFUSED("certificate_expired", refused_expired),
	COUNTER("calls_total", "Calls of all services.", calls),
	GAUGE("watchers", "Open WatchEvents and WatchCommands streams.", watchers),
	COUNTER("watch_refused_total", "Watches refused by the limit.", watch_refused),
	COUNTER("watch_events_total", "Events sent to watchers.", watch_events),
	COUNTER("commands_submitted_total", "Commands stored.", commands_submitted),
	COUNTER("commands_delivered_total", "Deliveries of commands to hosts.", commands_delivered),
	COUNTER("commands_expired_total", "Commands that expired before a host had them.",
		commands_expired),
	GAUGE("commands_pending", "Pairs of command and host without a receipt.", commands_pending),
	COUNTER("commands_cancelled_total",
		"Commands cancelled for hosts that had not received them.", commands_cancelled),
	GAUGE("campaigns_open", "Campaigns that are not over.", campaigns_open),
	COUNTER("campaigns_submitted_total", "Campaigns stored.", campaigns_submitted),
	COUNTER("campaign_dispatches_total", "Hosts that campaigns let through.",
		campaign_dispatches),
	COUNTER("campaign_stops_total", "Campaigns stopped by failures, a storm or the store.",
		campaign_stops),
	COUNTER("campaign_hosts_lost_total", "Dispatched hosts given up because they were silent.",
		campaign_hosts_lost),
	COUNTER("audit_refused_total", "Refused attempts to change something, recorded.",
		audit_refused),
	COUNTER("audit_suppressed_total", "Refused attempts too many to be recorded one by one.",
		audit_suppressed),
	COUNTER("audit_lost_total", "States told by hosts that are stored but not in the audit.",
		audit_lost),
	COUNTER("audit_failures_total", "Changes that were refused because they were not recorded.",
		audit_failures),
	GAUGE("certificate_not_after_seconds", "End of the aggregator's certificate, Unix time.",
	      certificate_not_after),
	COUNTER("credential_failures_total", "Times new credentials could not be loaded.",
		credential_failures),
	COUNTER("http_requests_total", "HTTP requests.", http_requests),
	COUNTER("http_refused_total", "HTTP requests answered with 4xx or 5xx.", http_refused),
	GAUGE("sse_clients", "Open event streams over HTTP.", sse_clients),
	COUNTER("reloads_total", "Configurations reloaded.", reloads),
	COUNTER("reload_failures_total", "Reloads refused; the last good one stays.",
		reload_failures),
};

static int metrics_commit_seconds(struct buf *out, const struct metrics *metrics)
{
	uint64_t ns = counter_get(&metrics->commit_ns);

	return buf_printf(out,
			  "# HELP pathbell_aggregator_commit_seconds Time of commits.\n"
			  "# TYPE pathbell_aggregator_commit_seconds summary\n"
			  "pathbell_aggregator_commit_seconds_sum %" PRIu64 ".%09" PRIu64 "\n"
			  "pathbell_aggregator_commit_seconds_count %" PRIu64 "\n",
			  ns / 1000000000, ns % 1000000000, counter_get(&metrics->commits));
}

static int metrics_lives(struct buf *out, const struct metrics *metrics)
{
	static const char name[] = "pathbell_aggregator_command_changes_total";
	int r = counter_render_header(out, name, "Changes of commands on hosts, by the new state.",
				      COUNTER_TYPE_COUNTER);

	for (unsigned life = 1; r == 0 && life <= 14; life++) {
		const char *labels[] = { "life", command_life_name(life), NULL };

		r = counter_render_sample(out, name, labels,
					  counter_get(&metrics->command_changes[life]));
	}
	return r;
}

int metrics_render(struct buf *out, const struct metrics *metrics)
{
	int r = buf_printf(out,
			   "# HELP pathbell_aggregator_build_info Version of the program.\n"
			   "# TYPE pathbell_aggregator_build_info gauge\n"
			   "pathbell_aggregator_build_info{version=\"" PATHBELL_VERSION "\"} 1\n");

	if (r == 0)
		r = counter_render(out, metrics_table,
				   sizeof(metrics_table) / sizeof(metrics_table[0]), metrics);
	if (r == 0)
		r = metrics_commit_seconds(out, metrics);
	if (r == 0)
		r = metrics_lives(out, metrics);
	if (r == 0)
		r = counter_render_header(out, "pathbell_aggregator_log_dropped_total",
					  "Lines that the log could not take.",
					  COUNTER_TYPE_COUNTER);
	if (r == 0)
		r = counter_render_sample(out, "pathbell_aggregator_log_dropped_total", NULL,
					  log_dropped());
	return r;
}
