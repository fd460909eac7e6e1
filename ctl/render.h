/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "core/buf.h"
#include "ctl/output.h"
#include "pathbell/v1/event.pb-c.h"
#include "pathbell/v1/fleet.pb-c.h"

/*
 * Events for people, one line each, no newline, everything escaped. All pure.
 */

/* The payload alone: "critical_medium on sector 2048+8 read (-61 ENODATA)". Empty without a
 * payload. */
int render_payload(const Pathbell__V1__Event *event, struct buf *out);
/* Best name of the subject: kernel name, then its stable id in brackets. "-" when there is none. */
int render_subject(const Pathbell__V1__Subject *subject, struct buf *out);
/* TIME HOST SEVERITY KIND SUBJECT PAYLOAD. @host may be "" (this host). */
int render_event(const struct output *output, const char *host, const Pathbell__V1__Event *event,
		 struct buf *out);
int render_stored(const struct output *output, const Pathbell__V1__StoredEvent *stored,
		  struct buf *out);
/* Fields that are set as key=value, by the descriptor; sub-messages as key={...}. */
int render_fields(const ProtobufCMessage *message, struct buf *out);
