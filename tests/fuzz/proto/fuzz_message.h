/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/scan.h"

/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * What every protobuf entry from outside does, and what must hold for any bytes: where the pre-scan
 * passes, protobuf-c unpacks within the estimate, and packing gives a message that passes again and
 * packs to the same bytes. Returns the message (in an arena, until the next call), NULL if refused.
 */
ProtobufCMessage *fuzz_message(const ProtobufCMessageDescriptor *schema,
			       const struct scan_limits *limits, const uint8_t *data, size_t size);
