/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/spool/spool.h"

/* The bytes of a segment file; docs/formats/spool.md. Pure. All integers little endian. */
#define LAYOUT_HEADER_SIZE   512
#define LAYOUT_RECORD_HEADER 48
#define LAYOUT_TRAILER_SIZE  24
#define LAYOUT_SEAL_MAX	     (256 * 1024)
#define LAYOUT_RECORD_TOTAL  (LAYOUT_RECORD_HEADER + SPOOL_RECORD_MAX)
#define LAYOUT_NAME_SIZE     40

enum layout_type { LAYOUT_TYPE_RECORD = 1, LAYOUT_TYPE_SEAL = 2 };

struct layout_header {
	uint8_t epoch[16], boot[16];
	uint64_t number, first_seq, settled, created_ns;
	uint32_t lane;
	uint64_t cursors[SPOOL_MAX_SOURCES + 1];
};

struct layout_record {
	uint32_t size;
	uint16_t source;
	uint8_t lane, type;
	uint64_t seq, cursor, time_ns, durable;
	const uint8_t *payload;
	size_t total; /* header, payload and padding */
};

/* What a closed segment says of itself, so that start needs not read all of it. */
struct layout_seal {
	uint64_t first_seq, last_seq, n_records, end, oldest_ns, newest_ns, durable;
	uint64_t cursors[SPOOL_MAX_SOURCES + 1];
	const uint8_t *runs; /* varints: run, gap, run, ... beginning at first_seq */
	size_t runs_size;
};
#define LAYOUT_SEAL_FIXED (7 * 8 + (SPOOL_MAX_SOURCES + 1) * 8)

void layout_put_header(uint8_t out[LAYOUT_HEADER_SIZE], const struct layout_header *header);
bool layout_get_header(const uint8_t in[LAYOUT_HEADER_SIZE], struct layout_header *ret_header);

/* Seed of the records' checksums: no other epoch's bytes can pass for ours. */
uint32_t layout_seed(const uint8_t epoch[16]);
size_t layout_record_total(size_t size);
/* Header, payload, padding at @out; record->payload must not overlap. Returns the total. */
size_t layout_put_record(uint8_t *out, const struct layout_record *record, uint32_t seed);

enum layout_check { LAYOUT_OK, LAYOUT_BAD, LAYOUT_SHORT };
/* SHORT: @avail ends before the record does. */
enum layout_check layout_get_record(const uint8_t *in, size_t avail, uint32_t seed,
				    struct layout_record *ret_record);
/* Only what stands in a header that was checked before. */
void layout_peek_record(const uint8_t *in, struct layout_record *ret_record);

void layout_put_seal_fixed(uint8_t out[LAYOUT_SEAL_FIXED], const struct layout_seal *seal);
bool layout_get_seal(const struct layout_record *record, struct layout_seal *ret_seal);
/* The next run and the gap behind it; false at the end or when malformed. */
bool layout_next_run(struct layout_seal *seal, uint64_t *ret_run, uint64_t *ret_gap);
void layout_put_trailer(uint8_t out[LAYOUT_TRAILER_SIZE], uint64_t seal_offset);
bool layout_get_trailer(const uint8_t in[LAYOUT_TRAILER_SIZE], uint64_t *ret_seal_offset);

void layout_name(char ret_name[LAYOUT_NAME_SIZE], uint64_t number, unsigned lane);
bool layout_parse_name(const char *name, uint64_t *ret_number, unsigned *ret_lane);

static inline void layout_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void layout_put32(uint8_t *p, uint32_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap32(v);
#endif
	__builtin_memcpy(p, &v, 4);
}

static inline void layout_put64(uint8_t *p, uint64_t v)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	__builtin_memcpy(p, &v, 8);
}

static inline uint32_t layout_get32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t layout_get64(const uint8_t *p)
{
	return layout_get32(p) | (uint64_t)layout_get32(p + 4) << 32;
}
