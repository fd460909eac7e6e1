/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/http/change.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "core/id.h"
#include "proto/kind.h"

#define CHANGE_MAX_DEPTH     4
#define CHANGE_MAX_ENVELOPES 1024
#define CHANGE_MAX_GLOBS     64
#define CHANGE_MAX_TEXT	     1024

/* One member of the object, into its place in the message. */
struct change_member {
	const char *name;
	int (*take)(struct json_object *value, ProtobufCMessage *message);
};

struct change_kind {
	const char *method;
	const ProtobufCMessageDescriptor *schema;
	const struct change_member *members;
	size_t n_members;
	int (*set_id)(ProtobufCMessage *message,
		      const uint8_t id[16]); /* NULL: no id in the path */
};

/* ---- values ---- */

static int change_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Four characters, @n_pad of them "="; false: not base64, or bits beyond the end are set. */
static bool change_quad(const char *text, unsigned n_pad, uint8_t *out)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < 4; i++) {
		int digit = i >= 4 - n_pad ? (text[i] == '=' ? 0 : -1) : change_digit(text[i]);

		if (digit < 0)
			return false;
		value = value << 6 | (uint32_t)digit;
	}
	for (unsigned i = 0; i < 3 - n_pad; i++)
		out[i] = (uint8_t)(value >> (16 - 8 * i));
	return n_pad == 0 || (value & ((1u << 8 * n_pad) - 1)) == 0;
}

int change_base64(const char *text, size_t len, uint8_t **ret_data, size_t *ret_size)
{
	unsigned n_pad = 0;
	uint8_t *data;

	if (len == 0 || len % 4 != 0)
		return -EINVAL;
	n_pad = (text[len - 1] == '=') + (text[len - 1] == '=' && text[len - 2] == '=');
	data = malloc(len / 4 * 3);
	if (!data)
		return -ENOMEM;
	for (size_t i = 0; i < len / 4; i++) {
		if (change_quad(text + 4 * i, i == len / 4 - 1 ? n_pad : 0, data + 3 * i))
			continue;
		free(data);
		return -EINVAL;
	}
	*ret_data = data;
	*ret_size = len / 4 * 3 - n_pad;
	return 0;
}

static int change_bytes(struct json_object *value, ProtobufCBinaryData *ret_bytes)
{
	if (!json_object_is_type(value, json_type_string))
		return -EINVAL;
	free(ret_bytes->data);
	ret_bytes->data = NULL;
	return change_base64(json_object_get_string(value),
			     (size_t)json_object_get_string_len(value), &ret_bytes->data,
			     &ret_bytes->len);
}

/* An empty one stays protobuf-c's own empty string, which its free knows. */
static int change_text(struct json_object *value, char **ret_text)
{
	const char *text;
	size_t len;

	if (!json_object_is_type(value, json_type_string))
		return -EINVAL;
	text = json_object_get_string(value);
	len = (size_t)json_object_get_string_len(value);
	if (len > CHANGE_MAX_TEXT || strlen(text) != len || !scan_is_text(text, len))
		return -EINVAL;
	if (len == 0 || *ret_text != (char *)protobuf_c_empty_string)
		return len == 0 ? 0 : -EINVAL;
	*ret_text = strdup(text);
	if (*ret_text)
		return 0;
	*ret_text = (char *)protobuf_c_empty_string;
	return -ENOMEM;
}

/* ---- members ---- */

static int take_envelope(struct json_object *value, ProtobufCMessage *message)
{
	return change_bytes(value, &((Pathbell__V1__SubmitCommandRequest *)message)->envelope);
}

static int take_envelopes(struct json_object *value, ProtobufCMessage *message)
{
	Pathbell__V1__SubmitCampaignRequest *request =
		(Pathbell__V1__SubmitCampaignRequest *)message;
	size_t n =
		json_object_is_type(value, json_type_array) ? json_object_array_length(value) : 0;
	int r = 0;

	if (n == 0 || n > CHANGE_MAX_ENVELOPES || request->envelopes)
		return -EINVAL;
	request->envelopes = calloc(n, sizeof(*request->envelopes));
	if (!request->envelopes)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		r = change_bytes(json_object_array_get_idx(value, i), &request->envelopes[i]);
		request->n_envelopes += r == 0;
	}
	return r;
}

static int take_cancel_reason(struct json_object *value, ProtobufCMessage *message)
{
	return change_text(value, &((Pathbell__V1__CancelCommandRequest *)message)->reason);
}

static int take_control_reason(struct json_object *value, ProtobufCMessage *message)
{
	return change_text(value, &((Pathbell__V1__ControlCampaignRequest *)message)->reason);
}

static int take_action(struct json_object *value, ProtobufCMessage *message)
{
	static const char *const names[] = { NULL, "pause", "resume", "halt" };
	Pathbell__V1__ControlCampaignRequest *request =
		(Pathbell__V1__ControlCampaignRequest *)message;
	const char *text =
		json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";

	for (unsigned i = 1; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		request->action = (Pathbell__V1__CampaignAction)i;
		return 0;
	}
	return -EINVAL;
}

static int take_target(struct json_object *value, ProtobufCMessage *message)
{
	return change_text(value,
			   &((Pathbell__V1__PlanCampaignRequest *)message)->selector->target);
}

static int take_array(struct json_object *value, ProtobufCMessage *message)
{
	return change_text(value, &((Pathbell__V1__PlanCampaignRequest *)message)->selector->array);
}

static int take_degraded(struct json_object *value, ProtobufCMessage *message)
{
	if (!json_object_is_type(value, json_type_boolean))
		return -EINVAL;
	((Pathbell__V1__PlanCampaignRequest *)message)->selector->degraded_only =
		json_object_get_boolean(value);
	return 0;
}

static int take_verb(struct json_object *value, ProtobufCMessage *message)
{
	unsigned verb = json_object_is_type(value, json_type_string)
				? command_verb_from_name(json_object_get_string(value))
				: 0;

	((Pathbell__V1__PlanCampaignRequest *)message)->verb = verb;
	return verb ? 0 : -EINVAL;
}

static int take_globs(struct json_object *value, ProtobufCMessage *message)
{
	Pathbell__V1__CampaignSelector *selector =
		((Pathbell__V1__PlanCampaignRequest *)message)->selector;
	size_t n =
		json_object_is_type(value, json_type_array) ? json_object_array_length(value) : 0;
	int r = 0;

	if (n == 0 || n > CHANGE_MAX_GLOBS || selector->host_globs)
		return -EINVAL;
	selector->host_globs = calloc(n, sizeof(char *));
	if (!selector->host_globs)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++) {
		char *text = (char *)protobuf_c_empty_string;

		r = change_text(json_object_array_get_idx(value, i), &text);
		if (text == (char *)protobuf_c_empty_string)
			return r < 0 ? r : -EINVAL; /* an element must be malloc's */
		selector->host_globs[selector->n_host_globs++] = text;
	}
	return r;
}

/* ---- the path's id ---- */

static int set_bytes(ProtobufCBinaryData *bytes, const uint8_t id[16])
{
	bytes->data = malloc(16);
	if (!bytes->data)
		return -ENOMEM;
	memcpy(bytes->data, id, 16);
	bytes->len = 16;
	return 0;
}

static int set_command_id(ProtobufCMessage *message, const uint8_t id[16])
{
	return set_bytes(&((Pathbell__V1__CancelCommandRequest *)message)->command_id, id);
}

static int set_campaign_id(ProtobufCMessage *message, const uint8_t id[16])
{
	return set_bytes(&((Pathbell__V1__ControlCampaignRequest *)message)->campaign_id, id);
}

/* ---- kinds ---- */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct change_member submit_members[] = { { "envelope", take_envelope } };
static const struct change_member campaign_members[] = { { "envelopes", take_envelopes } };
static const struct change_member cancel_members[] = { { "reason", take_cancel_reason } };
static const struct change_member control_members[] = { { "action", take_action },
							{ "reason", take_control_reason } };
static const struct change_member plan_members[] = { { "host_globs", take_globs },
						     { "target", take_target },
						     { "array", take_array },
						     { "degraded_only", take_degraded },
						     { "verb", take_verb } };

static const struct change_kind change_kinds[] = {
	{ "SubmitCommand", &pathbell__v1__submit_command_request__descriptor, submit_members,
	  COUNT(submit_members), NULL },
	{ "SubmitCampaign", &pathbell__v1__submit_campaign_request__descriptor, campaign_members,
	  COUNT(campaign_members), NULL },
	{ "CancelCommand", &pathbell__v1__cancel_command_request__descriptor, cancel_members,
	  COUNT(cancel_members), set_command_id },
	{ "ControlCampaign", &pathbell__v1__control_campaign_request__descriptor, control_members,
	  COUNT(control_members), set_campaign_id },
	{ "PlanCampaign", &pathbell__v1__plan_campaign_request__descriptor, plan_members,
	  COUNT(plan_members), NULL },
};

static const struct change_kind *change_find(const char *method)
{
	for (size_t i = 0; i < COUNT(change_kinds); i++)
		if (strcmp(change_kinds[i].method, method) == 0)
			return &change_kinds[i];
	return NULL;
}

static ProtobufCMessage *change_new(const struct change_kind *kind)
{
	ProtobufCMessage *message = calloc(1, kind->schema->sizeof_message);

	if (!message)
		return NULL;
	protobuf_c_message_init(kind->schema, message);
	if (kind->schema == &pathbell__v1__plan_campaign_request__descriptor) {
		Pathbell__V1__CampaignSelector *selector = calloc(1, sizeof(*selector));

		if (!selector) {
			free(message);
			return NULL;
		}
		pathbell__v1__campaign_selector__init(selector);
		((Pathbell__V1__PlanCampaignRequest *)message)->selector = selector;
	}
	return message;
}

static int change_member(const struct change_kind *kind, const char *name,
			 struct json_object *value, ProtobufCMessage *message)
{
	for (size_t i = 0; i < kind->n_members; i++)
		if (strcmp(kind->members[i].name, name) == 0)
			return kind->members[i].take(value, message);
	return -EINVAL;
}

static int change_fill(const struct change_kind *kind, struct json_object *json,
		       ProtobufCMessage *message, struct errmsg *err)
{
	int r = 0;

	if (!json_object_is_type(json, json_type_object)) {
		errmsg_set(err, "the body is not a JSON object");
		return -EINVAL;
	}
	json_object_object_foreach(json, name, value)
	{
		r = r == 0 ? change_member(kind, name, value, message) : r;
		if (r < 0 && !err->text[0])
			errmsg_set(err, "%.64s: not a member of this request, or of a wrong value",
				   name);
	}
	return r;
}

static struct json_object *change_json(const char *body, size_t size, struct errmsg *err)
{
	struct json_tokener *tokener = json_tokener_new_ex(CHANGE_MAX_DEPTH);
	struct json_object *json;
	bool all;

	if (!tokener || size > CHANGE_MAX_BODY) {
		if (tokener)
			json_tokener_free(tokener);
		errmsg_set(err, tokener ? "the body is above 2 MiB" : "no memory");
		return NULL;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	json = json_tokener_parse_ex(tokener, body, (int)size);
	all = json && json_tokener_get_parse_end(tokener) == size;
	json_tokener_free(tokener);
	if (all)
		return json;
	json_object_put(json);
	errmsg_set(err, "the body is not one JSON object");
	return NULL;
}

ProtobufCMessage *change_parse(const char *method, const char *id, const char *body, size_t size,
			       struct errmsg *err)
{
	const struct change_kind *kind = change_find(method);
	struct json_object *json = NULL;
	ProtobufCMessage *message = NULL;
	uint8_t bytes[16];
	int r = -EINVAL;

	if (!kind || (kind->set_id && (!id || !id_parse(id, bytes))))
		errmsg_set(err, "the path names no such thing");
	else
		json = change_json(body, size, err);
	if (json)
		message = change_new(kind);
	if (message)
		r = change_fill(kind, json, message, err);
	if (r == 0 && kind->set_id)
		r = kind->set_id(message, bytes);
	json_object_put(json);
	if (r == 0)
		return message;
	if (!err->text[0])
		errmsg_set(err, "no memory");
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
	return NULL;
}
