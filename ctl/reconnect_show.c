/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ctl/reconnect.h"
#include "ctl/table.h"

static const char *const show_titles[] = { "HOST", "STORAGE TARGET", "PATHS", "STATE", "MEANS" };

static bool show_has_none(const Pathbell__V1__CampaignHost *host)
{
	return host->usable_paths == 1; /* plus one; 0 = not known */
}

static void show_row(struct table *table, const Pathbell__V1__CampaignHost *host)
{
	char target[1024];

	command_target_text(host->target, target, sizeof(target));
	table_cell(table, "%s", host->host_id);
	table_cell(table, "%s", *host->storage_target ? host->storage_target : "-");
	if (host->usable_paths)
		table_cell(table, "%u of %u%s", host->usable_paths - 1, host->total_paths,
			   show_has_none(host) ? " (none usable)" : "");
	else
		table_cell(table, "?");
	table_cell(table, "%s", host->connected ? "connected" : "NOT CONNECTED");
	table_cell(table, "%s", *target ? target : "-");
}

/* The plan has at most 10000 hosts and few targets. */
static size_t show_n_targets(const Pathbell__V1__PlanCampaignResponse *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->n_hosts; i++) {
		const char *target = plan->hosts[i]->storage_target;
		bool known = !*target;

		for (size_t j = 0; j < i && !known; j++)
			known = strcmp(plan->hosts[j]->storage_target, target) == 0;
		n += !known;
	}
	return n;
}

void reconnect_count(const Pathbell__V1__PlanCampaignResponse *plan, char *ret_text, size_t size)
{
	size_t none = 0;
	size_t away = 0;
	size_t targets = show_n_targets(plan);

	for (size_t i = 0; i < plan->n_hosts; i++) {
		none += show_has_none(plan->hosts[i]);
		away += !plan->hosts[i]->connected;
	}
	snprintf(ret_text, size,
		 "%zu host%s, %zu without a usable path, %zu not connected; %zu storage target%s",
		 plan->n_hosts, plan->n_hosts == 1 ? "" : "s", none, away, targets,
		 targets == 1 ? "" : "s");
}

void reconnect_show(struct cli *cli, struct output *output,
		    const Pathbell__V1__PlanCampaignResponse *plan)
{
	struct table table;
	char text[256];

	if (output->json) {
		for (size_t i = 0; i < plan->n_hosts; i++)
			output_message(output, &plan->hosts[i]->base);
		return;
	}
	table_init(&table, show_titles, sizeof(show_titles) / sizeof(show_titles[0]));
	for (size_t i = 0; i < plan->n_hosts; i++)
		show_row(&table, plan->hosts[i]);
	table_print(&table, output);
	table_deinit(&table);
	reconnect_count(plan, text, sizeof(text));
	output_line(output, "%s", text);
}
