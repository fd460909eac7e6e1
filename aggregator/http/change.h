/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>

#include "core/errmsg.h"
#include "proto/codec.h"

/*
 * The body of a writing HTTP request: a JSON object becomes the request message of a Fleet method.
 * Pure. An unknown member, a wrong type, or text behind the object is an error that names it.
 *
 *	SubmitCommand	{"envelope": BASE64}
 *	SubmitCampaign	{"envelopes": [BASE64, ...]}
 *	CancelCommand	{"reason": TEXT}			and the id of the path
 *	ControlCampaign	{"action": "pause"|"resume"|"halt", "reason": TEXT}	and the id
 *	PlanCampaign	{"host_globs": [TEXT, ...], "target": TEXT, "array": TEXT,
 *			 "degraded_only": BOOL, "verb": NAME}
 */
#define CHANGE_MAX_BODY (2u << 20)

/* @id: of the path, 32 hexadecimal digits or a UUID; NULL = none. The message is for
 * protobuf_c_message_free_unpacked. NULL with @err. */
ProtobufCMessage *change_parse(const char *method, const char *id, const char *body, size_t size,
			       struct errmsg *err);
/* RFC 4648 section 4, with padding, nothing else. 0 with malloc'ed bytes; -EINVAL; -ENOMEM. */
int change_base64(const char *text, size_t len, uint8_t **ret_data, size_t *ret_size);
