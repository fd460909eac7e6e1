/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How it goes: one pass over the bytes, guided by the descriptors that protoc-c generated. For each
 *field
 *	1. wire_next reads tag and value (lengths inside, no groups, no over-long varints);
 *	2. the total of fields, and what protobuf-c will allocate to remember this field, are
 *counted;
 *	3. the descriptor is found (mostly the one after the last) or the field is unknown;
 *	4. the wire type must fit; a singular field may come once, a repeated one up to its maximum;
 *	5. what unpacking it will allocate is added; text is checked; a sub-message is descended
 *into. Nothing is allocated; the depth of the recursion is limits->max_depth.
 *
 * What is refused beyond "not protobuf":
 *	- a singular field, or a second member of one oneof, that comes twice. Protobuf merges or
 *takes the last. No encoder writes that; two readers that take different ones would disagree about
 *the same event (codec_event_head and protobuf-c), and each merge of a sub-message in protobuf-c
 *copies all of its repeated fields again, so allocation would grow with the square.
 *	- NUL in a string: C sees the text before it, the store all of it.
 *	- a longer spelling than five bytes of a tag or length (protobuf-c refuses it as well).
 * Unknown fields pass, because a newer peer may send them; they are counted like all others, and
 * protobuf-c's copies of them are part of the estimate.
 *
 * The estimate follows protobuf-c 1.4 (protobuf_c_message_unpack): one struct per message; slabs of
 * 32-byte notes, the first 16 on the stack, then 32, 64, ...; an array per repeated field; a copy
 *of each string, bytes and unknown field. Every piece is rounded up to 16 bytes as the arena does.
 *The fuzz targets assert that the arena never gives out more than the estimate.
 */
#include "proto/scan.h"

#include <errno.h>
#include <string.h>

#include "proto/wire.h"

#define SCAN_SLAB_FIRST 16 /* protobuf-c: FIRST_SCANNED_MEMBER_SLAB_SIZE_LOG2 4 */
#define SCAN_NOTE_SIZE	32 /* protobuf-c: sizeof(ScannedMember) on 64 bits */

struct scan {
	const struct scan_limits *limits;
	struct errmsg *err;
	struct scan_measure measure;
};

/* One message being scanned. left[i] is valid where bit i of seen is set. */
struct scan_frame {
	const ProtobufCMessageDescriptor *schema;
	struct wire_reader reader;
	unsigned depth;
	unsigned next_index; /* guess: fields come in order */
	uint32_t n_fields;
	uint32_t slab_at, slab_size;
	uint64_t seen[SCAN_MAX_SCHEMA_FIELDS / 64];
	uint32_t left[SCAN_MAX_SCHEMA_FIELDS];
};

static int scan_message(struct scan *scan, const ProtobufCMessageDescriptor *schema,
			const struct wire_field *bytes, unsigned depth);

static int scan_refuse(const struct scan *scan, int error, const struct scan_frame *frame,
		       unsigned index, const char *why)
{
	errmsg_set(scan->err, "%s.%s: %s", frame->schema->short_name,
		   frame->schema->fields[index].name, why);
	return error;
}

static int scan_allocate(struct scan *scan, size_t size)
{
	size_t room = scan->limits->max_allocation - scan->measure.allocation;

	size = (size + 15) & ~(size_t)15;
	if (size <= room) {
		scan->measure.allocation += size;
		return 0;
	}
	errmsg_set(scan->err, "unpacking would allocate more than %zu bytes",
		   scan->limits->max_allocation);
	return -EMSGSIZE;
}

/* UTF-8 by RFC 3629 section 4; returns the length of the sequence at @pos or 0. */
static size_t scan_sequence(const uint8_t *pos, size_t size)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t length;

	if (pos[0] < 0xc2 || pos[0] > 0xf4)
		return 0;
	length = pos[0] < 0xe0 ? 2 : pos[0] < 0xf0 ? 3 : 4;
	if (pos[0] == 0xe0)
		low = 0xa0;
	else if (pos[0] == 0xed)
		high = 0x9f;
	else if (pos[0] == 0xf0)
		low = 0x90;
	else if (pos[0] == 0xf4)
		high = 0x8f;
	if (size < length || pos[1] < low || pos[1] > high)
		return 0;
	for (size_t n = 2; n < length; n++)
		if ((pos[n] & 0xc0) != 0x80)
			return 0;
	return length;
}

/* Eight bytes that are all 0x01 to 0x7f. */
static bool scan_is_plain(const uint8_t *pos)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t word;

	memcpy(&word, pos, sizeof(word));
	return ((word | (word - ones)) & (ones << 7)) == 0;
}

bool scan_is_text(const void *data, size_t size)
{
	const uint8_t *pos = data;
	const uint8_t *end = size > 0 ? pos + size : pos;
	size_t length;

	while (pos < end) {
		if (end - pos >= 8 && scan_is_plain(pos)) {
			pos += 8;
			continue;
		}
		length = *pos < 0x80 ? *pos != 0 : scan_sequence(pos, (size_t)(end - pos));
		if (length == 0)
			return false;
		pos += length;
	}
	return true;
}

static bool scan_is_packable(ProtobufCType type)
{
	return type != PROTOBUF_C_TYPE_STRING && type != PROTOBUF_C_TYPE_BYTES &&
	       type != PROTOBUF_C_TYPE_MESSAGE;
}

enum wire_type scan_wire_type(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_FLOAT:
		return WIRE_FIXED32;
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return WIRE_FIXED64;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return WIRE_BYTES;
	default:
		return WIRE_VARINT;
	}
}

size_t scan_element_size(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	default: /* 32-bit numbers, enum, protobuf_c_boolean (int) */
		return 4;
	}
}

/* Index of the field with @number, or -1. */
static int scan_find(struct scan_frame *frame, uint32_t number)
{
	const ProtobufCFieldDescriptor *fields = frame->schema->fields;
	unsigned low = 0, high = frame->schema->n_fields;

	if (frame->next_index < high && fields[frame->next_index].id == number)
		return (int)frame->next_index;
	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (fields[middle].id == number)
			return (int)middle;
		if (fields[middle].id < number)
			low = middle + 1;
		else
			high = middle;
	}
	return -1;
}

/* Counts one more field of the message, and the note that protobuf-c takes of it. */
static int scan_count(struct scan *scan, struct scan_frame *frame)
{
	if (scan->measure.fields >= scan->limits->max_fields) {
		errmsg_set(scan->err, "%s: more than %u fields in the message",
			   frame->schema->short_name, scan->limits->max_fields);
		return -EMSGSIZE;
	}
	scan->measure.fields++;
	if (frame->n_fields++ < frame->slab_at)
		return 0;
	frame->slab_at += frame->slab_size;
	frame->slab_size *= 2;
	return scan_allocate(scan, (size_t)frame->slab_size / 2 * SCAN_NOTE_SIZE);
}

static int scan_unknown(struct scan *scan, const struct scan_frame *frame, const uint8_t *start)
{
	size_t size = (size_t)(frame->reader.pos - start);
	int r;

	r = scan_allocate(scan, sizeof(ProtobufCMessageUnknownField));
	return r < 0 ? r : scan_allocate(scan, size);
}

/* The member of the same oneof as field @index that was seen before, or NULL. */
static const ProtobufCFieldDescriptor *scan_sibling(const struct scan_frame *frame, unsigned index)
{
	const ProtobufCFieldDescriptor *fields = frame->schema->fields;

	for (unsigned word = 0; word < SCAN_MAX_SCHEMA_FIELDS / 64; word++) {
		for (uint64_t left = frame->seen[word]; left != 0; left &= left - 1) {
			unsigned n = word * 64 + (unsigned)__builtin_ctzll(left);

			if ((fields[n].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
			    fields[n].quantifier_offset == fields[index].quantifier_offset)
				return &fields[n];
		}
	}
	return NULL;
}

/* The first sight of a singular field in its message. */
static int scan_first(struct scan *scan, struct scan_frame *frame, unsigned index)
{
	if ((frame->schema->fields[index].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
	    scan_sibling(frame, index))
		return scan_refuse(scan, -EBADMSG, frame, index, "second member of a oneof");
	frame->seen[index / 64] |= UINT64_C(1) << index % 64;
	return 0;
}

/* @n more elements of a repeated field. */
static int scan_elements(struct scan *scan, struct scan_frame *frame, unsigned index, size_t n)
{
	const ProtobufCFieldDescriptor *field = &frame->schema->fields[index];
	uint32_t max;
	int r;

	if (!(frame->seen[index / 64] >> index % 64 & 1)) {
		frame->seen[index / 64] |= UINT64_C(1) << index % 64;
		max = scan_stated_maximum(frame->schema, field->id);
		frame->left[index] = max ? max : scan->limits->max_elements;
		r = scan_allocate(scan, 16); /* rounding of the array */
		if (r < 0)
			return r;
	}
	if (n > frame->left[index]) {
		max = scan_stated_maximum(frame->schema, field->id);
		errmsg_set(scan->err, "%s.%s: more than %u elements", frame->schema->short_name,
			   field->name, max ? max : scan->limits->max_elements);
		return -EMSGSIZE;
	}
	frame->left[index] -= (uint32_t)n;
	return scan_allocate(scan, n * scan_element_size(field->type));
}

static int scan_packed(struct scan *scan, struct scan_frame *frame, unsigned index,
		       const struct wire_field *wire)
{
	ProtobufCType type = frame->schema->fields[index].type;
	enum wire_type element = scan_wire_type(type);
	size_t width = element == WIRE_FIXED32 ? 4 : 8;
	struct wire_reader reader;
	uint64_t value;
	size_t n = 0;
	int r = 0;

	if (element != WIRE_VARINT) {
		if (wire->size % width != 0)
			return scan_refuse(scan, -EBADMSG, frame, index, "packed size is odd");
		return scan_elements(scan, frame, index, wire->size / width);
	}
	wire_reader_init(&reader, wire->data, wire->size);
	while ((r = wire_next_varint(&reader, &value)) == 0)
		n++;
	if (r < 0)
		return scan_refuse(scan, r, frame, index, "bad packed varint");
	/* protobuf-c counts the bytes of packed bools and takes 0 and 1 only. */
	if (type == PROTOBUF_C_TYPE_BOOL && n != wire->size)
		return scan_refuse(scan, -EBADMSG, frame, index, "bad packed bool");
	return scan_elements(scan, frame, index, n);
}

/* What the value itself needs: text, copies, descent. */
static int scan_value(struct scan *scan, struct scan_frame *frame, unsigned index,
		      const struct wire_field *wire)
{
	const ProtobufCFieldDescriptor *field = &frame->schema->fields[index];

	if (wire->type != scan_wire_type(field->type))
		return scan_refuse(scan, -EBADMSG, frame, index, "wire type does not fit");
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		if (!scan_is_text(wire->data, wire->size))
			return scan_refuse(scan, -EBADMSG, frame, index, "not UTF-8, or holds NUL");
		return scan_allocate(scan, wire->size + 1);
	case PROTOBUF_C_TYPE_BYTES:
		return scan_allocate(scan, wire->size);
	case PROTOBUF_C_TYPE_MESSAGE:
		return scan_message(scan, field->descriptor, wire, frame->depth + 1);
	default:
		return 0;
	}
}

static int scan_field(struct scan *scan, struct scan_frame *frame, unsigned index,
		      const struct wire_field *wire)
{
	const ProtobufCFieldDescriptor *field = &frame->schema->fields[index];
	int r;

	frame->next_index = index + (field->label != PROTOBUF_C_LABEL_REPEATED);
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		if (wire->type == WIRE_BYTES && scan_is_packable(field->type))
			return scan_packed(scan, frame, index, wire);
		r = scan_elements(scan, frame, index, 1);
	} else if (frame->seen[index / 64] >> index % 64 & 1) {
		return scan_refuse(scan, -EBADMSG, frame, index, "comes twice");
	} else {
		r = scan_first(scan, frame, index);
	}
	return r < 0 ? r : scan_value(scan, frame, index, wire);
}

static int scan_fields(struct scan *scan, struct scan_frame *frame)
{
	struct wire_field wire;
	const uint8_t *start;
	int index, r;

	for (;;) {
		start = frame->reader.pos;
		r = wire_next(&frame->reader, &wire);
		if (r == WIRE_E_END)
			return 0;
		if (r < 0) {
			errmsg_set(scan->err, "%s: not protobuf", frame->schema->short_name);
			return r;
		}
		r = scan_count(scan, frame);
		if (r < 0)
			return r;
		index = scan_find(frame, wire.number);
		r = index < 0 ? scan_unknown(scan, frame, start)
			      : scan_field(scan, frame, (unsigned)index, &wire);
		if (r < 0)
			return r;
	}
}

static int scan_message(struct scan *scan, const ProtobufCMessageDescriptor *schema,
			const struct wire_field *bytes, unsigned depth)
{
	struct scan_frame frame;
	int r;

	if (depth > scan->limits->max_depth || depth > SCAN_MAX_DEPTH) {
		errmsg_set(scan->err, "%s: nested more than %u deep", schema->short_name,
			   scan->limits->max_depth);
		return -EMSGSIZE;
	}
	if (schema->n_fields > SCAN_MAX_SCHEMA_FIELDS) {
		errmsg_set(scan->err, "%s: schema too wide for the scan", schema->short_name);
		return -EMSGSIZE;
	}
	if (depth > scan->measure.depth)
		scan->measure.depth = depth;
	r = scan_allocate(scan, schema->sizeof_message);
	if (r < 0)
		return r;
	frame.schema = schema;
	frame.depth = depth;
	frame.next_index = 0;
	frame.n_fields = 0;
	frame.slab_at = SCAN_SLAB_FIRST;
	frame.slab_size = 2 * SCAN_SLAB_FIRST;
	memset(frame.seen, 0, sizeof(frame.seen));
	wire_reader_init(&frame.reader, bytes->data, bytes->size);
	return scan_fields(scan, &frame);
}

int scan_measure(const ProtobufCMessageDescriptor *schema, const struct scan_limits *limits,
		 const void *data, size_t size, struct scan_measure *ret_measure,
		 struct errmsg *err)
{
	struct scan scan = { .limits = limits, .err = err };
	struct wire_field bytes = { .data = data, .size = size };
	int r;

	if (size > limits->max_size) {
		errmsg_set(err, "%s: %zu bytes, limit %zu", schema->short_name, size,
			   limits->max_size);
		return -EMSGSIZE;
	}
	r = scan_message(&scan, schema, &bytes, 1);
	if (r == 0)
		*ret_measure = scan.measure;
	return r;
}

int scan_check(const ProtobufCMessageDescriptor *schema, const struct scan_limits *limits,
	       const void *data, size_t size, struct errmsg *err)
{
	struct scan_measure measure;

	return scan_measure(schema, limits, data, size, &measure, err);
}
