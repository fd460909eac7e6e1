/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32C (Castagnoli, reflected, as in RFC 3720 B.4). Start with 0; chainable:
 * crc32c(crc32c(0, a, n), b, m) equals the checksum over a then b. SSE4.2 where the CPU has it.
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);
/* The same by tables, on any CPU. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);
