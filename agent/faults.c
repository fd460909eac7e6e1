/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/faults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/encode.h"
#include "core/crc32c.h"
#include "proto/codec.h"

/*
 * Happy path
 *   1. A collector raises a fault; when its event is in the spool, faults_note keeps what a twin
 *	will need. It clears it: faults_note forgets it.
 *   2. The agent is started again (faults_decode), or a collector is opened again (faults_doubt):
 *	its faults are in doubt. The collector tells again what lasts; that is the same fault, so
 *	faults_amend makes "it still holds" of a second RAISED, and it is in doubt no more.
 *   3. The collector says that it has told everything (collector_ctx.settled). What is still in
 *	doubt has ended unheard: faults_make_twin.
 *
 * Failure modes
 *   - The collector is parked or blind, so that it can't say: the fault stays open. Absence of an
 *	answer is not an end.
 *   - Its collector is disabled: nobody will ever say. The twin says so.
 *   - More than FAULTS_MAX: counted, told as always, and without a twin if they end unheard.
 *   - Recorded events (replayed) are no faults of this host.
 */
#define KIND(name)  PATHBELL__V1__EVENT_KIND__EVENT_KIND_##name
#define PHASE(name) PATHBELL__V1__FAULT_PHASE__FAULT_PHASE_##name

static uint32_t faults_hash(const char *id)
{
	return crc32c(0, id, strlen(id));
}

static struct fault *faults_find(const struct faults *faults, const char *id)
{
	uint32_t hash = faults_hash(id);

	for (size_t i = 0; i < faults->n; i++)
		if (faults->items[i].hash == hash &&
		    strcmp(faults->items[i].event->fault_id, id) == 0)
			return &faults->items[i];
	return NULL;
}

static bool faults_is_of(const struct fault *fault, const char *collector)
{
	return strcmp(fault->event->source->collector, collector) == 0;
}

static void faults_drop(struct faults *faults, struct fault *fault)
{
	protobuf_c_message_free_unpacked(&fault->event->base, NULL);
	*fault = faults->items[--faults->n];
	faults->version++;
}

void faults_deinit(struct faults *faults)
{
	for (size_t i = 0; i < faults->n; i++)
		protobuf_c_message_free_unpacked(&faults->items[i].event->base, NULL);
	free(faults->items);
	*faults = (struct faults){ 0 };
}

static int faults_grow(struct faults *faults)
{
	size_t capacity = faults->capacity ? faults->capacity * 2 : 16;
	struct fault *items;

	if (faults->n < faults->capacity)
		return 0;
	items = realloc(faults->items, capacity * sizeof(items[0]));
	if (!items)
		return -ENOMEM;
	faults->items = items;
	faults->capacity = capacity;
	return 0;
}

/* Takes one as it is in the file. 0, FAULTS_E_BAD, -ENOMEM. */
static int faults_take(struct faults *faults, const void *data, size_t size, bool doubted)
{
	Pathbell__V1__Event *event = codec_unpack(&pathbell__v1__event__descriptor,
						  &scan_limits_event, NULL, data, size, NULL);
	int r = FAULTS_E_BAD;

	if (event && event->source && event->source->collector[0] && event->subject &&
	    event->fault_id[0] && !faults_find(faults, event->fault_id))
		r = faults->n < FAULTS_MAX ? faults_grow(faults) : FAULTS_E_BAD;
	if (r) {
		if (event)
			protobuf_c_message_free_unpacked(&event->base, NULL);
		return r;
	}
	faults->items[faults->n++] = (struct fault){ .hash = faults_hash(event->fault_id),
						     .doubted = doubted,
						     .event = event };
	faults->version++;
	return 0;
}

/* Of @event only what a twin needs. */
static void faults_add(struct faults *faults, const Pathbell__V1__Event *event)
{
	Pathbell__V1__Event kept = PATHBELL__V1__EVENT__INIT;
	Pathbell__V1__Source source = PATHBELL__V1__SOURCE__INIT;
	uint8_t buffer[FAULTS_ENTRY_MAX], *data;
	size_t size;

	source.collector = event->source->collector;
	kept.kind = event->kind;
	kept.time_unix_ns = event->time_unix_ns;
	kept.source = &source;
	kept.subject = event->subject;
	kept.fault_id = event->fault_id;
	size = encode_message(&kept.base, buffer, sizeof(buffer), &data);
	if (size == 0 || faults_take(faults, data, size, false))
		faults->untracked++;
}

void faults_amend(const struct faults *faults, Pathbell__V1__Event *event)
{
	if (event->replayed)
		return;
	if (event->fault_phase == PHASE(RAISED) && faults_find(faults, event->fault_id))
		event->fault_phase = PHASE(UNSPECIFIED);
	if (event->kind == KIND(COLLECTOR_UP) && event->fault_phase == PHASE(UNSPECIFIED) &&
	    event->subject && faults_find(faults, event->subject->id)) {
		event->fault_phase = PHASE(CLEARED);
		event->fault_id = event->subject->id;
	}
}

void faults_note(struct faults *faults, const Pathbell__V1__Event *event, bool kept)
{
	struct fault *fault;

	if (event->replayed || !event->fault_id[0] || !event->source)
		return;
	fault = faults_find(faults, event->fault_id);
	if (fault && event->fault_phase == PHASE(CLEARED))
		faults_drop(faults, fault);
	else if (fault)
		fault->doubted = false;
	else if (kept && event->fault_phase == PHASE(RAISED) && event->subject)
		faults_add(faults, event);
}

void faults_doubt(struct faults *faults, const char *collector, bool all)
{
	for (size_t i = 0; i < faults->n; i++) {
		struct fault *fault = &faults->items[i];

		if (faults_is_of(fault, collector))
			fault->doubted = all || strncmp(fault->event->fault_id,
							"collector:", strlen("collector:")) != 0;
	}
}

const struct fault *faults_next_doubted(const struct faults *faults, const char *collector)
{
	for (size_t i = 0; i < faults->n; i++)
		if (faults->items[i].doubted && faults_is_of(&faults->items[i], collector))
			return &faults->items[i];
	return NULL;
}

void faults_remove(struct faults *faults, const char *id)
{
	struct fault *fault = faults_find(faults, id);

	if (fault)
		faults_drop(faults, fault);
}

/* Where an end has a kind of its own. A path or a controller may have come back or be removed: that
 * is not known, so it is the fault's own kind that is cleared. */
static Pathbell__V1__EventKind faults_twin_kind(Pathbell__V1__EventKind kind)
{
	switch (kind) {
	case KIND(STORAGE_PATH_MARGINAL):
		return KIND(STORAGE_PATH_MARGINAL_CLEARED);
	case KIND(STORAGE_DEVICE_ALL_PATHS_DOWN):
		return KIND(STORAGE_DEVICE_ALL_PATHS_DOWN_CLEARED);
	case KIND(STORAGE_DEVICE_PERMANENT_LOSS):
		return KIND(STORAGE_DEVICE_PERMANENT_LOSS_CLEARED);
	default:
		return kind;
	}
}

void faults_make_twin(const struct fault *fault, const char *reason, struct faults_twin *ret_twin)
{
	Pathbell__V1__Event *event = &ret_twin->event;

	pathbell__v1__event__init(event);
	pathbell__v1__source__init(&ret_twin->source);
	ret_twin->source.collector = fault->event->source->collector;
	ret_twin->source.interface = (char *)"agent";
	event->kind = faults_twin_kind(fault->event->kind);
	event->severity = PATHBELL__V1__SEVERITY__SEVERITY_NOTICE;
	event->fault_phase = PHASE(CLEARED);
	event->fault_id = fault->event->fault_id;
	event->subject = fault->event->subject;
	event->source = &ret_twin->source;
	snprintf(ret_twin->since, sizeof(ret_twin->since), "%llu",
		 (unsigned long long)fault->event->time_unix_ns);
	for (size_t i = 0; i < 2; i++) {
		pathbell__v1__attribute__init(&ret_twin->attributes[i]);
		ret_twin->extra[i] = &ret_twin->attributes[i];
	}
	ret_twin->attributes[0].key = (char *)"reason";
	ret_twin->attributes[0].value = (char *)reason;
	ret_twin->attributes[1].key = (char *)"raised_unix_ns";
	ret_twin->attributes[1].value = ret_twin->since;
	event->extra = ret_twin->extra;
	event->n_extra = 2;
}

/* The file. */

static const char faults_magic[] = "pathbell faults 1\n";
#define FAULTS_MAGIC_SIZE (sizeof(faults_magic) - 1)

static int faults_put_u32(struct buf *out, uint32_t value)
{
	uint8_t bytes[4] = { (uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
			     (uint8_t)(value >> 24) };

	return buf_append(out, bytes, sizeof(bytes));
}

static uint32_t faults_get_u32(const uint8_t *data)
{
	return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
	       (uint32_t)data[3] << 24;
}

int faults_encode(const struct faults *faults, struct buf *out)
{
	uint8_t buffer[FAULTS_ENTRY_MAX], *data;
	int r = buf_append(out, faults_magic, FAULTS_MAGIC_SIZE);

	for (size_t i = 0; r == 0 && i < faults->n; i++) {
		size_t size = encode_message(&faults->items[i].event->base, buffer, sizeof(buffer),
					     &data);

		if (size == 0)
			continue; /* larger than what is read again */
		r = faults_put_u32(out, (uint32_t)size);
		if (r == 0)
			r = buf_append(out, data, size);
	}
	return r ? r : faults_put_u32(out, crc32c(0, out->data, out->size));
}

int faults_decode(struct faults *faults, const void *data, size_t size)
{
	const uint8_t *at = data, *end;
	struct faults read = { 0 };
	int r = 0;

	if (size < FAULTS_MAGIC_SIZE + 4 || memcmp(at, faults_magic, FAULTS_MAGIC_SIZE) != 0 ||
	    faults_get_u32(at + size - 4) != crc32c(0, data, size - 4))
		return FAULTS_E_BAD;
	end = at + size - 4;
	at += FAULTS_MAGIC_SIZE;
	while (r == 0 && at < end) {
		size_t left = (size_t)(end - at);
		uint32_t entry = left >= 4 ? faults_get_u32(at) : UINT32_MAX;

		if (entry == 0 || entry > FAULTS_ENTRY_MAX || entry > left - 4) {
			r = FAULTS_E_BAD;
		} else {
			r = faults_take(&read, at + 4, entry, true);
			at += 4 + entry;
		}
	}
	if (r) {
		faults_deinit(&read);
		return r;
	}
	faults_deinit(faults);
	*faults = read;
	return 0;
}
