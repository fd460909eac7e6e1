/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Does this SignedCommand claim to be a halt? Nobody vouches for it yet; all that a yes gets is a
 * place in the short queue that a flood of other commands can't fill. Two levels of the wire format
 * are read in place, nothing is unpacked. Pure.
 */
bool peek_is_halt(const void *envelope, size_t size);
