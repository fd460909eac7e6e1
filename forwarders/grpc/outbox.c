/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#define OUTBOX_HEAD (32 * 1024) /* the largest frame without a body */

struct outbox_packet {
	STAILQ_ENTRY(outbox_packet) link;
	size_t size;
	uint8_t bytes[];
};

struct outbox {
	struct ev_loop *loop;
	struct mailbox *mailbox;
	struct ev_io io; /* runs while packets wait; loop's thread only */
	void (*on_drained)(void *data);
	void (*on_failed)(void *data, int error);
	void *data;

	pthread_mutex_t lock; /* the rest */
	int fd;
	STAILQ_HEAD(, outbox_packet) packets;
	size_t bytes;
	bool was_full;
	int error;
	uint64_t dropped;
};

/* ---- on the loop's thread ---- */

static int outbox_write(const struct outbox *outbox, const struct outbox_packet *packet)
{
	ssize_t n;

	do {
		n = send(outbox->fd, packet->bytes, packet->size, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? FRAME_E_AGAIN : -errno;
	return 0;
}

static void outbox_flush(struct outbox *outbox)
{
	struct outbox_packet *packet;
	int r;

	while (!outbox->error && (packet = STAILQ_FIRST(&outbox->packets))) {
		r = outbox_write(outbox, packet);
		if (r == FRAME_E_AGAIN)
			return;
		if (r < 0)
			outbox->error = r;
		STAILQ_REMOVE_HEAD(&outbox->packets, link);
		outbox->bytes -= packet->size;
		free(packet);
	}
}

static void outbox_tend(void *data)
{
	struct outbox *outbox = data;
	bool drained, waiting;
	int error;

	pthread_mutex_lock(&outbox->lock);
	outbox_flush(outbox);
	error = outbox->error;
	waiting = !error && !STAILQ_EMPTY(&outbox->packets);
	drained = outbox->was_full && outbox->bytes < OUTBOX_FULL / 2;
	if (drained)
		outbox->was_full = false;
	pthread_mutex_unlock(&outbox->lock);
	if (waiting)
		ev_io_start(outbox->loop, &outbox->io);
	else
		ev_io_stop(outbox->loop, &outbox->io);
	if (drained)
		outbox->on_drained(outbox->data);
	if (error)
		outbox->on_failed(outbox->data, error);
}

static void outbox_on_writable(struct ev_loop *loop, struct ev_io *io, int events)
{
	(void)loop;
	(void)events;
	outbox_tend(io->data);
}

/* ---- from any thread ---- */

static struct outbox_packet *outbox_packet(const struct frame *frame)
{
	struct outbox_packet *packet = malloc(sizeof(*packet) + OUTBOX_HEAD);
	struct outbox_packet *whole;
	int n;

	if (!packet)
		return NULL;
	n = frame_encode(frame, false, packet->bytes, OUTBOX_HEAD);
	if (n == -ENOBUFS) {
		whole = realloc(packet, sizeof(*packet) + FRAME_MAX);
		if (whole) {
			packet = whole;
			n = frame_encode(frame, false, packet->bytes, FRAME_MAX);
		}
	}
	if (n < 0) {
		free(packet);
		return NULL;
	}
	packet->size = (size_t)n;
	whole = realloc(packet, sizeof(*packet) + packet->size);
	return whole ? whole : packet;
}

/* Returns true when the loop has to look. */
static bool outbox_keep(struct outbox *outbox, const struct frame *frame)
{
	struct outbox_packet *packet = outbox_packet(frame);
	bool first = STAILQ_EMPTY(&outbox->packets);

	if (!packet) {
		outbox->dropped++;
		return false;
	}
	if (outbox->bytes + packet->size > OUTBOX_MAX) {
		free(packet);
		outbox->error = -ENOBUFS;
		return true;
	}
	STAILQ_INSERT_TAIL(&outbox->packets, packet, link);
	outbox->bytes += packet->size;
	return first;
}

void outbox_send(struct outbox *outbox, const struct frame *frame)
{
	bool look = false;
	int r;

	pthread_mutex_lock(&outbox->lock);
	if (outbox->error) {
		outbox->dropped++;
	} else if (!STAILQ_EMPTY(&outbox->packets)) {
		look = outbox_keep(outbox, frame);
	} else {
		r = frame_send(outbox->fd, frame);
		if (r == FRAME_E_AGAIN) {
			look = outbox_keep(outbox, frame);
		} else if (r == -EINVAL || r == -ENOBUFS) {
			outbox->dropped++;
		} else if (r < 0) {
			outbox->error = r;
			look = true;
		}
	}
	pthread_mutex_unlock(&outbox->lock);
	if (look)
		mailbox_post(outbox->mailbox, outbox_tend, NULL, outbox);
}

bool outbox_is_full(struct outbox *outbox)
{
	bool full;

	pthread_mutex_lock(&outbox->lock);
	full = outbox->bytes >= OUTBOX_FULL;
	outbox->was_full = outbox->was_full || full;
	pthread_mutex_unlock(&outbox->lock);
	return full;
}

uint64_t outbox_dropped(struct outbox *outbox)
{
	uint64_t dropped;

	pthread_mutex_lock(&outbox->lock);
	dropped = outbox->dropped;
	pthread_mutex_unlock(&outbox->lock);
	return dropped;
}

struct outbox *outbox_new(struct ev_loop *loop, struct mailbox *mailbox, int fd,
			  void (*on_drained)(void *data), void (*on_failed)(void *data, int error),
			  void *data)
{
	struct outbox *outbox = calloc(1, sizeof(*outbox));

	if (!outbox)
		return NULL;
	outbox->loop = loop;
	outbox->mailbox = mailbox;
	outbox->fd = fd;
	outbox->on_drained = on_drained;
	outbox->on_failed = on_failed;
	outbox->data = data;
	pthread_mutex_init(&outbox->lock, NULL);
	STAILQ_INIT(&outbox->packets);
	ev_io_init(&outbox->io, outbox_on_writable, fd, EV_WRITE);
	outbox->io.data = outbox;
	return outbox;
}

struct outbox *outbox_free(struct outbox *outbox)
{
	struct outbox_packet *packet;

	if (!outbox)
		return NULL;
	ev_io_stop(outbox->loop, &outbox->io);
	while ((packet = STAILQ_FIRST(&outbox->packets))) {
		STAILQ_REMOVE_HEAD(&outbox->packets, link);
		free(packet);
	}
	pthread_mutex_destroy(&outbox->lock);
	free(outbox);
	return NULL;
}
