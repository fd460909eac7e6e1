/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/errmsg.h"
#include "pathbell/v1/command.pb-c.h"
#include "pathbell/v1/event.pb-c.h"
#include "pathbell/v1/fleet.pb-c.h"
#include "pathbell/v1/ingest.pb-c.h"
#include "pathbell/v1/local.pb-c.h"
#include "proto/arena.h"
#include "proto/scan.h"

/* Largest encoded event. A larger one is cut (raw, extra) by the pipeline, then refused. */
#define CODEC_EVENT_MAX 65536

/*
 * Pre-scan, then unpack into @arena (or with malloc where it is NULL; then free with
 * protobuf_c_message_free_unpacked). NULL and @err on failure. Cast to the generated type.
 */
void *codec_unpack(const ProtobufCMessageDescriptor *schema, const struct scan_limits *limits,
		   struct arena *arena, const void *data, size_t size, struct errmsg *err);

/*
 * Packs @message into @out and sets *ret_size (> @size is never written). 0, or -EMSGSIZE where it
 * needs more than @size; *ret_size is then what it needs.
 */
int codec_pack(const ProtobufCMessage *message, uint8_t *out, size_t size, size_t *ret_size);

/*
 * What the store and the filters need of an encoded event, read in place without unpacking (about
 * 50 ns). Strings point into @data and are not terminated. Unknown kinds are kept as numbers.
 */
struct codec_event_head {
	uint32_t kind, severity;
	uint64_t time_unix_ns, observed_unix_ns;
	bool replayed;
	const char *subject_id;
	size_t subject_id_len;
	const char *collector;
	size_t collector_len;
	const uint8_t *command_state; /* payload command_state, encoded; NULL if another payload */
	size_t command_state_size;
};

/* 0 or -EBADMSG. Checks the structure of the top level, of source and of subject only. */
int codec_event_head(const void *data, size_t size, struct codec_event_head *ret_head);

/*
 * Batch.events as `tag, length, event` back to back: how the spool hands records out, the
 * socketpair carries them and gRPC sends them; never re-encoded. Field number of Batch.events.
 */
#define CODEC_BATCH_EVENTS_FIELD 8
/* Bytes of one framed event: tag (1) + length + size. */
size_t codec_framed_size(size_t event_size);
/* Writes tag and length at @out (at most 6 bytes), returns the end; the event's bytes follow. */
uint8_t *codec_put_frame(uint8_t *out, size_t event_size);
/*
 * Writes the head of `EventsUp{batch}` for framed events of @events_size bytes; the framed bytes
 * follow it on the wire unchanged. @out holds CODEC_BATCH_HEAD_MAX. Returns the size of the head.
 */
#define CODEC_BATCH_HEAD_MAX 96
size_t codec_put_batch_head(uint8_t *out, const uint8_t epoch[16], uint64_t first_seq,
			    uint32_t count, uint32_t crc32c, uint64_t sent_unix_ns,
			    size_t events_size);
