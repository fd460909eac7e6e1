/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <json-c/json.h>
#include <protobuf-c/protobuf-c.h>

/*
 * A protobuf message as JSON, by walking its descriptor: original field names (snake_case), 64-bit
 * integers as JSON numbers (json-c keeps them exact), enums by their short names of proto/kind.h
 * where there is one, else the enumerator in lower case without its prefix, bytes of 16 as UUID
 * text when the field's name ends in epoch or id, other bytes as hex, fields named *_unix_ns
 * additionally as RFC 3339 text under the name without _unix_ns + "_time" (stored_unix_ns:
 * stored_time; Event.time_unix_ns: time). Fields at their default are left out, except those that
 * are in a set oneof. Returns a new reference; NULL when out of memory.
 */
struct json_object *json_from_message(const ProtobufCMessage *message);
