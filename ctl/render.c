/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/render.h"

#include <inttypes.h>
#include <string.h>

#include "core/id.h"
#include "ctl/when.h"
#include "proto/kind.h"

#define RENDER_MAX_ELEMENTS 16 /* of a repeated field on one line */
#define RENDER_MAX_BYTES    64

/* ---- any message, by its descriptor ---- */

static bool render_is_zero(const void *value, size_t size)
{
	const uint8_t *bytes = value;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

/* In-memory size of one value (protobuf-c.h, ProtobufCType). */
static size_t render_value_size(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	default:
		return 4;
	}
}

static bool render_is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *)message;
	const char *text;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(base + field->quantifier_offset) > 0;
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(base + field->quantifier_offset) == field->id;
	if (field->type == PROTOBUF_C_TYPE_STRING) {
		text = *(const char *const *)(base + field->offset);
		return text && *text;
	}
	if (field->type == PROTOBUF_C_TYPE_BYTES)
		return ((const ProtobufCBinaryData *)(base + field->offset))->len > 0;
	return !render_is_zero(base + field->offset, render_value_size(field));
}

static int render_text(const char *text, struct buf *out)
{
	size_t len = strlen(text);
	bool quote = len == 0 || text[strcspn(text, " \"={}")] != '\0';
	int r = quote ? buf_append(out, "\"", 1) : 0;

	r = r ?: output_escape(out, text, len);
	return r || !quote ? r : buf_append(out, "\"", 1);
}

static int render_bytes(const ProtobufCBinaryData *bytes, struct buf *out)
{
	size_t n = bytes->len < RENDER_MAX_BYTES ? bytes->len : RENDER_MAX_BYTES;
	char hex[2 * RENDER_MAX_BYTES + 1];

	id_hex(bytes->data, n, hex);
	return buf_printf(out, n < bytes->len ? "%s...(%zu bytes)" : "%s", hex, bytes->len);
}

static int render_enum(const ProtobufCFieldDescriptor *field, uint32_t number, struct buf *out)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
		(const ProtobufCEnumDescriptor *)field->descriptor, (int)number);

	return value ? buf_printf(out, "%s", value->name) : buf_printf(out, "%" PRIu32, number);
}

static int render_value(const ProtobufCFieldDescriptor *field, const void *value, struct buf *out)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return buf_printf(out, "%" PRId32, *(const int32_t *)value);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return buf_printf(out, "%" PRIu32, *(const uint32_t *)value);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return buf_printf(out, "%" PRId64, *(const int64_t *)value);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return buf_printf(out, "%" PRIu64, *(const uint64_t *)value);
	case PROTOBUF_C_TYPE_BOOL:
		return buf_printf(out, "%s", *(const protobuf_c_boolean *)value ? "true" : "false");
	case PROTOBUF_C_TYPE_ENUM:
		return render_enum(field, *(const uint32_t *)value, out);
	case PROTOBUF_C_TYPE_STRING:
		return render_text(*(const char *const *)value ?: "", out);
	case PROTOBUF_C_TYPE_BYTES:
		return render_bytes(value, out);
	case PROTOBUF_C_TYPE_MESSAGE: /* the schema nests three deep at most and never in itself */
		return buf_append(out, "{", 1) ?: render_fields(*(const ProtobufCMessage *const *)value, out) ?:
						  buf_append(out, "}", 1);
	default: /* float and double: none in the schema */
		return buf_append(out, "?", 1);
	}
}

static int render_repeated(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field,
			   struct buf *out)
{
	const char *base = (const char *)message;
	const char *items = *(const char *const *)(base + field->offset);
	size_t n = *(const size_t *)(base + field->quantifier_offset);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n && i < RENDER_MAX_ELEMENTS; i++)
		r = (i ? buf_append(out, ",", 1) : 0)
			    ?: render_value(field, items + i * render_value_size(field), out);
	return r || n <= RENDER_MAX_ELEMENTS ? r : buf_printf(out, ",...(%zu)", n);
}

int render_fields(const ProtobufCMessage *message, struct buf *out)
{
	size_t shown = 0;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < message->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];

		if (!render_is_set(message, field))
			continue;
		r = buf_printf(out, "%s%s=", shown++ ? " " : "", field->name);
		if (r == 0 && field->label == PROTOBUF_C_LABEL_REPEATED)
			r = render_repeated(message, field, out);
		else if (r == 0)
			r = render_value(field, (const char *)message + field->offset, out);
	}
	return r;
}

/* ---- the line ---- */

int render_subject(const Pathbell__V1__Subject *subject, struct buf *out)
{
	const char *name = subject ? subject->name : "";
	const char *id = subject ? subject->id : "";
	int r = 0;

	if (!*name && !*id)
		return buf_append(out, "-", 1);
	if (!*name)
		return output_escape(out, id, strlen(id));
	r = output_escape(out, name, strlen(name));
	if (r == 0 && *id)
		r = buf_append(out, "[", 1) ?: output_escape(out, id, strlen(id)) ?: buf_append(out, "]", 1);
	return r;
}

static int render_cell(const struct output *output, enum output_colour colour, const char *text,
		       int width, struct buf *out)
{
	struct buf cell = { .max = 1 << 16 };
	int r = output_escape(&cell, text, strlen(text));

	if (r == 0) {
		size_t columns = output_columns((const char *)cell.data, cell.size);
		int pad = columns < (size_t)width ? width - (int)columns : 0;

		r = buf_printf(out, "%s%.*s%s%*s ", output_colour_on(output, colour),
			       (int)cell.size, cell.data ? (const char *)cell.data : "",
			       output_colour_off(output, colour), pad, "");
	}
	buf_deinit(&cell);
	return r;
}

/* What is true of the event as a whole, in front of and behind the payload. */
static int render_marks(const Pathbell__V1__Event *event, struct buf *out)
{
	int r = event->replayed ? buf_printf(out, "[replay] ") : 0;

	if (r == 0 && event->fault_phase == PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_RAISED)
		r = buf_printf(out, "raised: ");
	if (r == 0 && event->fault_phase == PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_CLEARED)
		r = buf_printf(out, "cleared: ");
	return r;
}

static int render_tail(const Pathbell__V1__Event *event, struct buf *out)
{
	int r = event->coalesced ? buf_printf(out, " (and %" PRIu32 " more)", event->coalesced) : 0;

	for (size_t i = 0; r == 0 && i < event->n_extra && i < RENDER_MAX_ELEMENTS; i++)
		r = buf_append(out, " ", 1) ?: output_escape(out, event->extra[i]->key, strlen(event->extra[i]->key)) ?:
		    buf_append(out, "=", 1) ?: render_text(event->extra[i]->value, out);
	if (r == 0 && event->raw.len)
		r = buf_printf(out, " raw=") ?: render_bytes(&event->raw, out);
	return r;
}

int render_event(const struct output *output, const char *host, const Pathbell__V1__Event *event,
		 struct buf *out)
{
	char when[WHEN_TEXT_SIZE];
	struct buf subject = { .max = 1 << 16 };
	int r;

	when_format(event->time_unix_ns ? event->time_unix_ns : event->observed_unix_ns,
		    output->utc, when);
	r = render_cell(output, OUTPUT_DIM, when, 0, out);
	if (r == 0 && *host)
		r = render_cell(output, OUTPUT_PLAIN, host, 10, out);
	r = r
		    ?: render_cell(output, output_severity_colour(event->severity),
				   severity_name(event->severity), 8, out);
	r = r ?: render_cell(output, OUTPUT_BOLD, kind_name(event->kind), 22, out);
	r = r ?: render_subject(event->subject, &subject) ?: buf_append(&subject, "", 1);
	if (r ==
	    0) /* escaped already, but escaping is stable over text that holds no unsafe byte */
		r = render_cell(output, OUTPUT_PLAIN, (const char *)subject.data, 8, out);
	buf_deinit(&subject);
	return r ?: render_marks(event, out) ?: render_payload(event, out) ?: render_tail(event, out);
}

int render_stored(const struct output *output, const Pathbell__V1__StoredEvent *stored,
		  struct buf *out)
{
	if (!stored->event)
		return buf_printf(out, "%" PRIu64 " (no event)", stored->id);
	return render_event(output, *stored->host_id ? stored->host_id : "-", stored->event, out);
}
