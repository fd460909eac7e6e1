/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/fd.h"
#include "pathbell/v1/ingest.pb-c.h"

/*
 * Order: HELLO in, CONFIG out; SESSION_WANTED in, EPOCHS out; SESSION up in, then batches out and
 * ACK, CREDIT, RESEND in, until SESSION says anything but up: then the cursor goes back to what is
 * acked.
 *
 * Anything out of this order, an unknown version or a packet that does not decode ends the link:
 * the process on the other side is replaced, the spool keeps what was not acked.
 */
#define LINK_MAX_READS	  64 /* packets in one turn of the loop */
#define LINK_MAX_BATCHES  16 /* sent in one turn */
#define LINK_FRAMED_SPARE 8  /* tag and length of one event */

static void link_on_read(EV_P_ struct ev_io *io, int revents);
static void link_on_write(EV_P_ struct ev_io *io, int revents);

int link_open(struct link *link, struct ev_loop *loop, int fd, struct spool_cursor *cursor,
	      const struct link_callbacks *callbacks)
{
	*link = (struct link){ .loop = loop, .cursor = cursor, .callbacks = *callbacks, .fd = -1 };
	link->packet = malloc(FRAME_MAX);
	if (!link->packet) {
		fd_close(fd);
		return -ENOMEM;
	}
	link->fd = fd;
	link->held_bytes.max = SPOOL_RECORD_MAX + FRAME_MAX_BATCH_BYTES;
	ev_io_init(&link->read_io, link_on_read, fd, EV_READ);
	ev_io_init(&link->write_io, link_on_write, fd, EV_WRITE);
	link->read_io.data = link->write_io.data = link;
	ev_io_start(loop, &link->read_io);
	return 0;
}

static void link_end_session(struct link *link)
{
	if (!link->up)
		return;
	link->up = false;
	link->is_held = false;
	spool_cursor_rewind(link->cursor);
}

void link_close(struct link *link)
{
	if (link->fd < 0)
		return;
	link_end_session(link);
	ev_io_stop(link->loop, &link->read_io);
	ev_io_stop(link->loop, &link->write_io);
	link->fd = fd_close(link->fd);
	buf_deinit(&link->held_bytes);
	free(link->packet);
	link->packet = NULL;
}

bool link_is_open(const struct link *link)
{
	return link->packet && link->fd >= 0;
}

/* Sending. Each returns 0 to go on, FRAME_E_AGAIN, or -errno. */

static int link_send_epochs(struct link *link)
{
	struct spool_epoch_info epochs[SPOOL_MAX_EPOCHS];
	struct frame frame = { .type = FRAME_EPOCHS };
	size_t n = spool_cursor_epochs(link->cursor, epochs);

	frame.epochs.n_epochs = n < FRAME_MAX_EPOCHS ? n : FRAME_MAX_EPOCHS;
	/* of too many the newest count, the current one is the last */
	for (size_t i = 0; i < frame.epochs.n_epochs; i++) {
		const struct spool_epoch_info *info = &epochs[n - frame.epochs.n_epochs + i];
		struct frame_epoch *epoch = &frame.epochs.epochs[i];

		memcpy(epoch->epoch, info->epoch, 16);
		epoch->oldest_seq = info->oldest_seq;
		epoch->first_unacked_seq = info->first_unacked_seq;
		epoch->tail_seq = info->tail_seq;
	}
	return frame_send(link->fd, &frame);
}

static int link_send_config_frame(struct link *link)
{
	struct frame frame = { .type = FRAME_CONFIG };

	link->callbacks.config(link->callbacks.data, &frame.config);
	return frame_send(link->fd, &frame);
}

static int link_send_beat(struct link *link)
{
	struct frame frame = { .type = FRAME_BEAT };

	link->callbacks.beat(link->callbacks.data, &frame.beat);
	return frame_send(link->fd, &frame);
}

static int link_send_reconnect_frame(struct link *link)
{
	struct frame frame = { .type = FRAME_RECONNECT };

	frame.reconnect.address =
		(struct frame_text){ link->reconnect_address, strlen(link->reconnect_address) };
	frame.reconnect.reason =
		(struct frame_text){ link->reconnect_reason, strlen(link->reconnect_reason) };
	return frame_send(link->fd, &frame);
}

static int link_send_stop_frame(struct link *link)
{
	struct frame frame = { .type = FRAME_STOP, .stop = { link->stop_deadline_ns } };

	return frame_send(link->fd, &frame);
}

static int link_send_receipts(struct link *link)
{
	struct frame frame = { .type = FRAME_RECEIPT };
	size_t sent = 0;
	int r = 0;

	while (r == 0 && sent < link->n_receipts) {
		memcpy(frame.receipt.command_id, link->receipts[sent], 16);
		r = frame_send(link->fd, &frame);
		sent += r == 0;
	}
	link->n_receipts -= sent;
	memmove(link->receipts[0], link->receipts[sent], link->n_receipts * 16);
	return r;
}

static int link_send_due(struct link *link)
{
	struct {
		bool *due;
		int (*send)(struct link *link);
	} const rows[] = {
		{ &link->config_due, link_send_config_frame },
		{ &link->epochs_due, link_send_epochs },
		{ &link->reconnect_due, link_send_reconnect_frame },
		{ &link->beat_due, link_send_beat },
		{ &link->stop_due, link_send_stop_frame },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int r = *rows[i].due ? rows[i].send(link) : 0;

		if (r)
			return r;
		*rows[i].due = false;
	}
	return link_send_receipts(link);
}

/* Batches */

static int link_send_chunk(struct link *link, const struct spool_chunk *chunk)
{
	struct frame frame = { .type = FRAME_BATCH };

	if (chunk->count == 0) {
		frame.type = FRAME_GONE;
		memcpy(frame.gone.epoch, chunk->epoch, 16);
		frame.gone.first_seq = chunk->first_seq;
		frame.gone.last_seq = chunk->last_seq;
		frame.gone.reason = chunk->gone_reason;
		return frame_send(link->fd, &frame);
	}
	memcpy(frame.batch.epoch, chunk->epoch, 16);
	frame.batch.first_seq = chunk->first_seq;
	frame.batch.count = chunk->count;
	frame.batch.crc32c = chunk->crc32c;
	frame.batch.events = chunk->data;
	frame.batch.events_size = chunk->size;
	return frame_send(link->fd, &frame);
}

static bool link_has_credit(const struct link *link, const struct spool_chunk *chunk)
{
	return chunk->count == 0 || (chunk->size <= link->credit_bytes - link->sent_bytes &&
				     chunk->count <= link->credit_records - link->sent_records);
}

/* The chunk's bytes are the spool's until its next call; what cannot go now is copied. */
static int link_hold(struct link *link, const struct spool_chunk *chunk)
{
	int r;

	buf_reset(&link->held_bytes);
	r = chunk->count ? buf_append(&link->held_bytes, chunk->data, chunk->size) : 0;
	if (r)
		return r;
	link->held = *chunk;
	link->held.data = link->held_bytes.data;
	link->is_held = true;
	return 0;
}

static void link_count(struct link *link, const struct spool_chunk *chunk)
{
	if (!chunk->count)
		return;
	link->sent_bytes += chunk->size;
	link->sent_records += chunk->count;
	link->n_batches++;
}

static int link_send_held(struct link *link)
{
	int r;

	if (!link_has_credit(link, &link->held))
		return SPOOL_E_EMPTY;
	r = link_send_chunk(link, &link->held);
	if (r)
		return r;
	link->is_held = false;
	link_count(link, &link->held);
	return 0;
}

/* 0, FRAME_E_AGAIN (== 1), SPOOL_E_EMPTY, SPOOL_E_PENDING (> 1), -errno. */
static int link_send_next(struct link *link)
{
	uint64_t bytes = link->credit_bytes - link->sent_bytes;
	uint64_t records = link->credit_records - link->sent_records;
	struct spool_chunk chunk;
	int r;

	if (link->is_held)
		return link_send_held(link);
	if (bytes <= LINK_FRAMED_SPARE || records == 0)
		return SPOOL_E_EMPTY;
	if (bytes > FRAME_MAX_BATCH_BYTES)
		bytes = FRAME_MAX_BATCH_BYTES;
	if (records > link->max_batch_records)
		records = link->max_batch_records;
	r = spool_cursor_next(link->cursor, bytes, (uint32_t)records, &chunk);
	if (r)
		return r;
	/* one record may be larger than what was asked for */
	r = link_has_credit(link, &chunk) ? link_send_chunk(link, &chunk) : FRAME_E_AGAIN;
	if (r == 0)
		link_count(link, &chunk);
	else if (r == FRAME_E_AGAIN)
		r = link_hold(link, &chunk) ?: (link_has_credit(link, &chunk) ? r : SPOOL_E_EMPTY);
	return r;
}

static int link_pump(struct link *link)
{
	int r = 0;

	if (!link->up)
		return 0;
	for (unsigned i = 0; r == 0 && i < LINK_MAX_BATCHES; i++)
		r = link_send_next(link);
	if (r == SPOOL_E_EMPTY || r == SPOOL_E_PENDING)
		return 0;
	return r == 0 ? FRAME_E_AGAIN : r; /* more to send: go on when the loop comes round */
}

static void link_fail(struct link *link, int error)
{
	ev_io_stop(link->loop, &link->read_io);
	ev_io_stop(link->loop, &link->write_io);
	link_end_session(link);
	link->callbacks.ended(link->callbacks.data, error);
}

void link_flush(struct link *link)
{
	int r;

	if (!link_is_open(link))
		return;
	r = link_send_due(link);
	if (r == 0)
		r = link_pump(link);
	if (r == FRAME_E_AGAIN) {
		ev_io_start(link->loop, &link->write_io);
		return;
	}
	ev_io_stop(link->loop, &link->write_io);
	if (r < 0)
		link_fail(link, r);
}

static void link_on_write(EV_P_ struct ev_io *io, int revents)
{
	link_flush(io->data);
}

void link_send_config(struct link *link)
{
	if (!link_is_open(link) || !link->greeted)
		return; /* it gets the newest with its HELLO */
	link->config_due = true;
	link_flush(link);
}

void link_send_receipt(struct link *link, const uint8_t id[16])
{
	/* Lost receipts do no harm: the command comes again and is recognised. */
	if (!link_is_open(link) || !link->up || link->n_receipts == LINK_MAX_RECEIPTS) {
		link->n_receipts_lost++;
		return;
	}
	memcpy(link->receipts[link->n_receipts++], id, 16);
	link_flush(link);
}

void link_send_reconnect(struct link *link, const char *address, const char *reason)
{
	size_t len = strlen(address);

	if (!link_is_open(link) || len >= sizeof(link->reconnect_address))
		return;
	memcpy(link->reconnect_address, address, len + 1);
	link->reconnect_reason = reason;
	link->reconnect_due = true;
	link_flush(link);
}

void link_send_stop(struct link *link, uint64_t deadline_ns)
{
	if (!link_is_open(link))
		return;
	link->stop_deadline_ns = deadline_ns;
	link->stop_due = true;
	link_flush(link);
}

/* Receiving. 0 or -errno. */

static int link_take_hello(struct link *link, const struct frame *frame)
{
	if (link->greeted)
		return -EPROTO;
	link->callbacks.hello(link->callbacks.data, &frame->hello);
	if (frame->hello.version != FRAME_VERSION)
		return -EPROTO;
	link->greeted = true;
	link->config_due = true;
	return 0;
}

static void link_begin_session(struct link *link, const struct frame_session_state *session)
{
	bool epoch_changed = false;

	spool_cursor_rewind(link->cursor);
	for (size_t i = 0; i < session->n_resume; i++)
		if (spool_cursor_resume(link->cursor, session->resume[i].epoch,
					session->resume[i].seq) == SPOOL_E_EPOCH)
			epoch_changed = true;
	link->up = true;
	link->is_held = false;
	link->sent_bytes = link->sent_records = 0;
	link->credit_bytes = session->credit_bytes;
	link->credit_records = session->credit_records;
	link->max_batch_records = session->max_batch_records ? session->max_batch_records : 8192;
	if (!epoch_changed)
		return;
	/* The receiver has not heard of the new epoch: say Hello again. */
	link->callbacks.epoch_changed(link->callbacks.data);
	link->reconnect_address[0] = 0;
	link->reconnect_reason = "epoch";
	link->reconnect_due = true;
}

static int link_take_session(struct link *link, const struct frame *frame)
{
	if (!link->greeted)
		return -EPROTO;
	link_end_session(link);
	if (frame->session.state == FRAME_SESSION_UP)
		link_begin_session(link, &frame->session);
	link->callbacks.session(link->callbacks.data, &frame->session);
	return 0;
}

static int link_take_ack(struct link *link, const struct frame *frame)
{
	if (!link->up)
		return 0; /* crossed our seeing the end of the session */
	if (frame->ack.level < PATHBELL__V1__ACK_LEVEL__ACK_LEVEL_LOCAL)
		return 0; /* in memory only: frees nothing */
	if (spool_cursor_ack(link->cursor, frame->ack.epoch, frame->ack.seq)) {
		link->n_bad_acks++;
		log_limited(&link->bad_ack, LOG_LEVEL_WARNING,
			    "ack ignored seq=%llu: stale, or beyond what was sent",
			    (unsigned long long)frame->ack.seq);
		return 0;
	}
	link->callbacks.acked(link->callbacks.data);
	return 0;
}

static int link_take_credit(struct link *link, const struct frame *frame)
{
	/* absolute, and only grows: an older one that came late changes nothing */
	if (frame->credit.bytes > link->credit_bytes)
		link->credit_bytes = frame->credit.bytes;
	if (frame->credit.records > link->credit_records)
		link->credit_records = frame->credit.records;
	return 0;
}

static int link_take(struct link *link, const struct frame *frame)
{
	switch (frame->type) {
	case FRAME_HELLO:
		return link_take_hello(link, frame);
	case FRAME_SESSION:
		return link_take_session(link, frame);
	case FRAME_ACK:
		return link_take_ack(link, frame);
	case FRAME_CREDIT:
		return link_take_credit(link, frame);
	case FRAME_SESSION_WANTED:
		link->epochs_due = true;
		return 0;
	case FRAME_BEAT_WANTED:
		link->beat_due = true;
		return 0;
	case FRAME_COMMAND:
		link->callbacks.command(link->callbacks.data, &frame->command);
		return 0;
	case FRAME_RESEND:
		if (link->up)
			spool_cursor_resend(link->cursor, frame->resend.epoch,
					    frame->resend.first_seq, frame->resend.last_seq);
		return 0;
	case FRAME_ALARM:
		link->callbacks.alarm(link->callbacks.data, &frame->alarm);
		return 0;
	case FRAME_STATS:
		link->callbacks.stats(link->callbacks.data, &frame->stats);
		return 0;
	default:
		return -EPROTO; /* ours to send, not its */
	}
}

static int link_read(struct link *link)
{
	struct frame frame;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < LINK_MAX_READS; i++) {
		r = frame_receive(link->fd, link->packet, &frame);
		if (r)
			break;
		r = frame.type != FRAME_HELLO && !link->greeted ? -EPROTO : link_take(link, &frame);
	}
	return r;
}

static void link_on_read(EV_P_ struct ev_io *io, int revents)
{
	struct link *link = io->data;
	int r = link_read(link);

	if (r < 0)
		link_fail(link, r);
	else
		link_flush(link);
}

void link_drain(struct link *link)
{
	int r = 0;

	/* bounded by what the socket holds: the other end is gone */
	while (link_is_open(link) && r == 0)
		r = link_read(link);
	if (r < 0)
		link_fail(link, r);
}
