/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

/*
 * Encodes a message from its last byte to its first: the length of a sub-message is known when its
 * head is written, so one pass is enough, and running out of room is an outcome instead of a size
 * to be computed beforehand. protobuf-c needs two passes and moves nested messages (measured for a
 * block error of 260 bytes: encode.c says what it saves). The bytes are the same as
 * protobuf_c_message_pack's.
 *
 * The message ends at @buffer + @size. *ret_start is its first byte; returns its size, or 0: it
 * does not fit (or is empty). Handles what event.proto uses: proto3 scalars, strings, bytes,
 * messages, oneofs, repeated and packed fields; nothing else is passed here.
 */
size_t encode_message(const ProtobufCMessage *message, uint8_t *buffer, size_t size,
		      uint8_t **ret_start);
