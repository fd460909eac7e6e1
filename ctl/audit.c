/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/id.h"
#include "ctl/audit_chain.h"
#include "ctl/audit_host.h"
#include "ctl/registry.h"
#include "ctl/request.h"
#include "ctl/when.h"

/*
 * The aggregator's audit. Without --verify it is listed, filtered there. With --verify every record
 * is fetched and chained again here: the aggregator's own word counts for nothing. It could still
 * show another whole chain to each asker; that is what a head noted earlier (--expect-head) and the
 * hosts' own chains (ties, --host-audit) are for.
 */

#define AUDIT_PAGE  1000
#define AUDIT_LIMIT 100

struct audit_query {
	struct cli *cli;
	struct client *client;
	uint8_t command_id[ID_SIZE], campaign_id[ID_SIZE];
	bool by_command, by_campaign;
	const char *host_id; /* "" = any */
	uint64_t since_ns;
	size_t limit;
	struct audit_head head; /* as the aggregator says */
	int (*show)(struct audit_query *query, const Pathbell__V1__AuditRecord *record);
	struct audit_chain chain;
	struct audit_host host; /* the host's file */
};

static int audit_filters(struct audit_query *query)
{
	const struct cli *cli = query->cli;
	const char *command = cli_get(cli, "command");
	const char *campaign = cli_get(cli, "campaign");
	const char *since = cli_get(cli, "since");
	const char *head = cli_get(cli, "expect-head");
	struct errmsg err = { 0 };

	query->by_command = command != NULL;
	query->by_campaign = campaign != NULL;
	query->host_id = cli_get(cli, "host") ?: "";
	if (command && !id_parse(command, query->command_id))
		return cli_fail(CLI_USAGE, "--command: '%s' is not a UUID", command);
	if (campaign && !id_parse(campaign, query->campaign_id))
		return cli_fail(CLI_USAGE, "--campaign: '%s' is not a UUID", campaign);
	if (since && when_parse(since, clock_realtime_ns(), &query->since_ns, &err) != 0)
		return cli_fail(CLI_USAGE, "--since: %s", err.text);
	if (head && !audit_head_parse(head, &query->chain.expected))
		return cli_fail(CLI_USAGE,
				"--expect-head: '%s' is not SEQ:HASH, as --verify "
				"prints it",
				head);
	if (!cli_has(cli, "verify") && (head || cli_has(cli, "host-audit")))
		return cli_fail(CLI_USAGE, "--expect-head and --host-audit need --verify");
	if (cli_has(cli, "host-audit") && !*query->host_id)
		return cli_fail(CLI_USAGE, "--host-audit needs --host ID: whose file is it?");
	return cli_get_number(cli, "limit", AUDIT_LIMIT, 1, 100000, &query->limit) ? CLI_OK
										   : CLI_USAGE;
}

/* One page behind *after_seq; 0 there: no more. */
static int audit_page(struct audit_query *query, bool filtered, uint32_t size, uint64_t *after_seq)
{
	Pathbell__V1__QueryAuditRequest request = PATHBELL__V1__QUERY_AUDIT_REQUEST__INIT;
	Pathbell__V1__QueryAuditResponse *page = NULL;
	int code;

	request.after_seq = *after_seq;
	request.page_size = size;
	if (filtered && query->by_command)
		request.command_id = (ProtobufCBinaryData){ ID_SIZE, query->command_id };
	if (filtered && query->by_campaign)
		request.campaign_id = (ProtobufCBinaryData){ ID_SIZE, query->campaign_id };
	if (filtered)
		request.host_id = (char *)query->host_id;
	code = client_call(query->client, "/pathbell.v1.Fleet/QueryAudit", &request.base,
			   &pathbell__v1__query_audit_response__descriptor, (void **)&page);
	if (code != CLI_OK)
		return code;
	for (size_t i = 0; code == CLI_OK && query->show && i < page->n_records; i++)
		code = query->show(query, page->records[i]);
	query->head.seq = page->head_seq;
	memset(query->head.hash, 0, sizeof(query->head.hash));
	if (page->head_hash.len == sizeof(query->head.hash))
		memcpy(query->head.hash, page->head_hash.data, sizeof(query->head.hash));
	if (code == CLI_OK && page->next_after_seq && page->next_after_seq <= *after_seq)
		code = cli_fail(CLI_FAILED, "the aggregator's pages do not go on");
	*after_seq = page->next_after_seq;
	protobuf_c_message_free_unpacked(&page->base, NULL);
	return code;
}

static int audit_pages(struct audit_query *query, bool filtered, uint64_t after_seq)
{
	int code;

	do {
		code = audit_page(query, filtered, AUDIT_PAGE, &after_seq);
	} while (code == CLI_OK && after_seq);
	return code;
}

/* ---- listing ---- */

static const char *audit_actor(const char *uri)
{
	const char *name = strrchr(uri, '/');

	return name && name[1] ? name + 1 : uri;
}

/* TIME SEQ ACTOR ACTION [HOST] DETAIL [ID] */
static int audit_show_record(struct audit_query *query, const Pathbell__V1__AuditRecord *record)
{
	struct output *output = &query->cli->out;
	char when[WHEN_TEXT_SIZE];
	char id[ID_TEXT_SIZE] = "";

	if (record->unix_ns < query->since_ns)
		return CLI_OK;
	if (output->json)
		return output_message(output, &record->base) == 0 ? CLI_OK : CLI_FAILED;
	if (record->command_id.len == ID_SIZE)
		id_format(record->command_id.data, id);
	else if (record->campaign_id.len == ID_SIZE)
		id_format(record->campaign_id.data, id);
	when_format(record->unix_ns, output->utc, when);
	output_line(output, "%s %" PRIu64 " %s %s%s%s%s%s%s%s", when, record->seq,
		    audit_actor(record->actor), record->action, *record->host_id ? " on " : "",
		    record->host_id, *record->detail ? ": " : "", record->detail, *id ? " " : "",
		    id);
	return CLI_OK;
}

/* The newest ones, unless something says which. */
static int audit_list(struct audit_query *query)
{
	bool which = query->by_command || query->by_campaign || *query->host_id || query->since_ns;
	uint64_t after_seq = 0;
	int code;

	if (!which) {
		code = audit_page(query, false, 1, &after_seq); /* only the head */
		if (code != CLI_OK)
			return code;
		after_seq = query->head.seq > query->limit ? query->head.seq - query->limit : 0;
	}
	query->show = audit_show_record;
	return audit_pages(query, true, which ? 0 : after_seq);
}

/* ---- verifying ---- */

static bool audit_same_id(bool wanted, const uint8_t *id, const ProtobufCBinaryData *have)
{
	return !wanted || (have->len == ID_SIZE && memcmp(have->data, id, ID_SIZE) == 0);
}

static bool audit_is_wanted(const struct audit_query *query,
			    const Pathbell__V1__AuditRecord *record)
{
	bool which = query->by_command || query->by_campaign || query->since_ns ||
		     (*query->host_id && !cli_has(query->cli, "host-audit"));

	return which && audit_same_id(query->by_command, query->command_id, &record->command_id) &&
	       audit_same_id(query->by_campaign, query->campaign_id, &record->campaign_id) &&
	       (!*query->host_id || strcmp(query->host_id, record->host_id) == 0);
}

static int audit_verify_record(struct audit_query *query, const Pathbell__V1__AuditRecord *record)
{
	struct audit_head tie;
	int r = audit_chain_add(&query->chain, record);

	if (r == -ENOMEM)
		return cli_fail(CLI_FAILED, "out of memory");
	if (r != AUDIT_FITS)
		return cli_fail(CLI_FAILED, "BROKEN at record %" PRIu64 "%s%s: %s", record->seq,
				*record->host_id ? " of host " : "", record->host_id,
				audit_break_text(r));
	if (strcmp(record->host_id, query->host_id) == 0 && audit_chain_tie(record, &tie) &&
	    !audit_host_fits(&query->host, &tie))
		return cli_fail(CLI_FAILED,
				"BROKEN at record %" PRIu64 ": the host told line %" PRIu64
				" of its audit with another hash than its file has",
				record->seq, tie.seq);
	return audit_is_wanted(query, record) ? audit_show_record(query, record) : CLI_OK;
}

/* What the aggregator calls its head is what was fetched last, or has grown since. */
static int audit_verify_head(const struct audit_query *query)
{
	const struct audit_chain *chain = &query->chain;

	if (query->head.seq < chain->last.seq ||
	    (query->head.seq == chain->last.seq &&
	     memcmp(query->head.hash, chain->last.hash, sizeof(chain->last.hash)) != 0))
		return cli_fail(CLI_FAILED, "BROKEN at the head: the aggregator names another one "
					    "than its records have");
	if (query->head.seq > chain->last.seq && chain->n == 0)
		return cli_fail(CLI_FAILED, "BROKEN: the aggregator names a head and has no "
					    "records");
	if (!chain->expected.seq || chain->saw_expected)
		return CLI_OK;
	if (chain->expected.seq < chain->first_seq)
		return cli_fail(CLI_FAILED,
				"the noted head %" PRIu64
				" is older than the first record, %" PRIu64
				": nothing can be said about it",
				chain->expected.seq, chain->first_seq);
	return cli_fail(CLI_FAILED,
			"BROKEN: the noted head %" PRIu64 " is missing, the chain ends at %" PRIu64,
			chain->expected.seq, chain->last.seq);
}

static int audit_verdict(struct audit_query *query)
{
	const struct audit_chain *chain = &query->chain;
	char head[AUDIT_HEAD_TEXT_SIZE];
	struct json_object *object;

	audit_head_format(&chain->last, head);
	if (query->cli->out.json) {
		object = json_object_new_object();
		json_object_object_add(object, "ok", json_object_new_boolean(true));
		json_object_object_add(object, "records", json_object_new_uint64(chain->n));
		json_object_object_add(object, "first_seq",
				       json_object_new_uint64(chain->first_seq));
		json_object_object_add(object, "head", json_object_new_string(head));
		json_object_object_add(object, "hosts", json_object_new_uint64(chain->n_points));
		return output_json(&query->cli->out, object) == 0 ? CLI_OK : CLI_FAILED;
	}
	output_line(&query->cli->out,
		    "whole: %" PRIu64 " records, from %" PRIu64 " on%s; tied to the audits of %zu "
		    "host%s%s",
		    chain->n, chain->first_seq,
		    chain->first_seq > 1 ? " (older ones were removed by retention)" : "",
		    chain->n_points, chain->n_points == 1 ? "" : "s",
		    query->host.n ? "; that host's file fits" : "");
	output_line(&query->cli->out, "head, to be noted elsewhere: --expect-head %s", head);
	return CLI_OK;
}

static int audit_verify(struct audit_query *query)
{
	const char *file = cli_get(query->cli, "host-audit");
	int code = file ? audit_host_read(file, &query->host) : CLI_OK;

	query->show = audit_verify_record;
	if (code == CLI_OK)
		code = audit_pages(query, false, 0);
	if (code == CLI_OK)
		code = audit_verify_head(query);
	if (code != CLI_OK)
		return code;
	return audit_verdict(query);
}

static int audit_run(struct cli *cli)
{
	struct audit_query query = { .cli = cli };
	struct request request = { 0 };
	int code = audit_filters(&query);

	if (code == CLI_OK)
		code = request_begin(cli, &request);
	query.client = request.client;
	if (code == CLI_OK)
		code = cli_has(cli, "verify") ? audit_verify(&query) : audit_list(&query);
	audit_chain_deinit(&query.chain);
	audit_host_deinit(&query.host);
	request_end(&request);
	return code;
}

static const struct cli_option audit_options[] = {
	{ "verify", NULL, "check the whole chain of hashes", 0, false },
	{ "expect-head", "SEQ:HASH", "the chain must go through this head of an earlier check", 0,
	  false },
	{ "command", "ID", "only records of this command", 0, false },
	{ "campaign", "ID", "only records of this campaign", 0, false },
	{ "host", "ID", "only records of this host", 'H', false },
	{ "since", "TIME", "only records from there on", 0, false },
	{ "limit", "N", "where nothing else says which: the newest N (default 100)", 'n', false },
	{ "host-audit", "FILE", "with --host: that host's audit.log; what it told must be in it", 0,
	  false },
	{ NULL, NULL, NULL, 0, false },
};

const struct cli_command audit_command = {
	.path = "audit",
	.summary = "Show who commanded what, and check that nobody altered it",
	.operands = "",
	.options = audit_options,
	.help = "With --verify the exit status is 1 when the chain is broken; it says where.",
	.run = audit_run,
};
