/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdint.h>

#include "core/buf.h"

/* The file's frame: "PBJRNL01" u64 floor_ms u32 0 u32 crc32c of the first 20 bytes, then records
 * (entry.h). */
#define JOURNAL_MAGIC	    "PBJRNL01"
#define JOURNAL_HEADER_SIZE 24
#define JOURNAL_FILE_MAX    (64 * 1024 * 1024)

int journal_put_header(uint64_t floor_ms, struct buf *out);
