/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/report.h"

#include <string.h>

#include "core/clock.h"
#include "core/id.h"
#include "core/log.h"
#include "proto/kind.h"

#define LIFE(name) PATHBELL__V1__COMMAND_LIFE__COMMAND_LIFE_##name

void report_init(struct report *report, const struct commands_options *options,
		 struct commands_counters *counters, struct journal *journal, struct audit *audit)
{
	*report = (struct report){
		.options = options, .counters = counters, .journal = journal, .audit = audit
	};
}

static uint64_t report_now_ms(void)
{
	return clock_realtime_ns() / CLOCK_NS_PER_MS;
}

void report_log(const struct entry *entry)
{
	char id[ID_TEXT_SIZE];

	id_format(entry->id, id);
	log_notice("command id=%s verb=%s life=%s refusal=%s object=\"%s\" issuer=\"%s\" "
		   "detail=\"%s\"",
		   id, command_verb_name(entry->verb), command_life_name(entry->life),
		   entry->refusal ? command_refusal_name(entry->refusal) : "none", entry->object,
		   entry->issuer, entry->detail);
}

void report_audit(struct report *report, const struct entry *entry, const char *keys)
{
	audit_entry(report->audit, entry, keys, report_now_ms(), NULL, NULL);
}

void report_step(struct report *report, const struct entry *entry)
{
	announce_entry(&report->options->announcer, entry);
}

static void report_on_synced(void *data)
{
	struct report *report = data;

	for (size_t i = 0; i < report->syncing.n_ids; i++) {
		const struct entry *found = journal_find(report->journal, report->syncing.ids[i]);
		struct entry entry;

		if (!found)
			continue;
		entry = *found;
		entry.reported = true;
		journal_record(report->journal, &entry, report_now_ms(), NULL, NULL);
	}
	report->syncing.n_ids = 0;
	if (report->told.n_ids == 0)
		return;
	report->syncing = report->told;
	report->told.n_ids = 0;
	if (report->options->announcer.sync(report->options->announcer.data, report_on_synced,
					    report))
		report->syncing.n_ids = 0; /* told again after the next start */
}

void report_again(struct report *report, const struct entry *entry)
{
	struct report_told *told = report->syncing.n_ids ? &report->told : &report->syncing;

	report_step(report, entry);
	if (entry->reported || !command_life_is_final(entry->life) ||
	    told->n_ids == REPORT_MAX_TOLD)
		return;
	memcpy(told->ids[told->n_ids++], entry->id, 16);
	if (told == &report->told)
		return; /* after the sync that is under way */
	if (report->options->announcer.sync(report->options->announcer.data, report_on_synced,
					    report))
		report->syncing.n_ids = 0;
}

static void report_on_final(void *data, const uint8_t id[16], int error)
{
	struct report *report = data;
	const struct entry *entry = journal_find(report->journal, id);

	if (!entry)
		return;
	report_log(entry);
	/* Unwritten or not, it is the truth: told. After a crash it may be told otherwise, never
	 * done twice. */
	report_again(report, entry);
}

static void report_on_rejected(void *data, const uint8_t id[16], int error)
{
	struct report *report = data;

	report_on_final(data, id, error);
	report->options->receipt(report->options->data, id);
}

static int report_record(struct report *report, struct entry *entry, journal_done done)
{
	entry->command = NULL;
	entry->command_size = 0;
	entry->reported = false;
	if (journal_record(report->journal, entry, report_now_ms(), done, report) == 0)
		return 0;
	report_log(entry);
	report_step(report, entry);
	return JOURNAL_E_FULL;
}

void report_end(struct report *report, struct entry *entry)
{
	counter_value *counter = &report->counters->failed;

	if (entry->life == LIFE(SUCCEEDED))
		counter = &report->counters->finished;
	else if (entry->life == LIFE(REJECTED))
		counter = &report->counters->refused;
	counter_add(counter, 1);
	report_audit(report, entry, NULL);
	report_record(report, entry, report_on_final);
}

void report_reject(struct report *report, struct entry *entry)
{
	counter_add(&report->counters->refused, 1);
	if (report_record(report, entry, report_on_rejected))
		report->options->receipt(report->options->data, entry->id);
}
