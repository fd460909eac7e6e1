/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/commands/entry.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/crc32c.h"

/*
 * record: u32 size, u32 size xor HEAD_MARK, u32 crc32c over size and body, body. The second word
 *tells a damaged size from one that a torn write left in front of nothing. body, little endian:
 *	id[16] sha256[32] u64 received issued not_before expires (ms) u32 verb life refusal error
 *flags u32 len detail, u32 len issuer, u32 len key_id, u32 len command flags: 1 dry run, 2
 *reported, then (absent in records of 0.1's first builds) u64 started (ms) u32 duration (ms)
 *u32 len object, u32 len campaign id.
 */
#define ENTRY_HEAD	12
#define ENTRY_HEAD_MARK 0x5042454eu /* "PBEN" */
#define ENTRY_FIXED	(16 + 32 + 4 * 8 + 5 * 4)
#define ENTRY_TAIL	(8 + 4 + 2 * 4) /* without its texts */
#define ENTRY_FLAG_DRY	1u
#define ENTRY_FLAG_TOLD 2u

static uint8_t *entry_put_u32(uint8_t *out, uint32_t value)
{
	value = htole32(value);
	memcpy(out, &value, 4);
	return out + 4;
}

static uint8_t *entry_put_u64(uint8_t *out, uint64_t value)
{
	value = htole64(value);
	memcpy(out, &value, 8);
	return out + 8;
}

static uint8_t *entry_put_bytes(uint8_t *out, const void *data, size_t size)
{
	out = entry_put_u32(out, (uint32_t)size);
	if (size)
		memcpy(out, data, size);
	return out + size;
}

int entry_encode(const struct entry *entry, struct buf *out)
{
	size_t detail = strlen(entry->detail), issuer = strlen(entry->issuer);
	size_t key_id = strlen(entry->key_id);
	size_t object = strlen(entry->object), campaign = strlen(entry->campaign_id);
	size_t body = ENTRY_FIXED + 16 + detail + issuer + key_id + entry->command_size +
		      ENTRY_TAIL + object + campaign;
	uint8_t *start, *pos;
	int r = buf_reserve(out, ENTRY_HEAD + body);

	if (r)
		return r;
	start = out->data + out->size;
	pos = start + ENTRY_HEAD;
	memcpy(pos, entry->id, 16);
	memcpy(pos + 16, entry->sha256, 32);
	pos = entry_put_u64(pos + 48, entry->received_ms);
	pos = entry_put_u64(pos, entry->issued_ms);
	pos = entry_put_u64(pos, entry->not_before_ms);
	pos = entry_put_u64(pos, entry->expires_ms);
	pos = entry_put_u32(pos, entry->verb);
	pos = entry_put_u32(pos, entry->life);
	pos = entry_put_u32(pos, entry->refusal);
	pos = entry_put_u32(pos, (uint32_t)entry->error_number);
	pos = entry_put_u32(pos, (entry->dry_run ? ENTRY_FLAG_DRY : 0) |
					 (entry->reported ? ENTRY_FLAG_TOLD : 0));
	pos = entry_put_bytes(pos, entry->detail, detail);
	pos = entry_put_bytes(pos, entry->issuer, issuer);
	pos = entry_put_bytes(pos, entry->key_id, key_id);
	pos = entry_put_bytes(pos, entry->command, entry->command_size);
	pos = entry_put_u64(pos, entry->started_ms);
	pos = entry_put_u32(pos, entry->duration_ms);
	pos = entry_put_bytes(pos, entry->object, object);
	entry_put_bytes(pos, entry->campaign_id, campaign);
	entry_put_u32(start, (uint32_t)body);
	entry_put_u32(start + 4, (uint32_t)body ^ ENTRY_HEAD_MARK);
	entry_put_u32(start + 8, crc32c(crc32c(0, start, 4), start + ENTRY_HEAD, body));
	out->size += ENTRY_HEAD + body;
	return 0;
}

static uint32_t entry_get_u32(const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, 4);
	return le32toh(value);
}

static uint64_t entry_get_u64(const uint8_t *data)
{
	uint64_t value;

	memcpy(&value, data, 8);
	return le64toh(value);
}

struct entry_reader {
	const uint8_t *pos, *end;
};

static const uint8_t *entry_take(struct entry_reader *reader, size_t max, size_t *ret_size)
{
	const uint8_t *data;
	uint32_t size;

	if (reader->end - reader->pos < 4)
		return NULL;
	size = entry_get_u32(reader->pos);
	data = reader->pos + 4;
	if (size > max || size > (size_t)(reader->end - data))
		return NULL;
	reader->pos = data + size;
	*ret_size = size;
	return data;
}

static int entry_take_text(struct entry_reader *reader, char *ret_text, size_t text_size)
{
	size_t size;
	const uint8_t *data = entry_take(reader, text_size - 1, &size);

	if (!data)
		return -EBADMSG;
	memcpy(ret_text, data, size);
	ret_text[size] = 0;
	return 0;
}

static int entry_decode_tail(struct entry_reader *reader, struct entry *entry)
{
	if (reader->pos == reader->end)
		return 0;
	if (reader->end - reader->pos < ENTRY_TAIL)
		return -EBADMSG;
	entry->started_ms = entry_get_u64(reader->pos);
	entry->duration_ms = entry_get_u32(reader->pos + 8);
	reader->pos += 12;
	if (entry_take_text(reader, entry->object, sizeof(entry->object)) ||
	    entry_take_text(reader, entry->campaign_id, sizeof(entry->campaign_id)))
		return -EBADMSG;
	return reader->pos == reader->end ? 0 : -EBADMSG;
}

static int entry_decode_body(const uint8_t *body, size_t size, struct entry *ret_entry)
{
	struct entry_reader reader = { body + ENTRY_FIXED, body + size };
	struct entry *entry = ret_entry;
	const uint8_t *pos = body + 48, *command;
	uint32_t flags;

	memcpy(entry->id, body, 16);
	memcpy(entry->sha256, body + 16, 32);
	entry->received_ms = entry_get_u64(pos);
	entry->issued_ms = entry_get_u64(pos + 8);
	entry->not_before_ms = entry_get_u64(pos + 16);
	entry->expires_ms = entry_get_u64(pos + 24);
	entry->verb = entry_get_u32(pos + 32);
	entry->life = entry_get_u32(pos + 36);
	entry->refusal = entry_get_u32(pos + 40);
	entry->error_number = (int32_t)entry_get_u32(pos + 44);
	flags = entry_get_u32(pos + 48);
	entry->dry_run = flags & ENTRY_FLAG_DRY;
	entry->reported = flags & ENTRY_FLAG_TOLD;
	if (entry_take_text(&reader, entry->detail, sizeof(entry->detail)) ||
	    entry_take_text(&reader, entry->issuer, sizeof(entry->issuer)) ||
	    entry_take_text(&reader, entry->key_id, sizeof(entry->key_id)))
		return -EBADMSG;
	command = entry_take(&reader, ENTRY_COMMAND_MAX, &entry->command_size);
	if (!command || entry_decode_tail(&reader, entry)) {
		entry->command_size = 0;
		return -EBADMSG;
	}
	if (!entry->command_size)
		return 0;
	entry->command = malloc(entry->command_size);
	if (!entry->command)
		return -ENOMEM;
	memcpy(entry->command, command, entry->command_size);
	return 0;
}

static bool entry_is_zero(const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i])
			return false;
	return true;
}

int entry_decode(const uint8_t *data, size_t size, struct entry *ret_entry, size_t *ret_used)
{
	struct entry entry = { 0 };
	uint32_t body;
	int r;

	if (size < ENTRY_HEAD || entry_is_zero(data, size))
		return ENTRY_E_TORN;
	body = entry_get_u32(data);
	if (entry_get_u32(data + 4) != (body ^ ENTRY_HEAD_MARK))
		return -EBADMSG;
	if (body < ENTRY_FIXED + 16 || body > ENTRY_RECORD_MAX)
		return -EBADMSG;
	if (body > size - ENTRY_HEAD)
		return ENTRY_E_TORN;
	if (crc32c(crc32c(0, data, 4), data + ENTRY_HEAD, body) != entry_get_u32(data + 8))
		/* the last record is the one that a crash may have left half written */
		return body == size - ENTRY_HEAD ? ENTRY_E_TORN : -EBADMSG;
	r = entry_decode_body(data + ENTRY_HEAD, body, &entry);
	if (r) {
		entry_deinit(&entry);
		return r;
	}
	*ret_entry = entry;
	*ret_used = ENTRY_HEAD + body;
	return 0;
}

void entry_deinit(struct entry *entry)
{
	free(entry->command);
	entry->command = NULL;
	entry->command_size = 0;
}
