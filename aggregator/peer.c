/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/peer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "aggregator/store/rows.h"
#include "core/crc32c.h"
#include "proto/scan.h"
#include "proto/wire.h"
#include "rpc/rpc.h"

#define EVENTS_UP_BATCH_FIELD 2 /* ingest.proto */

void peer_init(struct peer *peer, const char *host_id, const struct peer_limits *limits)
{
	memset(peer, 0, sizeof(*peer));
	peer->host_id = host_id;
	peer->limits = *limits;
}

/* action->text says why; the caller has set it. */
static void peer_close(struct peer *peer, struct peer_action *action, int status,
		       const char *reason)
{
	peer->state = PEER_CLOSED;
	action->type = PEER_CLOSE;
	action->status = status;
	action->reason = reason;
}

static void peer_protocol(struct peer *peer, struct peer_action *action, const char *text)
{
	snprintf(action->text, sizeof(action->text), "%.200s", text);
	peer_close(peer, action, RPC_INVALID_ARGUMENT, "protocol");
}

/* ---- Hello ---- */

static bool peer_hello_epochs(struct peer *peer, const Pathbell__V1__Hello *hello)
{
	if (hello->n_epochs > PEER_MAX_EPOCHS)
		return false;
	for (size_t i = 0; i < hello->n_epochs; i++) {
		const Pathbell__V1__EpochState *from = hello->epochs[i];
		struct peer_epoch *to = &peer->epochs[i];

		if (from->epoch.len != 16 || from->tail_seq >= INT64_MAX ||
		    from->oldest_seq > from->tail_seq + 1)
			return false;
		memcpy(to->epoch, from->epoch.data, 16);
		for (size_t j = 0; j < i; j++)
			if (memcmp(peer->epochs[j].epoch, to->epoch, 16) == 0)
				return false;
		to->available = from->oldest_seq ? from->oldest_seq : from->tail_seq + 1;
		to->acked = from->first_unacked_seq ? from->first_unacked_seq - 1 : 0;
	}
	peer->n_epochs = hello->n_epochs;
	return true;
}

static void peer_on_hello(struct peer *peer, const Pathbell__V1__Hello *hello,
			  struct peer_action *action)
{
	if (peer->state != PEER_NEW) {
		peer_protocol(peer, action, "a second Hello");
		return;
	}
	if (strcmp(hello->host_id, peer->host_id) != 0) {
		snprintf(action->text, sizeof(action->text),
			 "Hello says host id %.64s, the certificate says %.128s", hello->host_id,
			 peer->host_id);
		peer_close(peer, action, RPC_PERMISSION_DENIED, "host_id_mismatch");
		return;
	}
	if (hello->protocol_min > PEER_PROTOCOL || hello->protocol_max < PEER_PROTOCOL) {
		snprintf(action->text, sizeof(action->text),
			 "protocol %u to %u offered, %d is spoken here", hello->protocol_min,
			 hello->protocol_max, PEER_PROTOCOL);
		peer_close(peer, action, RPC_FAILED_PRECONDITION, "protocol");
		return;
	}
	if (!peer_hello_epochs(peer, hello)) {
		peer_protocol(peer, action, "Hello.epochs: bad, double or too many");
		return;
	}
	peer->generation = hello->session_generation;
	peer->state = PEER_RESUMING;
	action->type = PEER_HELLO;
	action->hello = hello;
}

size_t peer_resumed(struct peer *peer, const uint64_t *marks)
{
	size_t below = 0;

	for (size_t i = 0; i < peer->n_epochs; i++) {
		peer->epochs[i].next = marks[i] + 1;
		below += marks[i] < peer->epochs[i].acked;
	}
	peer->granted_bytes = peer->limits.window_bytes;
	peer->granted_records = peer->limits.window_records;
	peer->state = PEER_OPEN;
	return below;
}

/* ---- data ---- */

/* An epoch that begins after Hello starts at 1; the store decides if it knows better. */
static struct peer_epoch *peer_epoch(struct peer *peer, const uint8_t id[16])
{
	struct peer_epoch *epoch;

	for (size_t i = 0; i < peer->n_epochs; i++)
		if (memcmp(peer->epochs[i].epoch, id, 16) == 0)
			return &peer->epochs[i];
	if (peer->n_epochs == PEER_MAX_EPOCHS)
		return NULL;
	epoch = &peer->epochs[peer->n_epochs++];
	memset(epoch, 0, sizeof(*epoch));
	memcpy(epoch->epoch, id, 16);
	epoch->next = epoch->available = 1;
	return epoch;
}

/* True: [first, ...] may go on; else the action says what instead. */
static bool peer_in_order(struct peer *peer, struct peer_epoch *epoch, uint64_t first,
			  struct peer_action *action)
{
	if (first <= epoch->next) {
		epoch->resending = false;
		return true;
	}
	memcpy(action->range.epoch, epoch->epoch, 16);
	action->range.first_seq = epoch->next;
	action->range.last_seq = first - 1;
	if (first <= epoch->available) {
		action->declared = true;
		return true;
	}
	if (epoch->resending && ++peer->dropped < PEER_MAX_DROPPED)
		return false;
	if (peer->resent) {
		snprintf(action->text, sizeof(action->text),
			 "gap: seq %" PRIu64 " came, %" PRIu64 " is next", first, epoch->next);
		peer_close(peer, action, RPC_FAILED_PRECONDITION, "protocol");
		return false;
	}
	peer->resent = true;
	epoch->resending = true;
	action->type = PEER_RESEND;
	return false;
}

/* What is dropped has used credit all the same, and holds no memory. */
static void peer_drop(struct peer *peer, size_t bytes, uint64_t records)
{
	peer->received_bytes += bytes;
	peer->received_records += records;
	peer->stored_bytes += bytes;
	peer->stored_records += records;
}

static void peer_batch_order(struct peer *peer, struct peer_action *action)
{
	uint64_t end = action->batch.first_seq + action->batch.count;
	struct peer_epoch *epoch = peer_epoch(peer, action->batch.epoch);

	if (!epoch) {
		peer_protocol(peer, action, "more than 64 epochs in one session");
		return;
	}
	if (!peer_in_order(peer, epoch, action->batch.first_seq, action)) {
		peer_drop(peer, action->weight, action->batch.count);
		return;
	}
	if (end > epoch->next)
		epoch->next = end;
	action->type = PEER_BATCH;
	peer->received_bytes += action->weight;
	peer->received_records += action->batch.count;
}

/* One field of a Batch into the action. False: bad. */
static bool peer_batch_field(const struct wire_field *field, struct peer_action *action,
			     uint32_t *crc)
{
	switch (field->number) {
	case 1:
		if (field->size != 16)
			return false;
		memcpy(action->batch.epoch, field->data, 16);
		return true;
	case 2:
		action->batch.first_seq = field->value;
		return true;
	case 3:
		action->batch.count = (uint32_t)field->value;
		return true;
	case 4:
		*crc = (uint32_t)field->value;
		return true;
	default:
		return true;
	}
}

/* Where the framed events lie: they must be back to back, as every encoder writes a repeated field.
 */
static const char *peer_batch_parse(const uint8_t *data, size_t size, struct peer_action *action,
				    uint32_t *ret_crc)
{
	const uint8_t *begin = NULL, *end = NULL, *before = data;
	struct wire_reader reader;
	struct wire_field field;
	int r;

	wire_reader_init(&reader, data, size);
	while ((r = wire_next(&reader, &field)) == 0) {
		if (field.number != CODEC_BATCH_EVENTS_FIELD) {
			if (!peer_batch_field(&field, action, ret_crc))
				return "Batch.epoch is not 16 bytes";
		} else if (!begin) {
			begin = before;
			end = reader.pos;
		} else if (before != end) {
			return "Batch.events are not back to back";
		} else {
			end = reader.pos;
		}
		before = reader.pos;
	}
	if (r < 0)
		return "Batch is malformed";
	action->batch.events = begin;
	action->batch.events_size = begin ? (size_t)(end - begin) : 0;
	return NULL;
}

static const char *peer_batch_check(const struct peer *peer, const struct peer_action *action,
				    uint32_t crc)
{
	static const uint8_t none[16];
	uint32_t count;

	if (memcmp(action->batch.epoch, none, 16) == 0)
		return "Batch.epoch is missing";
	if (action->batch.count == 0 || !action->batch.events)
		return "Batch is empty";
	if (action->batch.count > peer->limits.max_batch_records)
		return "Batch.count is above max_batch_records";
	if (action->batch.first_seq == 0 ||
	    action->batch.first_seq > (uint64_t)INT64_MAX - action->batch.count)
		return "Batch.first_seq is out of range";
	if (row_count(action->batch.events, action->batch.events_size, &count) != 0 ||
	    count != action->batch.count)
		return "Batch.count is not the number of events";
	if (crc32c(0, action->batch.events, action->batch.events_size) != crc)
		return "Batch.crc32c does not fit";
	return NULL;
}

static void peer_on_batch(struct peer *peer, const uint8_t *data, size_t size,
			  struct peer_action *action)
{
	const char *wrong;
	uint32_t crc = 0;

	if (peer->state != PEER_OPEN) {
		peer_protocol(peer, action, "a Batch before Welcome");
		return;
	}
	wrong = peer_batch_parse(data, size, action, &crc);
	if (!wrong)
		wrong = peer_batch_check(peer, action, crc);
	if (wrong)
		peer_protocol(peer, action, wrong);
	else
		peer_batch_order(peer, action);
}

static void peer_on_gone(struct peer *peer, const Pathbell__V1__Gone *gone,
			 struct peer_action *action)
{
	struct peer_epoch *epoch;

	if (peer->state != PEER_OPEN) {
		peer_protocol(peer, action, "a Gone before Welcome");
		return;
	}
	if (gone->epoch.len != 16 || gone->first_seq == 0 || gone->last_seq < gone->first_seq ||
	    gone->last_seq >= INT64_MAX) {
		peer_protocol(peer, action, "Gone: bad epoch or range");
		return;
	}
	epoch = peer_epoch(peer, gone->epoch.data);
	if (!epoch) {
		peer_protocol(peer, action, "more than 64 epochs in one session");
		return;
	}
	if (!peer_in_order(peer, epoch, gone->first_seq, action)) {
		peer_drop(peer, action->weight, 1);
		return;
	}
	/* A declared gap below is part of the same tombstone. */
	action->range.first_seq = action->declared ? epoch->next : gone->first_seq;
	action->declared = false;
	memcpy(action->range.epoch, gone->epoch.data, 16);
	action->range.last_seq = gone->last_seq;
	action->gone_reason = gone->reason;
	if (gone->last_seq >= epoch->next)
		epoch->next = gone->last_seq + 1;
	action->type = PEER_GONE;
	peer->received_bytes += action->weight;
	peer->received_records++;
}

/* ---- messages ---- */

static void peer_small(struct peer *peer, const uint8_t *message, size_t size,
		       struct peer_action *action)
{
	struct errmsg err = { 0 };

	action->message = codec_unpack(&pathbell__v1__events_up__descriptor, &scan_limits_stream,
				       NULL, message, size, &err);
	if (!action->message) {
		peer_protocol(peer, action, err.text);
		return;
	}
	switch (action->message->message_case) {
	case PATHBELL__V1__EVENTS_UP__MESSAGE_HELLO:
		peer_on_hello(peer, action->message->hello, action);
		break;
	case PATHBELL__V1__EVENTS_UP__MESSAGE_GONE:
		peer_on_gone(peer, action->message->gone, action);
		break;
	case PATHBELL__V1__EVENTS_UP__MESSAGE_HEARTBEAT:
		if (peer->state == PEER_NEW) {
			peer_protocol(peer, action, "a Heartbeat before Hello");
			break;
		}
		action->type = PEER_HEARTBEAT;
		action->heartbeat = action->message->heartbeat;
		break;
	default:
		peer_protocol(peer, action, "a message of no known kind");
		break;
	}
}

/* The message is one Batch and nothing else: the hot path, read in place. */
static bool peer_is_batch(const uint8_t *message, size_t size, struct wire_field *ret_field)
{
	struct wire_reader reader;

	wire_reader_init(&reader, message, size);
	return wire_next(&reader, ret_field) == 0 && ret_field->number == EVENTS_UP_BATCH_FIELD &&
	       ret_field->type == WIRE_BYTES && reader.pos == reader.end;
}

void peer_receive(struct peer *peer, const uint8_t *message, size_t size,
		  struct peer_action *ret_action)
{
	struct errmsg err = { 0 };
	struct wire_field field;

	memset(ret_action, 0, sizeof(*ret_action));
	ret_action->weight = size;
	if (peer->state == PEER_CLOSED)
		return;
	if (!peer_is_batch(message, size, &field)) {
		peer_small(peer, message, size, ret_action);
		return;
	}
	if (scan_check(&pathbell__v1__events_up__descriptor, &scan_limits_stream, message, size,
		       &err) != 0)
		peer_protocol(peer, ret_action, err.text);
	else
		peer_on_batch(peer, field.data, field.size, ret_action);
}

void peer_release(struct peer_action *action)
{
	if (action->message)
		protobuf_c_message_free_unpacked(&action->message->base, NULL);
	action->message = NULL;
}

bool peer_stored(struct peer *peer, size_t bytes, uint64_t records)
{
	uint64_t new_bytes, new_records;

	peer->stored_bytes += bytes;
	peer->stored_records += records;
	new_bytes = peer->stored_bytes + peer->limits.window_bytes;
	new_records = peer->stored_records + peer->limits.window_records;
	if (new_bytes - peer->granted_bytes < peer->limits.window_bytes / 4 &&
	    new_records - peer->granted_records < peer->limits.window_records / 4)
		return false;
	peer->granted_bytes = new_bytes;
	peer->granted_records = new_records;
	return true;
}

bool peer_is_over(const struct peer *peer)
{
	return peer->received_bytes - peer->stored_bytes > peer->limits.window_bytes ||
	       peer->received_records - peer->stored_records > peer->limits.window_records;
}
