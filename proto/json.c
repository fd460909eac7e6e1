/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/json.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/id.h"
#include "pathbell/v1/command.pb-c.h"
#include "pathbell/v1/event.pb-c.h"
#include "pathbell/v1/ingest.pb-c.h"
#include "proto/kind.h"
#include "proto/scan.h"

/* Enums that have short names. */
struct json_enum {
	const ProtobufCEnumDescriptor *descriptor;
	const char *(*name)(unsigned number);
};

static const struct json_enum json_enums[] = {
	{ &pathbell__v1__event_kind__descriptor, kind_name },
	{ &pathbell__v1__severity__descriptor, severity_name },
	{ &pathbell__v1__block_error_class__descriptor, block_error_class_name },
	{ &pathbell__v1__command_life__descriptor, command_life_name },
	{ &pathbell__v1__command_refusal__descriptor, command_refusal_name },
	{ &pathbell__v1__command_verb__descriptor, command_verb_name },
	{ &pathbell__v1__gone_reason__descriptor, gone_reason_name },
};

static bool json_ends_with(const char *text, const char *end)
{
	size_t text_len = strlen(text), end_len = strlen(end);

	return text_len >= end_len && strcmp(text + text_len - end_len, end) == 0;
}

/* READ of BLOCK_OPERATION_READ, in lower case: the prefix is what stands before UNSPECIFIED in the
 * enumerator of 0, which buf lint demands of every enum. */
static struct json_object *json_from_enumerator(const ProtobufCEnumDescriptor *descriptor,
						const char *name)
{
	static const char zero[] = "UNSPECIFIED";
	size_t prefix_len = strlen(descriptor->values[0].name);
	char text[64];
	size_t n = 0;

	prefix_len = prefix_len > strlen(zero) ? prefix_len - strlen(zero) : 0;
	if (strncmp(name, descriptor->values[0].name, prefix_len) == 0)
		name += prefix_len;
	for (; name[n] && n < sizeof(text) - 1; n++)
		text[n] = (char)tolower((unsigned char)name[n]);
	text[n] = '\0';
	return json_object_new_string(text);
}

/* A number that this build has no name for stays a number: nothing is lost and nothing is guessed.
 */
static struct json_object *json_from_enum(const ProtobufCEnumDescriptor *descriptor, int32_t number)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(descriptor, number);

	if (!value)
		return json_object_new_int(number);
	for (size_t n = 0; n < sizeof(json_enums) / sizeof(json_enums[0]); n++)
		if (json_enums[n].descriptor == descriptor)
			return json_object_new_string(json_enums[n].name((unsigned)number));
	return json_from_enumerator(descriptor, value->name);
}

static struct json_object *json_from_bytes(const char *name, const ProtobufCBinaryData *bytes)
{
	struct json_object *text;
	char id[ID_TEXT_SIZE];
	char *hex;

	if (bytes->len == ID_SIZE &&
	    (json_ends_with(name, "epoch") || json_ends_with(name, "id"))) {
		id_format(bytes->data, id);
		return json_object_new_string(id);
	}
	hex = malloc(2 * bytes->len + 1);
	if (!hex)
		return NULL;
	hex[0] = '\0';
	if (bytes->len > 0)
		id_hex(bytes->data, bytes->len, hex);
	text = json_object_new_string(hex);
	free(hex);
	return text;
}

/* One element of @field at @member. */
static struct json_object *json_from_value(const ProtobufCFieldDescriptor *field,
					   const void *member)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return json_object_new_int(*(const int32_t *)member);
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return json_object_new_int64(*(const uint32_t *)member);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return json_object_new_int64(*(const int64_t *)member);
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return json_object_new_uint64(*(const uint64_t *)member);
	case PROTOBUF_C_TYPE_FLOAT:
		return json_object_new_double(*(const float *)member);
	case PROTOBUF_C_TYPE_DOUBLE:
		return json_object_new_double(*(const double *)member);
	case PROTOBUF_C_TYPE_BOOL:
		return json_object_new_boolean(*(const protobuf_c_boolean *)member);
	case PROTOBUF_C_TYPE_ENUM:
		return json_from_enum(field->descriptor, *(const int32_t *)member);
	case PROTOBUF_C_TYPE_STRING:
		return json_object_new_string(*(char *const *)member);
	case PROTOBUF_C_TYPE_BYTES:
		return json_from_bytes(field->name, member);
	case PROTOBUF_C_TYPE_MESSAGE:
		return json_from_message(*(ProtobufCMessage *const *)member);
	}
	return NULL;
}

/* proto3: a field at its default is not there. */
static bool json_is_default(const ProtobufCFieldDescriptor *field, const void *member)
{
	static const uint8_t zero[8];
	const char *text;

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		text = *(char *const *)member;
		return !text || !*text;
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)member)->len == 0;
	case PROTOBUF_C_TYPE_MESSAGE:
		return !*(ProtobufCMessage *const *)member;
	default:
		return memcmp(member, zero, scan_element_size(field->type)) == 0;
	}
}

static bool json_is_present(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const uint8_t *base = (const uint8_t *)message;

	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(base + field->quantifier_offset) == field->id;
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(base + field->quantifier_offset) > 0;
	return !json_is_default(field, base + field->offset);
}

static struct json_object *json_from_repeated(const ProtobufCMessage *message,
					      const ProtobufCFieldDescriptor *field)
{
	const uint8_t *base = (const uint8_t *)message;
	size_t n = *(const size_t *)(base + field->quantifier_offset);
	const uint8_t *element = *(uint8_t *const *)(base + field->offset);
	struct json_object *array = json_object_new_array();
	struct json_object *value;

	for (; array && n > 0; n--, element += scan_element_size(field->type)) {
		value = json_from_value(field, element);
		if (!value || json_object_array_add(array, value) < 0) {
			json_object_put(value);
			json_object_put(array);
			return NULL;
		}
	}
	return array;
}

/* Takes @value over, also on failure. */
static bool json_add(struct json_object *object, const char *name, struct json_object *value)
{
	if (value && json_object_object_add(object, name, value) == 0)
		return true;
	json_object_put(value);
	return false;
}

/* "stored_unix_ns" -> "stored_time": the moment for people beside the exact number. */
static bool json_add_time(struct json_object *object, const ProtobufCFieldDescriptor *field,
			  const void *member)
{
	size_t len = strlen(field->name) - strlen("_unix_ns");
	char name[64], text[CLOCK_TEXT_SIZE];

	if (len + sizeof("_time") > sizeof(name))
		return true;
	snprintf(name, sizeof(name), "%.*s_time", (int)len, field->name);
	clock_format(*(const uint64_t *)member, text);
	/* Event.time_unix_ns is "time", not "time_time". */
	return json_add(object, strcmp(name, "time_time") == 0 ? "time" : name,
			json_object_new_string(text));
}

static bool json_add_field(struct json_object *object, const ProtobufCMessage *message,
			   const ProtobufCFieldDescriptor *field)
{
	const void *member = (const uint8_t *)message + field->offset;

	if (!json_is_present(message, field))
		return true;
	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return json_add(object, field->name, json_from_repeated(message, field));
	if (!json_add(object, field->name, json_from_value(field, member)))
		return false;
	if (field->type == PROTOBUF_C_TYPE_FIXED64 && json_ends_with(field->name, "_unix_ns"))
		return json_add_time(object, field, member);
	return true;
}

struct json_object *json_from_message(const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *schema = message->descriptor;
	struct json_object *object = json_object_new_object();

	for (unsigned n = 0; object && n < schema->n_fields; n++) {
		if (json_add_field(object, message, &schema->fields[n]))
			continue;
		json_object_put(object);
		return NULL;
	}
	return object;
}
