/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <string.h>

#include "core/clock.h"
#include "core/id.h"
#include "ctl/registry.h"
#include "ctl/request.h"
#include "ctl/table.h"
#include "ctl/when.h"
#include "pathbell/v1/fleet.pb-c.h"

#define HOSTS_PAGE 500

static const char *const hosts_titles[] = { "HOST",   "STATE",	"NAME",	   "AGENT",
					    "KERNEL", "EVENTS", "UNACKED", "LAST EVENT" };

static const char *hosts_state(const Pathbell__V1__Host *host)
{
	if (*host->state)
		return host->state;
	return host->connected ? "connected" : "silent";
}

static void hosts_row(struct table *table, const Pathbell__V1__Host *host, uint64_t now_ns)
{
	char age[WHEN_TEXT_SIZE];

	when_format_age(host->last_event_unix_ns, now_ns, age);
	table_cell(table, "%s", host->host_id);
	table_cell(table, "%s%s", hosts_state(host), host->degraded ? " (degraded)" : "");
	table_cell(table, "%s", host->hostname);
	table_cell(table, "%s", host->agent_version);
	table_cell(table, "%s", host->kernel_release);
	table_cell(table, "%" PRIu64, host->events);
	table_cell(table, "%" PRIu64, host->unacked);
	table_cell(table, "%s", age);
}

static int hosts_page(struct cli *cli, const Pathbell__V1__ListHostsResponse *page,
		      struct table *table)
{
	uint64_t now_ns = clock_realtime_ns();

	for (size_t i = 0; i < page->n_hosts; i++) {
		if (!cli->out.json)
			hosts_row(table, page->hosts[i], now_ns);
		else if (output_message(&cli->out, &page->hosts[i]->base) != 0)
			return cli_fail(CLI_FAILED, "out of memory");
	}
	return CLI_OK;
}

static int hosts_ask(struct cli *cli, struct client *client, struct table *table)
{
	Pathbell__V1__ListHostsRequest request = PATHBELL__V1__LIST_HOSTS_REQUEST__INIT;
	char token[1024] = "";
	int code;

	request.page_size = HOSTS_PAGE;
	request.host_glob = (char *)(cli_get(cli, "glob") ?: "");
	do {
		Pathbell__V1__ListHostsResponse *page = NULL;

		request.page_token = token;
		code = client_call(client, "/pathbell.v1.Fleet/ListHosts", &request.base,
				   &pathbell__v1__list_hosts_response__descriptor, (void **)&page);
		if (code != CLI_OK)
			return code;
		code = hosts_page(cli, page, table);
		snprintf(token, sizeof(token), "%s", page->next_page_token);
		protobuf_c_message_free_unpacked(&page->base, NULL);
	} while (code == CLI_OK && *token);
	return code;
}

static int hosts_run(struct cli *cli)
{
	struct request request;
	struct table table;
	int code = request_begin(cli, &request);

	table_init(&table, hosts_titles, sizeof(hosts_titles) / sizeof(hosts_titles[0]));
	if (code == CLI_OK)
		code = hosts_ask(cli, request.client, &table);
	if (code == CLI_OK && !cli->out.json)
		table_print(&table, &cli->out);
	table_deinit(&table);
	request_end(&request);
	return code;
}

/* ---- one host ---- */

static void hosts_show_time(struct cli *cli, const char *label, uint64_t unix_ns)
{
	char when[WHEN_TEXT_SIZE];
	char age[WHEN_TEXT_SIZE];

	when_format(unix_ns, cli->out.utc, when);
	when_format_age(unix_ns, clock_realtime_ns(), age);
	output_line(&cli->out, "%-16s %s (%s)", label, when, age);
}

static void hosts_show_epochs(struct cli *cli, const Pathbell__V1__Host *host)
{
	for (size_t i = 0; i < host->n_epochs; i++) {
		const Pathbell__V1__HostEpoch *epoch = host->epochs[i];
		char id[ID_TEXT_SIZE] = "?";

		if (epoch->epoch.len == ID_SIZE)
			id_format(epoch->epoch.data, id);
		output_line(&cli->out,
			    "%-16s %s stored up to %" PRIu64 ", %" PRIu64 " events, %" PRIu64
			    " tombstoned",
			    i ? "" : "epochs", id, epoch->stored_seq, epoch->events,
			    epoch->tombstoned);
	}
}

static void hosts_show(struct cli *cli, const Pathbell__V1__Host *host)
{
	char boot[ID_TEXT_SIZE] = "-";

	if (host->boot_id.len == ID_SIZE)
		id_format(host->boot_id.data, boot);
	output_line(&cli->out, "%-16s %s", "host", host->host_id);
	output_line(&cli->out, "%-16s %s%s", "state", hosts_state(host),
		    host->degraded ? ", spool degraded" : "");
	output_line(&cli->out, "%-16s %s", "name", host->hostname);
	output_line(&cli->out, "%-16s %s", "agent", host->agent_version);
	output_line(&cli->out, "%-16s %s", "kernel", host->kernel_release);
	output_line(&cli->out, "%-16s %s", "boot", boot);
	output_line(&cli->out, "%-16s %s", "address", host->peer);
	hosts_show_time(cli, "first seen", host->first_seen_unix_ns);
	hosts_show_time(cli, "last seen", host->last_seen_unix_ns);
	hosts_show_time(cli, "last event", host->last_event_unix_ns);
	hosts_show_time(cli, "certificate", host->certificate_not_after_unix_ns);
	output_line(&cli->out,
		    "%-16s %" PRIu64 " stored, %" PRIu64 " tombstoned, %" PRIu64 " not yet acked",
		    "events", host->events, host->tombstoned, host->unacked);
	hosts_show_epochs(cli, host);
}

static int hosts_one_run(struct cli *cli)
{
	Pathbell__V1__GetHostRequest get = PATHBELL__V1__GET_HOST_REQUEST__INIT;
	Pathbell__V1__Host *host = NULL;
	struct request request;
	int code = request_begin(cli, &request);

	get.host_id = cli->operands[0];
	if (code == CLI_OK)
		code = client_call(request.client, "/pathbell.v1.Fleet/GetHost", &get.base,
				   &pathbell__v1__host__descriptor, (void **)&host);
	if (code == CLI_OK && cli->out.json)
		code = output_message(&cli->out, &host->base) == 0 ? CLI_OK : CLI_FAILED;
	else if (code == CLI_OK)
		hosts_show(cli, host);
	if (host)
		protobuf_c_message_free_unpacked(&host->base, NULL);
	request_end(&request);
	return code;
}

static const struct cli_option hosts_options[] = {
	{ "glob", "GLOB", "only hosts whose id or host name fits (* and ?)", 'g', false },
	{ NULL, NULL, NULL, 0, false },
};

const struct cli_command hosts_command = {
	.path = "hosts",
	.summary = "List the hosts of the fleet",
	.operands = "",
	.options = hosts_options,
	.run = hosts_run,
};

const struct cli_command hosts_one_command = {
	.path = "host",
	.summary = "Show one host",
	.operands = "ID",
	.min_operands = 1,
	.max_operands = 1,
	.run = hosts_one_run,
};
