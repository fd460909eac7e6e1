/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#include "ctl/audit_host.h"
#include "ctl/local.h"
#include "ctl/registry.h"

/*
 * This host's own audit: the newest lines from the agent's memory, or whole files. A packet of the
 * control socket holds no more than a few hundred lines, so they come in pages.
 */
#define LOCAL_AUDIT_PAGE      40 /* 40 lines of 4 KiB: below the default of net.core.wmem_max */
#define LOCAL_AUDIT_MAX_FILES 64
#define LOCAL_AUDIT_LINES     100

struct local_audit {
	struct cli *cli;
	struct audit_host host; /* with --verify */
	struct audit_head head; /* as the agent says; seq 0 = from files */
	bool verify, show;
	uint64_t from_seq; /* lines before it are not shown */
};

static int local_audit_line(void *data, const char *name, const char *line, size_t len)
{
	struct local_audit *work = data;
	struct json_object *object;
	struct audit_head head = { 0 };
	int code = CLI_OK;

	if (work->verify)
		code = audit_host_add(&work->host, name, line, len);
	(void)audit_line_read(line, len, &head);
	if (code != CLI_OK || !work->show || head.seq < work->from_seq)
		return code;
	if (!work->cli->out.json) {
		output_line(&work->cli->out, "%.*s", (int)len, line);
		return CLI_OK;
	}
	object = json_object_new_object();
	json_object_object_add(object, "seq", json_object_new_uint64(head.seq));
	json_object_object_add(object, "line", json_object_new_string_len(line, (int)len));
	return output_json(&work->cli->out, object) == 0 ? CLI_OK : CLI_FAILED;
}

/* ---- the agent ---- */

static int local_audit_page(struct local_audit *work, uint64_t *after_seq, bool *ret_more)
{
	Pathbell__V1__LocalRequest request = PATHBELL__V1__LOCAL_REQUEST__INIT;
	Pathbell__V1__LocalAuditRequest page = PATHBELL__V1__LOCAL_AUDIT_REQUEST__INIT;
	Pathbell__V1__LocalResponse *response = NULL;
	const Pathbell__V1__LocalAudit *audit;
	int code;

	page.after_seq = *after_seq;
	page.records = LOCAL_AUDIT_PAGE;
	request.request_case = PATHBELL__V1__LOCAL_REQUEST__REQUEST_AUDIT;
	request.audit = &page;
	code = local_ask(work->cli, &request, PATHBELL__V1__LOCAL_RESPONSE__RESPONSE_AUDIT,
			 &response);
	if (!response)
		return code;
	audit = response->audit;
	for (size_t i = 0; code == CLI_OK && i < audit->n_records; i++) {
		code = local_audit_line(work, "the agent's audit", audit->records[i]->line,
					strlen(audit->records[i]->line));
		*after_seq = audit->records[i]->seq;
	}
	work->head.seq = audit->head_seq;
	if (audit->head_hash.len == sizeof(work->head.hash))
		memcpy(work->head.hash, audit->head_hash.data, sizeof(work->head.hash));
	*ret_more = audit->n_records > 0 && *after_seq < audit->head_seq;
	protobuf_c_message_free_unpacked(&response->base, NULL);
	return code;
}

static int local_audit_agent(struct local_audit *work, size_t lines)
{
	bool show = work->show;
	bool verify = work->verify;
	uint64_t after_seq = UINT64_MAX;
	bool more = false;
	int code;

	work->show = work->verify = false;
	code = local_audit_page(work, &after_seq, &more); /* only the head */
	work->show = show;
	work->verify = verify;
	after_seq = !verify && work->head.seq > lines ? work->head.seq - lines : 0;
	if (after_seq == 0 && work->head.seq > LOCAL_AUDIT_PAGE)
		after_seq =
			1; /* 0 stands for the newest that fit, 1 for the oldest that are kept */
	work->from_seq = work->head.seq > lines ? work->head.seq - lines + 1 : 0;
	while (code == CLI_OK) {
		code = local_audit_page(work, &after_seq, &more);
		if (!more)
			break;
	}
	return code;
}

/* ---- the verdict ---- */

static int local_audit_expected(const struct local_audit *work, const struct audit_head *expected)
{
	const struct audit_host *host = &work->host;
	uint64_t first = host->n ? host->lines[0].seq : 0;

	if (!expected->seq)
		return CLI_OK;
	if (!host->n || expected->seq < first || expected->seq - first >= host->n)
		return cli_fail(CLI_FAILED, "the noted head %" PRIu64 " is not among the records",
				expected->seq);
	if (audit_host_fits(host, expected))
		return CLI_OK;
	return cli_fail(CLI_FAILED, "BROKEN at record %" PRIu64 ": %s", expected->seq,
			audit_break_text(AUDIT_BREAK_EXPECTED));
}

static int local_audit_verdict(const struct local_audit *work, const struct audit_head *expected)
{
	const struct audit_host *host = &work->host;
	struct audit_head last = host->n ? host->lines[host->n - 1] : (struct audit_head){ 0 };
	char head[AUDIT_HEAD_TEXT_SIZE];
	int code = local_audit_expected(work, expected);

	if (code != CLI_OK)
		return code;
	if (work->head.seq && !audit_host_fits(host, &work->head))
		return cli_fail(CLI_FAILED, "BROKEN at the head: the agent names another one than "
					    "its lines have");
	audit_head_format(&last, head);
	output_line(&work->cli->out, "whole: %zu records, from %" PRIu64 " on%s", host->n,
		    host->n ? host->lines[0].seq : 0,
		    host->unchecked ? " (what the first one goes on from is not here)" : "");
	if (host->n)
		output_line(&work->cli->out, "head, to be noted elsewhere: --expect-head %s", head);
	return CLI_OK;
}

static int local_audit_run(struct cli *cli)
{
	const char *files[LOCAL_AUDIT_MAX_FILES];
	size_t n = cli_get_all(cli, "file", files, LOCAL_AUDIT_MAX_FILES);
	const char *head = cli_get(cli, "expect-head");
	struct local_audit work = { .cli = cli, .verify = cli_has(cli, "verify") };
	struct audit_head expected = { 0 };
	size_t lines = 0;
	int code = CLI_OK;

	work.show = !work.verify || cli_has(cli, "lines");
	if (n > LOCAL_AUDIT_MAX_FILES)
		return cli_fail(CLI_USAGE, "more than %d --file", LOCAL_AUDIT_MAX_FILES);
	if (!cli_get_number(cli, "lines", LOCAL_AUDIT_LINES, 1, 100000, &lines))
		return CLI_USAGE;
	if (head && (!work.verify || !audit_head_parse(head, &expected)))
		return cli_fail(CLI_USAGE, "--expect-head needs --verify and is SEQ:HASH, as that "
					   "prints it");
	for (size_t i = 0; code == CLI_OK && i < n; i++)
		code = audit_lines_read(files[i], local_audit_line, &work);
	if (n == 0)
		code = local_audit_agent(&work, lines);
	if (code == CLI_OK && work.verify)
		code = local_audit_verdict(&work, &expected);
	audit_host_deinit(&work.host);
	return code;
}

static const struct cli_option local_audit_options[] = {
	{ "socket", "SOCKET", "the agent's control socket (default /run/pathbell/agent.sock)", 0,
	  false },
	{ "file", "FILE", "read this instead of asking the agent; may be repeated, oldest first", 0,
	  false },
	{ "lines", "N", "the newest N lines of the agent (default 100)", 'n', false },
	{ "verify", NULL, "check the chain of hashes", 0, false },
	{ "expect-head", "SEQ:HASH", "the chain must go through this head of an earlier check", 0,
	  false },
	{ NULL, NULL, NULL, 0, false },
};

const struct cli_command local_audit_command = {
	.path = "local audit",
	.summary = "Show what was commanded on this host, and check that nobody altered it",
	.operands = "",
	.options = local_audit_options,
	.help = "The agent keeps its newest lines in memory; all of them: --file audit.log.1 "
		"--file "
		"audit.log\n(in the agent's state_dir). Exit status 1 when the chain is broken.",
	.run = local_audit_run,
};
