/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "ctl/registry.h"
#include "ctl/render.h"
#include "ctl/when.h"
#include "proto/kind.h"

#define EVENTS_PAGE	     500
#define EVENTS_DEFAULT_LIMIT 100
#define EVENTS_MAX_NEWEST    100000 /* they are held in memory to turn their order */

int events_show(struct cli *cli, const Pathbell__V1__StoredEvent *stored)
{
	struct buf line = { .max = 1 << 20 };
	int r = cli->out.json ? output_message(&cli->out, &stored->base)
			      : render_stored(&cli->out, stored, &line);

	if (r == 0 && !cli->out.json)
		output_raw_line(&cli->out, &line);
	buf_deinit(&line);
	if (r != 0)
		return cli_fail(CLI_FAILED, "out of memory");
	return ferror(cli->out.file)
		       ? cli_fail(CLI_FAILED, "cannot write the output: %s", strerror(errno))
		       : CLI_OK;
}

static int events_ask_page(struct client *client, const Pathbell__V1__EventFilter *filter,
			   uint64_t after_id, size_t size, bool newest_first,
			   Pathbell__V1__QueryEventsResponse **ret_page)
{
	Pathbell__V1__QueryEventsRequest request = PATHBELL__V1__QUERY_EVENTS_REQUEST__INIT;

	request.filter = (Pathbell__V1__EventFilter *)filter;
	request.page_size = (uint32_t)(size && size < EVENTS_PAGE ? size : EVENTS_PAGE);
	request.after_id = after_id;
	request.newest_first = newest_first;
	return client_call(client, "/pathbell.v1.Fleet/QueryEvents", &request.base,
			   &pathbell__v1__query_events_response__descriptor, (void **)ret_page);
}

int events_tail(struct client *client, uint64_t *ret_id)
{
	Pathbell__V1__EventFilter all = PATHBELL__V1__EVENT_FILTER__INIT;
	Pathbell__V1__QueryEventsResponse *page = NULL;
	int code = events_ask_page(client, &all, 0, 1, true, &page);

	if (code != CLI_OK)
		return code;
	*ret_id = page->n_events ? page->events[0]->id : 0;
	protobuf_c_message_free_unpacked(&page->base, NULL);
	return CLI_OK;
}

int events_pages(struct client *client, const Pathbell__V1__EventFilter *filter, uint64_t after_id,
		 size_t limit, int (*show)(void *data, const Pathbell__V1__StoredEvent *stored),
		 void *data)
{
	size_t shown = 0;
	int code;

	do {
		Pathbell__V1__QueryEventsResponse *page = NULL;

		code = events_ask_page(client, filter, after_id, limit ? limit - shown : 0, false,
				       &page);
		if (code != CLI_OK)
			return code;
		for (size_t i = 0; i < page->n_events && code == CLI_OK; i++, shown++)
			code = show(data, page->events[i]);
		after_id = page->next_after_id;
		protobuf_c_message_free_unpacked(&page->base, NULL);
	} while (code == CLI_OK && after_id && (!limit || shown < limit));
	return code;
}

struct events_page {
	Pathbell__V1__QueryEventsResponse *response;
};

/* Fetches pages, newest first, until @limit events are there; returns how many pages. */
static int events_fetch_newest(struct client *client, const struct events_query *query,
			       struct events_page *ret_pages, size_t max_pages, size_t *ret_n_pages)
{
	uint64_t after_id = query->after_id;
	size_t n_events = 0;

	do {
		Pathbell__V1__QueryEventsResponse **page = &ret_pages[*ret_n_pages].response;
		int code = events_ask_page(client, &query->filter, after_id,
					   query->limit - n_events, true, page);

		if (code != CLI_OK)
			return code;
		++*ret_n_pages;
		n_events += (*page)->n_events;
		after_id = (*page)->next_after_id;
	} while (after_id && n_events < query->limit && *ret_n_pages < max_pages);
	return CLI_OK;
}

int events_newest(struct client *client, const struct events_query *query,
		  int (*show)(void *data, const Pathbell__V1__StoredEvent *stored), void *data)
{
	/* A server may answer with smaller pages than asked for. */
	size_t max_pages = query->limit / 16 + 16;
	struct events_page *pages = calloc(max_pages, sizeof(*pages));
	size_t n_pages = 0;
	int code;

	if (!pages)
		return cli_fail(CLI_FAILED, "out of memory");
	code = events_fetch_newest(client, query, pages, max_pages, &n_pages);
	for (size_t i = n_pages; i-- > 0;) {
		for (size_t j = pages[i].response->n_events; j-- > 0 && code == CLI_OK;)
			code = show(data, pages[i].response->events[j]);
		protobuf_c_message_free_unpacked(&pages[i].response->base, NULL);
	}
	free(pages);
	return code;
}

/* ---- the command line ---- */

static int events_read_time(const struct cli *cli, const char *option, uint64_t *ret_ns)
{
	const char *text = cli_get(cli, option);
	struct errmsg err = { 0 };

	if (text && when_parse(text, clock_realtime_ns(), ret_ns, &err) < 0)
		return cli_fail(CLI_USAGE, "--%s: %s", option, err.text);
	return CLI_OK;
}

static int events_read_names(const struct cli *cli, struct events_query *query)
{
	const char *hosts[EVENTS_MAX_HOSTS];
	size_t n_hosts = cli_get_all(cli, "host", hosts, EVENTS_MAX_HOSTS);
	const char *severity = cli_get(cli, "severity");
	const char *kind = cli_get(cli, "kind");
	size_t n_kinds = 0;
	const unsigned *kinds = kind_all(&n_kinds);
	unsigned number = 0;
	size_t fits = 0;

	if (n_hosts > EVENTS_MAX_HOSTS)
		return cli_fail(CLI_USAGE, "more than %d --host", EVENTS_MAX_HOSTS);
	for (size_t i = 0; i < n_hosts; i++)
		query->hosts[i] = (char *)hosts[i];
	query->filter.host_ids = query->hosts;
	query->filter.n_host_ids = n_hosts;
	if (severity && !severity_from_name(severity, &number))
		return cli_fail(
			CLI_USAGE,
			"--severity: '%s' is none of debug, info, notice, warning, error, critical",
			severity);
	query->filter.min_severity = (Pathbell__V1__Severity)number;
	for (size_t i = 0; kind && i < n_kinds; i++)
		fits += kind_matches(kinds[i], kind);
	if (kind && fits == 0)
		cli_fail(0,
			 "note: no kind that this version knows fits '%s' (storage.*, command.*, "
			 "nvme.aen, ...)",
			 kind);
	query->filter.kind_glob = (char *)(kind ?: "");
	query->filter.subject_id = (char *)(cli_get(cli, "subject") ?: "");
	return CLI_OK;
}

static int events_read_query(const struct cli *cli, struct events_query *query)
{
	size_t after = 0;
	int code;

	*query = (struct events_query){ .filter = PATHBELL__V1__EVENT_FILTER__INIT };
	query->from_oldest = cli_has(cli, "since") || cli_has(cli, "after");
	code = events_read_names(cli, query);
	if (code == CLI_OK)
		code = events_read_time(cli, "since", &query->filter.since_unix_ns);
	if (code == CLI_OK)
		code = events_read_time(cli, "until", &query->filter.until_unix_ns);
	if (code != CLI_OK)
		return code;
	if (!cli_get_number(cli, "after", 0, 0, SIZE_MAX, &after) ||
	    !cli_get_number(cli, "limit",
			    query->from_oldest || cli_has(cli, "follow") ? 0 : EVENTS_DEFAULT_LIMIT,
			    1, query->from_oldest ? SIZE_MAX : EVENTS_MAX_NEWEST, &query->limit))
		return CLI_USAGE;
	query->after_id = after;
	if (cli_has(cli, "follow") && cli_has(cli, "until"))
		return cli_fail(CLI_USAGE, "--follow has no end: leave out --until");
	return CLI_OK;
}

static int events_show_one(void *data, const Pathbell__V1__StoredEvent *stored)
{
	return events_show(data, stored);
}

static int events_run(struct cli *cli)
{
	struct events_query query;
	struct request request;
	int code = events_read_query(cli, &query);

	if (code != CLI_OK)
		return code;
	code = request_begin(cli, &request);
	if (code == CLI_OK && cli_has(cli, "follow"))
		code = events_follow(cli, request.client, &query);
	else if (code == CLI_OK && query.from_oldest)
		code = events_pages(request.client, &query.filter, query.after_id, query.limit,
				    events_show_one, cli);
	else if (code == CLI_OK)
		code = events_newest(request.client, &query, events_show_one, cli);
	request_end(&request);
	return code;
}

static const struct cli_option events_options[] = {
	{ "host", "ID", "only events of this host; may be repeated", 'H', false },
	{ "kind", "GLOB", "only kinds that fit: storage.*, nvme.aen, *.gap", 'k', false },
	{ "severity", "LEVEL",
	  "only this severity and above: debug, info, notice, warning, error, critical", 'S',
	  false },
	{ "since", "TIME",
	  "events from this time on, oldest first: 90s, 1h, 7d (ago), a date, RFC 3339", 0, false },
	{ "until", "TIME", "events before this time", 0, false },
	{ "subject", "ID", "only events about this thing: wwid:..., nqn:..., dev:7:0", 0, false },
	{ "after", "N",
	  "events stored after the one with this id (field id of -o json), oldest first", 0,
	  false },
	{ "limit", "N", "at most N events; without --since and --after the newest N (default 100)",
	  'n', false },
	{ "follow", NULL, "then print new events as they are stored, until interrupted", 'f',
	  false },
	{ NULL, NULL, NULL, 0, false },
};

const struct cli_command events_command = {
	.path = "events",
	.summary = "Show stored events",
	.operands = "",
	.options = events_options,
	.help = "A line holds time, host, severity, kind, subject and what happened.\n"
		"--follow survives a restart of the aggregator: it continues behind the last "
		"event, without loss or duplicate.",
	.run = events_run,
};
