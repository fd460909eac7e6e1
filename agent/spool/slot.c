/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool/slot.h"

#include <string.h>

#include "agent/spool/layout.h"
#include "core/crc32c.h"

#define SLOT_VERSION 1
#define SLOT_HEAD    72

static const char slot_magic[8] = { 'P', 'B', 'S', 'T', 'A', 'T', 'E', '1' };
static const char slot_live_magic[8] = { 'P', 'B', 'L', 'I', 'V', 'E', '0', '1' };

/* A position in a slot; `bad` once it would leave it. */
struct slot_io {
	uint8_t *out;
	const uint8_t *in;
	size_t pos, size;
};

static void slot_put(struct slot_io *io, const void *data, size_t size)
{
	memcpy(io->out + io->pos, data, size);
	io->pos += size;
}

static void slot_put64(struct slot_io *io, uint64_t value)
{
	layout_put64(io->out + io->pos, value);
	io->pos += 8;
}

static uint64_t slot_get64(struct slot_io *io)
{
	io->pos += 8;
	return layout_get64(io->in + io->pos - 8);
}

static void slot_get(struct slot_io *io, void *data, size_t size)
{
	memcpy(data, io->in + io->pos, size);
	io->pos += size;
}

static size_t slot_body_size(uint32_t n_cursors, uint32_t n_epochs, uint32_t n_covers)
{
	return SLOT_HEAD + (size_t)(2 + 16 + SPOOL_MAX_SOURCES + 1) * 8 +
	       (size_t)n_cursors * SLOT_NAME_SIZE +
	       (size_t)n_epochs * (16 + 24 + SPOOL_MAX_CURSORS * 8) + (size_t)n_covers * 32;
}
_Static_assert(SLOT_HEAD + 35 * 8 + SPOOL_MAX_CURSORS * SLOT_NAME_SIZE +
			       SPOOL_MAX_EPOCHS * (40 + SPOOL_MAX_CURSORS * 8) +
			       SLOT_MAX_COVERS * 32 <=
		       SLOT_SIZE,
	       "a full slot fits");

size_t slot_encode(const struct slot *slot, uint8_t out[SLOT_SIZE])
{
	struct slot_io io = { .out = out, .pos = SLOT_HEAD };
	size_t size;

	memset(out, 0, SLOT_SIZE);
	memcpy(out, slot_magic, 8);
	layout_put32(out + 8, SLOT_VERSION);
	layout_put64(out + 24, slot->generation);
	memcpy(out + 32, slot->boot, 16);
	layout_put64(out + 48, slot->next_number);
	layout_put32(out + 56, slot->clean ? 1 : 0);
	layout_put32(out + 60, slot->n_cursors);
	layout_put32(out + 64, slot->n_epochs);
	layout_put32(out + 68, slot->n_covers);
	slot_put64(&io, slot->base_captured);
	slot_put64(&io, slot->base_gone);
	for (unsigned i = 0; i < 16; i++)
		slot_put64(&io, slot->gone_by_reason[i]);
	for (unsigned i = 0; i <= SPOOL_MAX_SOURCES; i++)
		slot_put64(&io, slot->cursors[i]);
	for (uint32_t i = 0; i < slot->n_cursors; i++)
		slot_put(&io, slot->names[i], SLOT_NAME_SIZE);
	for (uint32_t i = 0; i < slot->n_epochs; i++) {
		const struct slot_epoch *epoch = &slot->epochs[i];

		slot_put(&io, epoch->id, 16);
		slot_put64(&io, epoch->tail);
		slot_put64(&io, epoch->settled);
		slot_put64(&io, epoch->settled_gone);
		for (unsigned k = 0; k < SPOOL_MAX_CURSORS; k++)
			slot_put64(&io, epoch->acked[k]);
	}
	for (uint32_t i = 0; i < slot->n_covers; i++) {
		slot_put64(&io, slot->covers[i].epoch);
		slot_put64(&io, slot->covers[i].reason);
		slot_put64(&io, slot->covers[i].first);
		slot_put64(&io, slot->covers[i].last);
	}
	size = (io.pos + 511) & ~(size_t)511;
	layout_put32(out + 16, (uint32_t)io.pos);
	layout_put32(out + 12, crc32c(0, out, size));
	return size;
}

static bool slot_check(const uint8_t *in, size_t size)
{
	static const uint8_t zero[4];
	uint32_t used, crc;
	size_t padded;

	if (size < SLOT_HEAD || memcmp(in, slot_magic, 8) != 0 ||
	    layout_get32(in + 8) != SLOT_VERSION)
		return false;
	used = layout_get32(in + 16);
	padded = ((size_t)used + 511) & ~(size_t)511;
	if (used > SLOT_SIZE || padded > size || layout_get32(in + 60) > SPOOL_MAX_CURSORS ||
	    layout_get32(in + 64) > SPOOL_MAX_EPOCHS || layout_get32(in + 68) > SLOT_MAX_COVERS)
		return false;
	if (used !=
	    slot_body_size(layout_get32(in + 60), layout_get32(in + 64), layout_get32(in + 68)))
		return false;
	crc = crc32c(crc32c(0, in, 12), zero, 4);
	return crc32c(crc, in + 16, padded - 16) == layout_get32(in + 12);
}

static bool slot_sane(const struct slot *slot)
{
	for (uint32_t i = 0; i < slot->n_epochs; i++) {
		const struct slot_epoch *epoch = &slot->epochs[i];

		if (epoch->settled > epoch->tail || epoch->settled_gone > epoch->settled ||
		    epoch->tail > UINT64_MAX / 4)
			return false;
		for (unsigned k = 0; k < SPOOL_MAX_CURSORS; k++)
			if (epoch->acked[k] > epoch->tail)
				return false;
	}
	for (uint32_t i = 0; i < slot->n_covers; i++)
		if (slot->covers[i].epoch >= slot->n_epochs || slot->covers[i].reason >= 16 ||
		    slot->covers[i].first > slot->covers[i].last)
			return false;
	return true;
}

bool slot_decode(const uint8_t *in, size_t size, struct slot *ret_slot)
{
	struct slot_io io = { .in = in, .pos = SLOT_HEAD, .size = size };

	if (!slot_check(in, size))
		return false;
	memset(ret_slot, 0, sizeof(*ret_slot));
	ret_slot->generation = layout_get64(in + 24);
	memcpy(ret_slot->boot, in + 32, 16);
	ret_slot->next_number = layout_get64(in + 48);
	ret_slot->clean = layout_get32(in + 56) == 1;
	ret_slot->n_cursors = layout_get32(in + 60);
	ret_slot->n_epochs = layout_get32(in + 64);
	ret_slot->n_covers = layout_get32(in + 68);
	ret_slot->base_captured = slot_get64(&io);
	ret_slot->base_gone = slot_get64(&io);
	for (unsigned i = 0; i < 16; i++)
		ret_slot->gone_by_reason[i] = slot_get64(&io);
	for (unsigned i = 0; i <= SPOOL_MAX_SOURCES; i++)
		ret_slot->cursors[i] = slot_get64(&io);
	for (uint32_t i = 0; i < ret_slot->n_cursors; i++) {
		slot_get(&io, ret_slot->names[i], SLOT_NAME_SIZE);
		ret_slot->names[i][SLOT_NAME_SIZE - 1] = 0;
	}
	for (uint32_t i = 0; i < ret_slot->n_epochs; i++) {
		struct slot_epoch *epoch = &ret_slot->epochs[i];

		slot_get(&io, epoch->id, 16);
		epoch->tail = slot_get64(&io);
		epoch->settled = slot_get64(&io);
		epoch->settled_gone = slot_get64(&io);
		for (unsigned k = 0; k < SPOOL_MAX_CURSORS; k++)
			epoch->acked[k] = slot_get64(&io);
	}
	for (uint32_t i = 0; i < ret_slot->n_covers; i++) {
		ret_slot->covers[i].epoch = (uint32_t)slot_get64(&io);
		ret_slot->covers[i].reason = (uint32_t)slot_get64(&io);
		ret_slot->covers[i].first = slot_get64(&io);
		ret_slot->covers[i].last = slot_get64(&io);
	}
	return slot_sane(ret_slot);
}

bool slot_choose(const uint8_t *file, size_t size, struct slot *ret_slot)
{
	bool found = false;
	struct slot slot;

	for (size_t i = 0; i < 2; i++) {
		if (size < (i + 1) * SLOT_SIZE ||
		    !slot_decode(file + i * SLOT_SIZE, SLOT_SIZE, &slot))
			continue;
		if (!found || slot.generation > ret_slot->generation)
			*ret_slot = slot;
		found = true;
	}
	return found;
}

void slot_encode_live(const struct slot_live *live, uint8_t out[SLOT_LIVE_SIZE])
{
	memset(out, 0, SLOT_LIVE_SIZE);
	memcpy(out, slot_live_magic, 8);
	memcpy(out + 8, live->boot, 16);
	memcpy(out + 24, live->epoch, 16);
	layout_put64(out + 40, live->offered);
	layout_put32(out + 60, crc32c(0, out, 60));
}

bool slot_decode_live(const uint8_t in[SLOT_LIVE_SIZE], struct slot_live *ret_live)
{
	if (memcmp(in, slot_live_magic, 8) != 0 || layout_get32(in + 60) != crc32c(0, in, 60))
		return false;
	memcpy(ret_live->boot, in + 8, 16);
	memcpy(ret_live->epoch, in + 24, 16);
	ret_live->offered = layout_get64(in + 40);
	return true;
}
