/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/multipath/report.h"

#include <errno.h>
#include <string.h>

#define REPORT_STRINGS 4

struct report_head {
	uint32_t size; /* of all of it */
	uint32_t kind, major, minor, event_nr, suspended;
	int32_t error;
	uint32_t string_size[REPORT_STRINGS]; /* with NUL */
};

static const char *report_string(const char *text)
{
	return text != NULL ? text : "";
}

size_t report_encode(const struct report_record *record, void *out, size_t size)
{
	const char *strings[REPORT_STRINGS] = { report_string(record->name),
						report_string(record->uuid),
						report_string(record->info),
						report_string(record->table) };
	struct report_head head = { .kind = record->kind,
				    .major = record->major,
				    .minor = record->minor,
				    .event_nr = record->event_nr,
				    .suspended = record->suspended,
				    .error = record->error };
	size_t need = sizeof(head), at = sizeof(head);

	for (int i = 0; i < REPORT_STRINGS; i++) {
		size_t string_size = strlen(strings[i]) + 1;

		if (string_size > REPORT_RECORD_MAX)
			return 0;
		head.string_size[i] = (uint32_t)string_size;
		need += string_size;
	}
	if (need > size || need > REPORT_RECORD_MAX)
		return 0;
	head.size = (uint32_t)need;
	memcpy(out, &head, sizeof(head));
	for (int i = 0; i < REPORT_STRINGS; i++) {
		memcpy((char *)out + at, strings[i], head.string_size[i]);
		at += head.string_size[i];
	}
	return need;
}

static int report_strings(const char *data, const struct report_head *head,
			  const char *ret_strings[REPORT_STRINGS])
{
	size_t at = sizeof(*head);

	for (int i = 0; i < REPORT_STRINGS; i++) {
		size_t size = head->string_size[i];

		if (size == 0 || size > head->size - at || data[at + size - 1] != '\0' ||
		    strlen(data + at) + 1 != size)
			return -EBADMSG;
		ret_strings[i] = data + at;
		at += size;
	}
	return at == head->size ? 0 : -EBADMSG;
}

int report_next(const void *data, size_t size, size_t *offset, struct report_record *ret_record)
{
	const char *at = (const char *)data + *offset;
	const char *strings[REPORT_STRINGS];
	struct report_head head;

	if (size - *offset < sizeof(head))
		return REPORT_E_PARTIAL;
	memcpy(&head, at, sizeof(head));
	if (head.size < sizeof(head) || head.size > REPORT_RECORD_MAX || head.kind < REPORT_MAP ||
	    head.kind > REPORT_END)
		return -EBADMSG;
	if (size - *offset < head.size)
		return REPORT_E_PARTIAL;
	if (report_strings(at, &head, strings) != 0)
		return -EBADMSG;
	*ret_record = (struct report_record){ .kind = head.kind,
					      .major = head.major,
					      .minor = head.minor,
					      .event_nr = head.event_nr,
					      .suspended = head.suspended,
					      .error = head.error,
					      .name = strings[0],
					      .uuid = strings[1],
					      .info = strings[2],
					      .table = strings[3] };
	*offset += head.size;
	return 0;
}
