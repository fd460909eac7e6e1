/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/errmsg.h"
#include "proto/codec.h"

/*
 * Is an envelope worth storing? Structure, sizes, names, times; not the signature, whose keys the
 * aggregator does not have. Pure. Both messages are for protobuf_c_message_free_unpacked. 0 or
 * -EINVAL with @err, which names the field.
 */
#define ENVELOPE_CHECK_MAX_HOSTS 10000
int envelope_check(const uint8_t *envelope, size_t size, uint64_t now_unix_ms,
		   Pathbell__V1__SignedCommand **ret_envelope, Pathbell__V1__Command **ret_command,
		   struct errmsg *err);
