/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "core/errmsg.h"

/*
 * The bounded pre-scan. protobuf-c has no guard of its own: 4 MiB of empty sub-messages become 284 MB
 * and nested messages end the stack (measured; facts: delivery). Nothing from outside the process is
 * unpacked before scan_check has passed it: wire types that fit the schema, lengths inside the message,
 * no groups, depth, number of fields, number of elements of every repeated field, UTF-8 of strings, and
 * an upper bound of what unpacking will allocate. Linear in the size of the message, no allocation.
 */
struct scan_limits {
	size_t max_size;	  /* bytes of the message */
	uint32_t max_fields;	  /* fields in total, unknown ones included */
	uint32_t max_depth;	  /* 1 = no sub-message */
	uint32_t max_elements;	  /* of one repeated field within one message, unless the table says less */
	size_t max_allocation;	  /* estimated bytes of unpacking */
};

/* For one event (64 KiB), one stream message (1 MiB) and requests of operators (256 KiB). */
extern const struct scan_limits scan_limits_event;
extern const struct scan_limits scan_limits_stream;
extern const struct scan_limits scan_limits_request;

/*
 * 0 or -EBADMSG (not protobuf, or does not fit the schema) or -EMSGSIZE (a limit; @err names it, with the
 * field's name). Stated maxima of repeated fields (proto/scan_limits table) are enforced here.
 */
int scan_check(const ProtobufCMessageDescriptor *schema, const struct scan_limits *limits, const void *data,
	       size_t size, struct errmsg *err);
