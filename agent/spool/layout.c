/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/layout.h"

#include <stdio.h>
#include <string.h>

#include "core/crc32c.h"

#define LAYOUT_VERSION	     1
#define LAYOUT_RECORD_MAGIC  UINT32_C(0x31524250) /* "PBR1" */
#define LAYOUT_TRAILER_MAGIC UINT32_C(0x454c4250) /* "PBLE" */

static const char layout_magic[8] = { 'P', 'B', 'S', 'E', 'G', 'M', 'T', '1' };
static const char *const layout_lane_names[SPOOL_N_LANES] = { "important", "bulk" };

void layout_put_header(uint8_t out[LAYOUT_HEADER_SIZE], const struct layout_header *header)
{
	memset(out, 0, LAYOUT_HEADER_SIZE);
	memcpy(out, layout_magic, 8);
	layout_put32(out + 8, LAYOUT_VERSION);
	memcpy(out + 16, header->epoch, 16);
	layout_put64(out + 32, header->number);
	layout_put64(out + 40, header->first_seq);
	layout_put64(out + 48, header->settled);
	layout_put64(out + 56, header->created_ns);
	layout_put32(out + 64, header->lane);
	memcpy(out + 72, header->boot, 16);
	for (unsigned i = 0; i <= SPOOL_MAX_SOURCES; i++)
		layout_put64(out + 88 + i * 8, header->cursors[i]);
	layout_put32(out + 12, crc32c(0, out, LAYOUT_HEADER_SIZE));
}

bool layout_get_header(const uint8_t in[LAYOUT_HEADER_SIZE], struct layout_header *ret_header)
{
	static const uint8_t zero[4];
	uint32_t crc = crc32c(0, in, 12);

	crc = crc32c(crc, zero, 4);
	crc = crc32c(crc, in + 16, LAYOUT_HEADER_SIZE - 16);
	if (memcmp(in, layout_magic, 8) != 0 || layout_get32(in + 8) != LAYOUT_VERSION ||
	    layout_get32(in + 12) != crc || layout_get32(in + 64) >= SPOOL_N_LANES)
		return false;
	memcpy(ret_header->epoch, in + 16, 16);
	memcpy(ret_header->boot, in + 72, 16);
	ret_header->number = layout_get64(in + 32);
	ret_header->first_seq = layout_get64(in + 40);
	ret_header->settled = layout_get64(in + 48);
	ret_header->created_ns = layout_get64(in + 56);
	ret_header->lane = layout_get32(in + 64);
	for (unsigned i = 0; i <= SPOOL_MAX_SOURCES; i++)
		ret_header->cursors[i] = layout_get64(in + 88 + i * 8);
	return true;
}

uint32_t layout_seed(const uint8_t epoch[16])
{
	return crc32c(0, epoch, 16);
}

size_t layout_record_total(size_t size)
{
	return (LAYOUT_RECORD_HEADER + size + 7) & ~(size_t)7;
}

size_t layout_put_record(uint8_t *out, const struct layout_record *record, uint32_t seed)
{
	size_t total = layout_record_total(record->size);

	layout_put32(out, LAYOUT_RECORD_MAGIC);
	layout_put32(out + 8, record->size);
	layout_put16(out + 12, record->source);
	out[14] = record->lane;
	out[15] = record->type;
	layout_put64(out + 16, record->seq);
	layout_put64(out + 24, record->cursor);
	layout_put64(out + 32, record->time_ns);
	layout_put64(out + 40, record->durable);
	/* The last eight bytes first: the payload then leaves only its padding of them. */
	layout_put64(out + total - 8, 0);
	memcpy(out + LAYOUT_RECORD_HEADER, record->payload, record->size);
	layout_put32(out + 4, crc32c(seed, out + 8, total - 8));
	return total;
}

void layout_peek_record(const uint8_t *in, struct layout_record *ret_record)
{
	ret_record->size = layout_get32(in + 8);
	ret_record->source = (uint16_t)(in[12] | in[13] << 8);
	ret_record->lane = in[14];
	ret_record->type = in[15];
	ret_record->seq = layout_get64(in + 16);
	ret_record->cursor = layout_get64(in + 24);
	ret_record->time_ns = layout_get64(in + 32);
	ret_record->durable = layout_get64(in + 40);
	ret_record->payload = in + LAYOUT_RECORD_HEADER;
	ret_record->total = layout_record_total(ret_record->size);
}

enum layout_check layout_get_record(const uint8_t *in, size_t avail, uint32_t seed,
				    struct layout_record *ret_record)
{
	struct layout_record record;

	if (avail < LAYOUT_RECORD_HEADER)
		return LAYOUT_SHORT;
	if (layout_get32(in) != LAYOUT_RECORD_MAGIC)
		return LAYOUT_BAD;
	layout_peek_record(in, &record);
	if (record.lane >= SPOOL_N_LANES || record.seq == 0 || record.seq == UINT64_MAX ||
	    record.source > SPOOL_MAX_SOURCES || record.size == 0)
		return LAYOUT_BAD;
	if (record.type == LAYOUT_TYPE_SEAL ? record.size > LAYOUT_SEAL_MAX
					    : record.size > SPOOL_RECORD_MAX)
		return LAYOUT_BAD;
	if (record.type != LAYOUT_TYPE_RECORD && record.type != LAYOUT_TYPE_SEAL)
		return LAYOUT_BAD;
	if (record.total > avail)
		return LAYOUT_SHORT;
	if (crc32c(seed, in + 8, record.total - 8) != layout_get32(in + 4))
		return LAYOUT_BAD;
	*ret_record = record;
	return LAYOUT_OK;
}

void layout_put_seal_fixed(uint8_t out[LAYOUT_SEAL_FIXED], const struct layout_seal *seal)
{
	const uint64_t fields[7] = { seal->first_seq, seal->last_seq,  seal->n_records, seal->end,
				     seal->oldest_ns, seal->newest_ns, seal->durable };

	for (unsigned i = 0; i < 7; i++)
		layout_put64(out + i * 8, fields[i]);
	for (unsigned i = 0; i <= SPOOL_MAX_SOURCES; i++)
		layout_put64(out + 56 + i * 8, seal->cursors[i]);
}

bool layout_get_seal(const struct layout_record *record, struct layout_seal *ret_seal)
{
	const uint8_t *p = record->payload;

	if (record->type != LAYOUT_TYPE_SEAL || record->size < LAYOUT_SEAL_FIXED)
		return false;
	ret_seal->first_seq = layout_get64(p);
	ret_seal->last_seq = layout_get64(p + 8);
	ret_seal->n_records = layout_get64(p + 16);
	ret_seal->end = layout_get64(p + 24);
	ret_seal->oldest_ns = layout_get64(p + 32);
	ret_seal->newest_ns = layout_get64(p + 40);
	ret_seal->durable = layout_get64(p + 48);
	for (unsigned i = 0; i <= SPOOL_MAX_SOURCES; i++)
		ret_seal->cursors[i] = layout_get64(p + 56 + i * 8);
	ret_seal->runs = p + LAYOUT_SEAL_FIXED;
	ret_seal->runs_size = record->size - LAYOUT_SEAL_FIXED;
	return ret_seal->first_seq != 0 && ret_seal->first_seq <= ret_seal->last_seq &&
	       ret_seal->last_seq == record->seq;
}

static bool layout_varint(const uint8_t **p, size_t *size, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && *size > 0; shift += 7) {
		uint8_t byte = *(*p)++;

		--*size;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

bool layout_next_run(struct layout_seal *seal, uint64_t *ret_run, uint64_t *ret_gap)
{
	uint64_t run, gap = 0;

	if (!layout_varint(&seal->runs, &seal->runs_size, &run) || run == 0)
		return false;
	if (seal->runs_size > 0 && !layout_varint(&seal->runs, &seal->runs_size, &gap))
		return false;
	*ret_run = run;
	*ret_gap = gap;
	return true;
}

void layout_put_trailer(uint8_t out[LAYOUT_TRAILER_SIZE], uint64_t seal_offset)
{
	memset(out, 0, LAYOUT_TRAILER_SIZE);
	layout_put64(out + 8, seal_offset);
	layout_put32(out + 16, LAYOUT_TRAILER_MAGIC);
	layout_put32(out + 20, crc32c(0, out, 20));
}

bool layout_get_trailer(const uint8_t in[LAYOUT_TRAILER_SIZE], uint64_t *ret_seal_offset)
{
	if (layout_get32(in + 16) != LAYOUT_TRAILER_MAGIC ||
	    layout_get32(in + 20) != crc32c(0, in, 20))
		return false;
	*ret_seal_offset = layout_get64(in + 8);
	return true;
}

void layout_name(char ret_name[LAYOUT_NAME_SIZE], uint64_t number, unsigned lane)
{
	snprintf(ret_name, LAYOUT_NAME_SIZE, "%016llx-%s.seg", (unsigned long long)number,
		 layout_lane_names[lane]);
}

bool layout_parse_name(const char *name, uint64_t *ret_number, unsigned *ret_lane)
{
	uint64_t number = 0;
	char again[LAYOUT_NAME_SIZE];

	for (unsigned i = 0; i < 16; i++) {
		char c = name[i];

		if (c >= '0' && c <= '9')
			number = number << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			number = number << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	for (unsigned lane = 0; lane < SPOOL_N_LANES; lane++) {
		layout_name(again, number, lane);
		if (strcmp(again, name) == 0) {
			*ret_number = number;
			*ret_lane = lane;
			return true;
		}
	}
	return false;
}
