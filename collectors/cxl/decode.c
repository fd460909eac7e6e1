/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors/cxl/decode.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/*
 * init   each field of the format file is looked up in cxl_rows by name and by what it is (a text
 *	  or a number: `device` is both). What is not there is kept to be put into `extra`; the
 *	  fields that every known kernel has and this one lacks, and those that are new, make the
 *	  notice.
 * decode each field that lies within the record is stored. One that does not makes the event
 *	  partial, and says so in `extra`: half an event is better than none.
 */
#define CXL_SEVERITY(x) PATHBELL__V1__SEVERITY__SEVERITY_##x
#define CXL_NOT_KNOWN	UINT64_MAX
#define CXL_HEX_BYTES	64
#define CXL_SERIAL	offsetof(Pathbell__V1__CxlMemEvent, serial)
/* A device without the PCIe serial number capability: pci_get_dsn gives 0 and the model of QEMU all
 * ones. */
#define CXL_NO_SERIAL UINT64_MAX

static bool cxl_is_text(const struct format_field *field)
{
	return field->kind != FORMAT_PLAIN || field->size > 8;
}

static bool cxl_row_fits(const struct cxl_row *row, const struct format_field *field)
{
	switch (row->type) {
	case CXL_STRING:
		return cxl_is_text(field);
	case CXL_BYTES:
		return field->kind != FORMAT_PLAIN || field->size >= row->max;
	case CXL_EXTRA:
	case CXL_SKIP:
		return true;
	default:
		return field->kind == FORMAT_PLAIN && (field->size == 1 || field->size == 2 ||
						       field->size == 4 || field->size == 8);
	}
}

static const struct cxl_row *cxl_row_find(enum cxl_event_id id, const struct format_field *field)
{
	for (size_t i = 0; i < cxl_n_rows; i++) {
		const struct cxl_row *row = &cxl_rows[i];

		if ((row->events & (UINT32_C(1) << id)) != 0 &&
		    strcmp(row->name, field->name) == 0 && cxl_row_fits(row, field))
			return row;
	}
	return NULL;
}

static bool cxl_is_filled(const struct cxl_decoder *decoder, size_t offset)
{
	for (size_t i = 0; i < decoder->n_fields; i++) {
		const struct cxl_row *row = decoder->fields[i].row;

		if (row != NULL && row->type != CXL_EXTRA && row->type != CXL_SKIP &&
		    row->offset == offset)
			return true;
	}
	return false;
}

static void cxl_notice(struct cxl_decoder *decoder, const char *what, const char *name)
{
	size_t len = strlen(decoder->notice);

	snprintf(decoder->notice + len, sizeof(decoder->notice) - len, "%s%s %s",
		 len == 0 ? "" : ", ", what, name);
}

static void cxl_compare(struct cxl_decoder *decoder)
{
	uint32_t bit = UINT32_C(1) << decoder->event->id;

	for (size_t i = 0; i < decoder->n_fields; i++) {
		if (decoder->fields[i].row == NULL)
			cxl_notice(decoder, "new", decoder->fields[i].field.name);
	}
	for (size_t i = 0; i < cxl_n_rows; i++) {
		if ((cxl_rows[i].expected & bit) != 0 &&
		    !cxl_is_filled(decoder, cxl_rows[i].offset))
			cxl_notice(decoder, "missing", cxl_rows[i].name);
	}
}

int cxl_decoder_init(struct cxl_decoder *decoder, const struct cxl_event *event,
		     const struct format *format, struct errmsg *err)
{
	const struct format_field *type = format_find(format, FORMAT_COMMON_TYPE);

	*decoder = (struct cxl_decoder){ .event = event, .type = (uint16_t)format->id };
	if (type == NULL || type->kind != FORMAT_PLAIN || type->size != 2) {
		errmsg_set(err, "trace event %s has no common_type", format->event);
		return -EBADMSG;
	}
	decoder->common_type = *type;
	for (size_t i = 0; i < format->n_fields; i++) {
		const struct format_field *field = &format->fields[i];

		if (strncmp(field->name, "common_", strlen("common_")) == 0)
			continue;
		decoder->fields[decoder->n_fields].field = *field;
		decoder->fields[decoder->n_fields++].row = cxl_row_find(event->id, field);
	}
	cxl_compare(decoder);
	return 0;
}

/* Protobuf wants UTF-8, and these bytes come from kernel memory. */
static void cxl_clean(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < ' ' || *text > '~')
			*text = '?';
	}
}

static void cxl_add_extra(struct cxl_record *record, const char *key)
{
	Pathbell__V1__Attribute *attribute = &record->attributes[record->n_extra];

	*attribute = (Pathbell__V1__Attribute)PATHBELL__V1__ATTRIBUTE__INIT;
	attribute->key = (char *)key;
	attribute->value = record->values[record->n_extra];
	record->extra[record->n_extra++] = attribute;
}

static void cxl_print_bytes(char *text, const uint8_t *data, size_t size)
{
	*text = '\0';
	for (size_t i = 0; i < size && i < CXL_HEX_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", data[i]);
}

/* As the kernel means it, as far as the layout tells: text, number, else bytes. */
static bool cxl_put_extra(struct cxl_record *record, const struct format_field *field,
			  const void *data, size_t size)
{
	char *value = record->values[record->n_extra];
	const uint8_t *bytes;
	size_t n_bytes;
	uint64_t number;
	int64_t negative;

	if (record->n_extra == CXL_MAX_EXTRA - 1)
		return true;
	if (field->kind != FORMAT_PLAIN) {
		if (!format_string(field, data, size, value, CXL_TEXT_SIZE))
			return false;
		cxl_clean(value);
	} else if (field->is_signed && !field->is_array &&
		   format_int(field, data, size, &negative)) {
		snprintf(value, CXL_TEXT_SIZE, "%" PRId64, negative);
	} else if (!field->is_array && format_uint(field, data, size, &number)) {
		snprintf(value, CXL_TEXT_SIZE, "%" PRIu64, number);
	} else {
		if (!format_bytes(field, data, size, &bytes, &n_bytes))
			return false;
		cxl_print_bytes(value, bytes, n_bytes);
	}
	cxl_add_extra(record, field->name);
	return true;
}

static bool cxl_put_string(struct cxl_record *record, char **target,
			   const struct format_field *field, const void *data, size_t size)
{
	char *text = record->texts[record->n_texts];

	if (record->n_texts == CXL_MAX_TEXTS)
		return true;
	if (!format_string(field, data, size, text, CXL_TEXT_SIZE))
		return false;
	cxl_clean(text);
	*target = text;
	record->n_texts++;
	return true;
}

static bool cxl_put_bytes(const struct cxl_row *row, ProtobufCBinaryData *target,
			  const struct format_field *field, const void *data, size_t size)
{
	const uint8_t *bytes;
	size_t n_bytes;

	if (!format_bytes(field, data, size, &bytes, &n_bytes))
		return false;
	target->data = (uint8_t *)bytes;
	target->len = n_bytes < row->max ? n_bytes : row->max;
	return true;
}

/* enum cxl_poison_trace_type, drivers/cxl/core/core.h 6.12. */
static const char *cxl_trace_type(uint64_t value)
{
	static const char *const names[] = { "list", "inject", "clear" };

	return value < sizeof(names) / sizeof(names[0]) ? names[value] : "unknown";
}

static bool cxl_put_number(const struct cxl_row *row, void *target,
			   const struct format_field *field, const void *data, size_t size)
{
	uint64_t value;
	int64_t negative;

	if (!format_uint(field, data, size, &value) || !format_int(field, data, size, &negative))
		return false;
	switch (row->type) {
	case CXL_U32:
		*(uint32_t *)target = (uint32_t)value;
		break;
	case CXL_U64:
		*(uint64_t *)target = value;
		break;
	case CXL_S32:
		*(int32_t *)target = (int32_t)negative;
		break;
	case CXL_LOG:
		*(uint32_t *)target = (uint32_t)value + 1;
		break;
	default:
		*(const char **)target = cxl_trace_type(value);
		break;
	}
	return true;
}

static bool cxl_put(struct cxl_record *record, const struct cxl_row *row,
		    const struct format_field *field, const void *data, size_t size)
{
	void *target = row == NULL ? NULL : (char *)&record->mem + row->offset;

	if (row == NULL || row->type == CXL_EXTRA)
		return cxl_put_extra(record, field, data, size);
	switch (row->type) {
	case CXL_SKIP:
		return true;
	case CXL_STRING:
		return cxl_put_string(record, target, field, data, size);
	case CXL_BYTES:
		return cxl_put_bytes(row, target, field, data, size);
	default:
		return cxl_put_number(row, target, field, data, size);
	}
}

int cxl_decode(const struct cxl_decoder *decoder, const void *data, size_t size,
	       struct cxl_record *record)
{
	enum cxl_event_id id = decoder->event->id;
	uint64_t type;

	if (!format_uint(&decoder->common_type, data, size, &type))
		return -EBADMSG;
	if (type != decoder->type)
		return CXL_E_OTHER_EVENT;
	pathbell__v1__cxl_mem_event__init(&record->mem);
	record->n_texts = record->n_extra = 0;
	record->partial = false;
	record->has_serial = false;
	record->mem.record = (char *)decoder->event->name;
	record->mem.uncorrectable = id == CXL_AER_UNCORRECTABLE || id == CXL_PORT_AER_UNCORRECTABLE;
	if (id == CXL_GENERAL_MEDIA || id == CXL_DRAM || id == CXL_POISON)
		record->mem.hpa = CXL_NOT_KNOWN;
	for (size_t i = 0; i < decoder->n_fields; i++) {
		const struct cxl_row *row = decoder->fields[i].row;

		if (!cxl_put(record, row, &decoder->fields[i].field, data, size))
			record->partial = true;
		else if (row != NULL && row->type == CXL_U64 && row->offset == CXL_SERIAL)
			record->has_serial = true;
	}
	if (record->partial) {
		snprintf(record->values[record->n_extra], CXL_TEXT_SIZE, "true");
		cxl_add_extra(record, "partial");
	}
	return 0;
}

static Pathbell__V1__Severity cxl_log_severity(uint32_t log)
{
	static const Pathbell__V1__Severity severities[] = {
		/* enum cxl_event_log_type, drivers/cxl/cxlmem.h 6.12; log is plus one */
		CXL_SEVERITY(NOTICE), CXL_SEVERITY(INFO),     CXL_SEVERITY(WARNING),
		CXL_SEVERITY(ERROR),  CXL_SEVERITY(CRITICAL),
	};

	return log < sizeof(severities) / sizeof(severities[0]) ? severities[log]
								: CXL_SEVERITY(WARNING);
}

static Pathbell__V1__Severity cxl_poison_severity(const Pathbell__V1__CxlMemEvent *mem)
{
	if (strcmp(mem->poison_trace_type, "clear") == 0)
		return CXL_SEVERITY(INFO);
	return strcmp(mem->poison_trace_type, "inject") == 0 ? CXL_SEVERITY(NOTICE)
							     : CXL_SEVERITY(WARNING);
}

/* Bits of CXL 3.1 section 8.2.9.2.1, as drivers/cxl/core/trace.h 6.12 names them. */
#define CXL_FLAG_PERMANENT	     (1U << 2)
#define CXL_FLAG_REPLACE	     (1U << 5)
#define CXL_DESCRIPTOR_UNCORRECTABLE (1U << 0)
#define CXL_MEDIA_ALL_DATA_LOST	     3

Pathbell__V1__Severity cxl_severity(const struct cxl_event *event,
				    const Pathbell__V1__CxlMemEvent *mem)
{
	Pathbell__V1__Severity severity, least = CXL_SEVERITY(INFO);

	if (event->id == CXL_POISON)
		return cxl_poison_severity(mem);
	if (event->kind == PATHBELL__V1__EVENT_KIND__EVENT_KIND_CXL_AER)
		return mem->uncorrectable ? CXL_SEVERITY(ERROR) : CXL_SEVERITY(WARNING);
	severity = cxl_log_severity(mem->log);
	if ((mem->flags & (CXL_FLAG_PERMANENT | CXL_FLAG_REPLACE)) != 0 ||
	    event->id == CXL_OVERFLOW)
		least = CXL_SEVERITY(WARNING);
	if ((mem->descriptor & CXL_DESCRIPTOR_UNCORRECTABLE) != 0)
		least = CXL_SEVERITY(ERROR);
	if (event->id == CXL_MEMORY_MODULE && mem->media_status == CXL_MEDIA_ALL_DATA_LOST)
		least = CXL_SEVERITY(CRITICAL);
	return severity > least ? severity : least;
}

void cxl_subject(const struct cxl_event *event, const struct cxl_record *record,
		 struct cxl_names *names, Pathbell__V1__Subject *ret_subject)
{
	const Pathbell__V1__CxlMemEvent *mem = &record->mem;
	bool is_port =
		event->id == CXL_PORT_AER_CORRECTABLE || event->id == CXL_PORT_AER_UNCORRECTABLE;

	pathbell__v1__subject__init(ret_subject);
	ret_subject->name = mem->memdev;
	ret_subject->bus_address = is_port ? mem->memdev : mem->host_bridge;
	ret_subject->id = names->id;
	if (!is_port)
		ret_subject->type = PATHBELL__V1__SUBJECT_TYPE__SUBJECT_TYPE_CXL_MEMDEV;
	if (record->has_serial && mem->serial != CXL_NO_SERIAL) {
		snprintf(names->serial, sizeof(names->serial), "%" PRIx64, mem->serial);
		snprintf(names->id, sizeof(names->id), "serial:%s", names->serial);
		ret_subject->serial = names->serial;
	} else if (is_port) {
		snprintf(names->id, sizeof(names->id), "pci:%.80s", mem->memdev);
	} else {
		snprintf(names->id, sizeof(names->id), "memdev:%.80s", mem->memdev);
	}
}
