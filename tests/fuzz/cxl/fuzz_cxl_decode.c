/* SPDX-License-Identifier: Apache-2.0 */
/* First a format file up to a NUL, then a record: every CXL event over any layout. */
#include <stdlib.h>
#include <string.h>

#include "collectors/cxl/decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pack(const struct cxl_event *known, struct cxl_record *record)
{
	Pathbell__V1__Event event = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Subject subject;
	struct cxl_names names;
	size_t packed;
	uint8_t *out;

	cxl_subject(known, record, &names, &subject);
	event.severity = cxl_severity(known, &record->mem);
	event.subject = &subject;
	event.extra = record->extra;
	event.n_extra = record->n_extra;
	event.payload_case = PATHBELL__V1__EVENT__PAYLOAD_CXL_MEM;
	event.cxl_mem = &record->mem;
	packed = pathbell__v1__event__get_packed_size(&event);
	out = malloc(packed);
	if (out != NULL && pathbell__v1__event__pack(&event, out) != packed)
		abort();
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct format format;
	static struct cxl_decoder decoder;
	static struct cxl_record record;
	const uint8_t *end = memchr(data, '\0', size);
	struct errmsg err = { 0 };
	size_t used;

	if (end == NULL || format_parse((const char *)data, (size_t)(end - data), &format, &err))
		return 0;
	used = (size_t)(end - data) + 1;
	for (size_t i = 0; i < CXL_N_EVENTS; i++) {
		if (cxl_decoder_init(&decoder, &cxl_events[i], &format, &err) == 0 &&
		    cxl_decode(&decoder, data + used, size - used, &record) == 0)
			pack(&cxl_events[i], &record);
	}
	return 0;
}
