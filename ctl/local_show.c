/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/counter.h"
#include "core/id.h"
#include "ctl/local.h"
#include "ctl/table.h"
#include "ctl/when.h"

static const char *const local_collector_titles[] = { "COLLECTOR", "STATE",	"EVENTS",
						      "FILTERED",  "LOST",	"GAPS",
						      "REOPENED",  "INTERFACE", "REASON" };
static const char *const local_stats_titles[] = { "VALUE", "NAME", "HELP" };

static void local_show_forwarder(struct cli *cli, const Pathbell__V1__LocalForwarder *forwarder)
{
	char age[WHEN_TEXT_SIZE];
	uint64_t now_ns = clock_realtime_ns();

	output_line(&cli->out, "%-16s %s: %s%s%s%s%s%s%s", "forwarder", forwarder->name,
		    forwarder->state, *forwarder->address ? " " : "", forwarder->address,
		    *forwarder->cause ? ", " : "", forwarder->cause, *forwarder->detail ? ": " : "",
		    forwarder->detail);
	when_format_age(forwarder->oldest_unacked_unix_ns, now_ns, age);
	output_line(&cli->out,
		    "%-16s %" PRIu64 " acked, %" PRIu64 " unacked%s%s, %" PRIu64
		    " reconnects, %" PRIu64 " restarts, pid %u",
		    "", forwarder->acked, forwarder->unacked,
		    forwarder->oldest_unacked_unix_ns ? ", oldest " : "",
		    forwarder->oldest_unacked_unix_ns ? age : "", forwarder->reconnects,
		    forwarder->restarts, forwarder->pid);
	if (!forwarder->certificate_not_after_unix_ns)
		return;
	when_format_age(forwarder->certificate_not_after_unix_ns, now_ns, age);
	output_line(&cli->out, "%-16s certificate %s %s", "",
		    forwarder->certificate_not_after_unix_ns <= now_ns ? "EXPIRED" : "ends", age);
}

static void local_show_spool(struct cli *cli, const Pathbell__V1__LocalSpool *spool)
{
	char epoch[ID_TEXT_SIZE] = "-";

	if (spool->epoch.len == ID_SIZE)
		id_format(spool->epoch.data, epoch);
	output_line(&cli->out, "%-16s %s, epoch %s", "spool", *spool->state ? spool->state : "ok",
		    epoch);
	output_line(&cli->out,
		    "%-16s %" PRIu64 " captured = %" PRIu64 " acked + %" PRIu64
		    " unacked + %" PRIu64 " tombstoned",
		    "", spool->captured, spool->acked, spool->unacked, spool->tombstoned);
	output_line(&cli->out,
		    "%-16s %.1f of %.1f MiB in %u segments, durable up to %" PRIu64 " of %" PRIu64,
		    "", (double)spool->bytes_used / 1048576.0,
		    (double)spool->bytes_limit / 1048576.0, spool->segments, spool->durable_seq,
		    spool->tail_seq);
	if (spool->corrupt_records)
		output_line(&cli->out, "%-16s %" PRIu64 " corrupt records", "",
			    spool->corrupt_records);
}

void local_show_status(struct cli *cli, const Pathbell__V1__LocalStatus *status)
{
	char started[WHEN_TEXT_SIZE];
	char age[WHEN_TEXT_SIZE];

	when_format(status->started_unix_ns, cli->out.utc, started);
	when_format_age(status->started_unix_ns, clock_realtime_ns(), age);
	output_line(&cli->out, "%-16s %s", "host", status->host_id);
	output_line(&cli->out, "%-16s %s, pid %u, since %s (%s)", "agent", status->version,
		    status->pid, started, age);
	output_line(&cli->out, "%-16s %s, generation %u", "configuration", status->config_file,
		    status->config_generation);
	if (*status->config_error)
		output_line(&cli->out, "%-16s REFUSED, the last good one is in effect: %s", "",
			    status->config_error);
	for (size_t i = 0; i < status->n_forwarders; i++)
		local_show_forwarder(cli, status->forwarders[i]);
	if (status->spool)
		local_show_spool(cli, status->spool);
	output_line(&cli->out, "%-16s %" PRIu64 " executed, %" PRIu64 " refused%s%s", "commands",
		    status->commands_executed, status->commands_refused,
		    *status->command_hold ? "; HELD: " : "", status->command_hold);
}

void local_show_collectors(struct cli *cli, const Pathbell__V1__LocalCollectors *collectors)
{
	struct table table;

	table_init(&table, local_collector_titles,
		   sizeof(local_collector_titles) / sizeof(local_collector_titles[0]));
	for (size_t i = 0; i < collectors->n_collectors; i++) {
		const Pathbell__V1__LocalCollector *row = collectors->collectors[i];

		table_cell(&table, "%s", row->name);
		table_cell(&table, "%s", row->state);
		table_cell(&table, "%" PRIu64, row->events);
		table_cell(&table, "%" PRIu64, row->filtered);
		table_cell(&table, "%" PRIu64, row->lost);
		table_cell(&table, "%" PRIu64, row->gaps);
		table_cell(&table, "%" PRIu64, row->reopened);
		table_cell(&table, "%s", row->interface);
		table_cell(&table, "%s", row->reason);
	}
	table_print(&table, &cli->out);
	table_deinit(&table);
}

void local_show_stats(struct cli *cli, const Pathbell__V1__LocalStats *stats)
{
	struct table table;

	table_init(&table, local_stats_titles,
		   sizeof(local_stats_titles) / sizeof(local_stats_titles[0]));
	for (size_t i = 0; i < stats->n_counters; i++) {
		table_cell(&table, "%" PRIu64, stats->counters[i]->value);
		table_cell(&table, "%s", stats->counters[i]->name);
		table_cell(&table, "%s", stats->counters[i]->help);
	}
	table_print(&table, &cli->out);
	table_deinit(&table);
}

void local_show_log(struct cli *cli, const Pathbell__V1__LocalLog *log)
{
	for (size_t i = 0; i < log->n_lines; i++)
		output_line(&cli->out, "%s", log->lines[i]);
}

/* ---- Prometheus ---- */

/* A metric name (data model: [a-zA-Z_:][a-zA-Z0-9_:]*), perhaps with labels in braces behind it. */
static bool local_is_metric(const char *name, size_t *ret_len)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_:0123456789";
	size_t len = strspn(name, allowed);

	*ret_len = len;
	return len > 0 && (name[0] < '0' || name[0] > '9') &&
	       (name[len] == '\0' || name[len] == '{') && !strpbrk(name, "\n\r");
}

static bool local_same_metric(const char *a, size_t a_len, const char *b)
{
	size_t b_len = 0;

	return local_is_metric(b, &b_len) && a_len == b_len && memcmp(a, b, a_len) == 0;
}

static int local_metric(const Pathbell__V1__LocalStats *stats, size_t first, size_t len,
			struct buf *out)
{
	const char *name = stats->counters[first]->name;
	bool total = len > 6 && memcmp(name + len - 6, "_total", 6) == 0;
	char *base = strndup(name, len);
	int r;

	if (!base)
		return -1;
	r = counter_render_header(out, base, stats->counters[first]->help,
				  total ? COUNTER_TYPE_COUNTER : COUNTER_TYPE_GAUGE);
	free(base);
	for (size_t i = first; r == 0 && i < stats->n_counters; i++) {
		if (local_same_metric(name, len, stats->counters[i]->name))
			r = buf_printf(out, "%s %" PRIu64 "\n", stats->counters[i]->name,
				       stats->counters[i]->value);
	}
	return r;
}

static bool local_seen(const Pathbell__V1__LocalStats *stats, size_t end, size_t len)
{
	for (size_t i = 0; i < end; i++) {
		if (local_same_metric(stats->counters[end]->name, len, stats->counters[i]->name))
			return true;
	}
	return false;
}

int local_prometheus(const Pathbell__V1__LocalStats *stats, struct buf *out)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < stats->n_counters; i++) {
		size_t len = 0;

		if (local_is_metric(stats->counters[i]->name, &len) && !local_seen(stats, i, len))
			r = local_metric(stats, i, len, out);
	}
	return r;
}
