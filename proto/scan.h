/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "core/errmsg.h"
#include "proto/wire.h"

/*
 * The bounded pre-scan. protobuf-c has no guard of its own: 4 MiB of empty sub-messages become 284
 * MB and nested messages end the stack (measured; facts: delivery). Nothing from outside the
 * process is unpacked before scan_check has passed it: wire types that fit the schema, lengths
 * inside the message, no groups, depth, number of fields, number of elements of every repeated
 * field, UTF-8 of strings, and an upper bound of what unpacking will allocate. Linear in the size
 * of the message, no allocation.
 */
struct scan_limits {
	size_t max_size;       /* bytes of the message */
	uint32_t max_fields;   /* fields in total, unknown ones included */
	uint32_t max_depth;    /* 1 = no sub-message */
	uint32_t max_elements; /* of one repeated field within one message, unless the table says
				  less */
	size_t max_allocation; /* estimated bytes of unpacking */
};

/*
 * For one event (64 KiB), one stream message (1 MiB), requests of operators (256 KiB) and what a
 * client accepts as the answer to one (4 MiB, gRPC's own default).
 */
extern const struct scan_limits scan_limits_event;
extern const struct scan_limits scan_limits_stream;
extern const struct scan_limits scan_limits_request;
extern const struct scan_limits scan_limits_response;

/*
 * 0 or -EBADMSG (not protobuf, or does not fit the schema) or -EMSGSIZE (a limit; @err names it,
 * with the field's name). Stated maxima of repeated fields (scan_limits.c) are enforced here.
 */
int scan_check(const ProtobufCMessageDescriptor *schema, const struct scan_limits *limits,
	       const void *data, size_t size, struct errmsg *err);

/* The same, and what was counted. @ret_measure is untouched on failure. */
struct scan_measure {
	size_t allocation; /* upper bound of what protobuf_c_message_unpack asks of its allocator */
	uint32_t fields;
	uint32_t depth;
};
int scan_measure(const ProtobufCMessageDescriptor *schema, const struct scan_limits *limits,
		 const void *data, size_t size, struct scan_measure *ret_measure,
		 struct errmsg *err);

/* What the comment of a repeated field in the .proto says ("at most N"); 0 = nothing stated. */
uint32_t scan_stated_maximum(const ProtobufCMessageDescriptor *schema, uint32_t number);

/* UTF-8 (RFC 3629: shortest form, no surrogates, up to U+10FFFF) without NUL. */
bool scan_is_text(const void *data, size_t size);

/* Widest message and deepest nesting that the scan can follow; a test walks all schemas against
 * them. */
#define SCAN_MAX_SCHEMA_FIELDS 128
#define SCAN_MAX_DEPTH	       16

/* What the schema's types are on the wire, and in the generated structs (bytes of one element). */
enum wire_type scan_wire_type(ProtobufCType type);
size_t scan_element_size(ProtobufCType type);
