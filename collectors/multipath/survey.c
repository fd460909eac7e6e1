/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/multipath/survey.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "collectors/multipath/report.h"
#include "core/fd.h"
#include "mapper/dm.h"

/* In the child only what is safe after fork in a program with threads: no malloc, no stdio, no log.
 */
struct survey_child {
	int control, out;
	const struct survey_known *known;
	size_t n_known;
	bool all;
	struct dm_buffer list, table, info;
	void *record; /* REPORT_RECORD_MAX */
};

static int survey_write(struct survey_child *child, const struct report_record *record)
{
	size_t size = report_encode(record, child->record, REPORT_RECORD_MAX);

	return size == 0 ? -E2BIG : fd_write_all(child->out, child->record, size);
}

static bool survey_is_same(const struct survey_child *child, const struct dm_entry *entry)
{
	if (child->all)
		return false;
	for (size_t i = 0; i < child->n_known; i++)
		if (child->known[i].major == entry->major && child->known[i].minor == entry->minor)
			return child->known[i].event_nr == entry->event_nr;
	return false;
}

/* A map that went away since the list was made is no error: it is not in the report. */
static int survey_map(struct survey_child *child, const struct dm_entry *entry)
{
	struct report_record record = { .kind = REPORT_SAME,
					.major = entry->major,
					.minor = entry->minor,
					.event_nr = entry->event_nr };
	struct dm_status table, info;
	int r;

	if (survey_is_same(child, entry))
		return survey_write(child, &record);
	r = dm_table_status(child->control, &child->table, entry->major, entry->minor, true,
			    &table);
	if (r == -ENXIO || (r == 0 && strcmp(table.target, "multipath") != 0))
		return 0;
	if (r == 0)
		r = dm_table_status(child->control, &child->info, entry->major, entry->minor, false,
				    &info);
	if (r == -ENXIO)
		return 0;
	record.kind = REPORT_MAP;
	record.error = r;
	record.name = entry->name;
	if (r == 0) {
		record.uuid = info.uuid;
		record.suspended = info.suspended;
		record.table = table.text;
		record.info = info.text;
	}
	return survey_write(child, &record);
}

static int survey_all(struct survey_child *child)
{
	struct dm_entry entry;
	size_t offset = 0;
	int r = dm_list(child->control, &child->list);

	while (r == 0 && dm_list_next(&child->list, &offset, &entry))
		r = survey_map(child, &entry);
	return r;
}

static int survey_run(void *data, int out)
{
	struct survey_child *child = data;
	struct report_record end = { .kind = REPORT_END };

	child->out = out;
	child->record = mmap(NULL, REPORT_RECORD_MAX, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (child->record == MAP_FAILED)
		return 1;
	end.error = survey_all(child);
	return survey_write(child, &end) == 0 ? 0 : 1;
}

int survey_start(struct offspring *survey, int control, const struct survey_known *known,
		 size_t n_known)
{
	struct survey_child child = {
		.control = control, .known = known, .n_known = n_known, .all = known == NULL
	};
	struct offspring_spec spec = {
		.name = "pathbelld-dm", .keep = control, .run = survey_run, .data = &child
	};

	return offspring_start(survey, &spec);
}
