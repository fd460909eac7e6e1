/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#include "agent/spool/inspect.h"
#include "core/id.h"
#include "ctl/registry.h"
#include "ctl/render.h"
#include "proto/codec.h"
#include "proto/json.h"

/* `pathbell local spool`: reads the files of a spool, also of one that is in use or damaged. Needs
 * no agent. */

struct spool_dump {
	struct cli *cli;
	uint64_t from_seq;
	size_t limit; /* 0 = none */
	size_t shown;
	size_t unreadable;
};

static int spool_fail(const char *dir, int r, const struct errmsg *err)
{
	int code = r == -ENOENT || r == -ENOTDIR ? CLI_NOT_FOUND
		   : r == -EACCES || r == -EPERM ? CLI_PERMISSION
						 : CLI_FAILED;

	if (*err->text)
		return cli_fail_errmsg(code, err);
	return cli_fail(code, "%s: %s", dir, strerror(-r));
}

static void spool_finding(void *data, const char *text)
{
	struct cli *cli = data;
	struct json_object *object;

	if (!cli->out.json) {
		output_line(&cli->out, "%s", text);
		return;
	}
	object = json_object_new_object();
	if (object)
		json_object_object_add(object, "finding", json_object_new_string(text));
	output_json(&cli->out, object);
}

/* While dumping, findings must not mix with the data. */
static void spool_finding_aside(void *data, const char *text)
{
	cli_fail(0, "%s", text);
}

static void spool_report(struct cli *cli, const struct inspect_report *report, uint64_t findings)
{
	struct json_object *object;

	if (!cli->out.json) {
		output_line(&cli->out,
			    "%" PRIu64 " records in %u segments, %" PRIu64
			    " bytes; %u bad segments, %" PRIu64 " corrupt records, %" PRIu64
			    " holes, %" PRIu64 " bytes torn: %s",
			    report->records, report->segments, report->bytes, report->bad_segments,
			    report->corrupt_records, report->gaps, report->torn_bytes,
			    findings ? "DAMAGED" : "sound");
		return;
	}
	object = json_object_new_object();
	if (!object)
		return;
	json_object_object_add(object, "segments", json_object_new_uint64(report->segments));
	json_object_object_add(object, "bad_segments",
			       json_object_new_uint64(report->bad_segments));
	json_object_object_add(object, "records", json_object_new_uint64(report->records));
	json_object_object_add(object, "corrupt_records",
			       json_object_new_uint64(report->corrupt_records));
	json_object_object_add(object, "gaps", json_object_new_uint64(report->gaps));
	json_object_object_add(object, "torn_bytes", json_object_new_uint64(report->torn_bytes));
	json_object_object_add(object, "bytes", json_object_new_uint64(report->bytes));
	json_object_object_add(object, "sound", json_object_new_boolean(findings == 0));
	output_json(&cli->out, object);
}

/* A torn tail alone is what any crash, or an agent that is writing at this moment, leaves: no
 * finding. */
static int spool_check_run(struct cli *cli)
{
	struct inspect_callbacks callbacks = { .data = cli, .finding = spool_finding };
	struct inspect_report report = { 0 };
	struct errmsg err = { 0 };
	uint64_t findings;
	int r = inspect_run(cli->operands[0], &callbacks, &report, &err);

	if (r < 0)
		return spool_fail(cli->operands[0], r, &err);
	findings = report.bad_segments + report.corrupt_records + report.gaps;
	spool_report(cli, &report, findings);
	return findings ? CLI_FAILED : CLI_OK;
}

static void spool_dump_json(struct spool_dump *dump, const struct inspect_record *record,
			    const Pathbell__V1__Event *event, const char *error)
{
	struct json_object *object = json_object_new_object();
	char epoch[ID_TEXT_SIZE];

	if (!object)
		return;
	id_format(record->epoch, epoch);
	json_object_object_add(object, "epoch", json_object_new_string(epoch));
	json_object_object_add(object, "seq", json_object_new_uint64(record->seq));
	json_object_object_add(object, "lane", json_object_new_int((int)record->lane));
	json_object_object_add(object, "segment", json_object_new_string(record->segment));
	json_object_object_add(object, "offset", json_object_new_uint64(record->offset));
	json_object_object_add(object, "size", json_object_new_uint64(record->size));
	if (event)
		json_object_object_add(object, "event", json_from_message(&event->base));
	else
		json_object_object_add(object, "error", json_object_new_string(error));
	output_json(&dump->cli->out, object);
}

static void spool_dump_text(struct spool_dump *dump, const struct inspect_record *record,
			    const Pathbell__V1__Event *event, const char *error)
{
	struct buf line = { .max = 1 << 20 };
	int r = buf_printf(&line, "%8" PRIu64 " ", record->seq);

	if (r == 0 && event)
		r = render_event(&dump->cli->out, "", event, &line);
	else if (r == 0)
		r = buf_printf(&line, "(%zu bytes that are no event: ", record->size) ?:
		    output_escape(&line, error, strlen(error)) ?: buf_printf(&line, ")");
	if (r == 0)
		output_raw_line(&dump->cli->out, &line);
	buf_deinit(&line);
}

static bool spool_dump_record(void *data, const struct inspect_record *record)
{
	struct spool_dump *dump = data;
	Pathbell__V1__Event *event;
	struct errmsg err = { 0 };

	if (record->seq < dump->from_seq)
		return true;
	if (dump->limit && dump->shown == dump->limit)
		return false;
	event = codec_unpack(&pathbell__v1__event__descriptor, &scan_limits_event, NULL,
			     record->data, record->size, &err);
	if (dump->cli->out.json)
		spool_dump_json(dump, record, event, err.text);
	else
		spool_dump_text(dump, record, event, err.text);
	dump->shown++;
	dump->unreadable += !event;
	if (event)
		protobuf_c_message_free_unpacked(&event->base, NULL);
	return ferror(dump->cli->out.file) == 0;
}

static int spool_dump_run(struct cli *cli)
{
	struct spool_dump dump = { .cli = cli };
	struct inspect_callbacks callbacks = { .data = &dump,
					       .record = spool_dump_record,
					       .finding = spool_finding_aside };
	struct inspect_report report = { 0 };
	struct errmsg err = { 0 };
	size_t from = 0;
	int r;

	if (!cli_get_number(cli, "from", 0, 0, SIZE_MAX, &from) ||
	    !cli_get_number(cli, "limit", 0, 1, SIZE_MAX, &dump.limit))
		return CLI_USAGE;
	dump.from_seq = from;
	r = inspect_run(cli->operands[0], &callbacks, &report, &err);
	if (r < 0)
		return spool_fail(cli->operands[0], r, &err);
	return report.bad_segments + report.corrupt_records + dump.unreadable ? CLI_FAILED : CLI_OK;
}

static const struct cli_option spool_dump_options[] = {
	{ "from", "SEQ", "begin with this sequence number", 0, false },
	{ "limit", "N", "at most N records", 'n', false },
	{ NULL, NULL, NULL, 0, false },
};

const struct cli_command spool_check_command = {
	.path = "local spool check",
	.summary = "Check the files of a spool (exit 1 when something is damaged)",
	.operands = "DIR",
	.min_operands = 1,
	.max_operands = 1,
	.help = "DIR is the agent's spool folder, for example /var/lib/pathbell/spool. Nothing is "
		"written; the agent may run.",
	.run = spool_check_run,
};

const struct cli_command spool_dump_command = {
	.path = "local spool dump",
	.summary = "Print the records in the files of a spool",
	.operands = "DIR",
	.min_operands = 1,
	.max_operands = 1,
	.options = spool_dump_options,
	.help = "DIR is the agent's spool folder, for example /var/lib/pathbell/spool. Nothing is "
		"written; the agent may run.",
	.run = spool_dump_run,
};
