/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "core/clock.h"
#include "ctl/local.h"
#include "ctl/when.h"

#define LOCAL_NVME_DEPTH 16

static enum output_colour local_nvme_colour(const char *state)
{
	if (strcmp(state, "online") == 0)
		return OUTPUT_GREEN;
	return strcmp(state, "failed") == 0 ? OUTPUT_RED : OUTPUT_YELLOW;
}

/* What follows the address: who wants it, what went wrong, what comes next. */
static void local_nvme_detail(struct cli *cli, const Pathbell__V1__LocalNvmeConnection *row,
			      struct buf *line)
{
	char when[WHEN_TEXT_SIZE];
	uint64_t now_ns = clock_realtime_ns();

	(void)buf_printf(line, *row->desired_by ? ", by %s" : ", not wanted", row->desired_by);
	if (*row->owner)
		(void)buf_printf(line, ", owner %s", row->owner);
	if (row->genctr)
		(void)buf_printf(line, ", genctr %" PRIu64, row->genctr);
	if (*row->error) {
		(void)buf_printf(line, ", attempt %u: ", row->attempts);
		(void)output_escape(line, row->error, strlen(row->error));
	}
	if (row->retry_unix_ns) {
		when_format_age(row->retry_unix_ns, now_ns, when);
		(void)buf_printf(line, ", again %s", when);
	}
	if (row->give_up_unix_ns && *row->error) {
		when_format_age(row->give_up_unix_ns, now_ns, when);
		(void)buf_printf(line, ", given up %s", when);
	}
	if (row->queued)
		(void)buf_printf(line, ", %u events wait", row->queued);
}

static void local_nvme_row(struct cli *cli, const Pathbell__V1__LocalNvmeConnection *row,
			   unsigned depth)
{
	enum output_colour colour = local_nvme_colour(row->state);
	struct buf line = { 0 };

	(void)buf_printf(&line, "%*s%s%-11s%s %-8s ", (int)depth * 2, "",
			 output_colour_on(&cli->out, colour), row->state,
			 output_colour_off(&cli->out, colour),
			 *row->controller ? row->controller : "-");
	if (row->ours)
		(void)buf_printf(&line, "* ");
	if (!row->discovery_controller)
		(void)output_escape(&line, row->nqn, strlen(row->nqn));
	else
		(void)buf_printf(&line, "discovery%s", row->persistent ? " (persistent)" : "");
	(void)buf_printf(&line, " ");
	(void)output_escape(&line, row->transport_address, strlen(row->transport_address));
	local_nvme_detail(cli, row, &line);
	output_raw_line(&cli->out, &line);
	buf_deinit(&line);
}

static bool local_nvme_is_below(const Pathbell__V1__LocalNvmeConnection *row,
				const Pathbell__V1__LocalNvmeConnection *above)
{
	return row != above && above->discovery_controller &&
	       strcmp(row->discovered_from, above->transport_address) == 0;
}

static void local_nvme_tree(struct cli *cli, const Pathbell__V1__LocalNvme *nvme,
			    const Pathbell__V1__LocalNvmeConnection *row, unsigned depth)
{
	local_nvme_row(cli, row, depth);
	for (size_t i = 0; depth < LOCAL_NVME_DEPTH && i < nvme->n_connections; i++)
		if (local_nvme_is_below(nvme->connections[i], row))
			local_nvme_tree(cli, nvme, nvme->connections[i], depth + 1);
}

static bool local_nvme_is_root(const Pathbell__V1__LocalNvme *nvme,
			       const Pathbell__V1__LocalNvmeConnection *row)
{
	for (size_t i = 0; *row->discovered_from && i < nvme->n_connections; i++)
		if (local_nvme_is_below(row, nvme->connections[i]))
			return false;
	return true;
}

void local_show_nvme(struct cli *cli, const Pathbell__V1__LocalNvme *nvme)
{
	output_line(&cli->out, "mode %s%s%s, autoconnect rules %s, %u children", nvme->mode,
		    nvme->persistent ? ", persistent" : "", nvme->keep ? ", keep" : "", nvme->rules,
		    nvme->children);
	for (size_t i = 0; i < nvme->n_connections; i++)
		if (local_nvme_is_root(nvme, nvme->connections[i]))
			local_nvme_tree(cli, nvme, nvme->connections[i], 0);
	if (nvme->not_shown)
		output_line(&cli->out, "and %u more", nvme->not_shown);
}

void local_show_nvme_decision(struct cli *cli, const Pathbell__V1__LocalNvmeDecision *decision)
{
	char when[WHEN_TEXT_SIZE];

	when_format(decision->unix_ns, cli->out.utc, when);
	output_line(&cli->out, "%s %-28s %s%s%s%s%s", when, decision->kind,
		    decision->transport_address, *decision->nqn ? " nqn=" : "", decision->nqn,
		    *decision->reason ? ": " : "", decision->reason);
}
