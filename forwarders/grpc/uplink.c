/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thread of the loop: fd 3 -> parcels -> rpc_post; inotify; signals. gRPC thread: everything in
 * link.c. What one owns the other never touches; between them go parcels (one way), mailbox letters
 * (the other) and the outbox, which has its own lock.
 *
 * The agent sends no more than the credit that it was given. Should it nevertheless, reading from
 * fd 3 stops until the gRPC thread has caught up: memory is bounded by construction, not by trust.
 */
#include "uplink.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/log.h"
#include "forwarders/frame/frame.h"
#include "link.h"
#include "outbox.h"
#include "parcel.h"
#include "rpc/mailbox.h"
#include "watch.h"

#define UPLINK_SMALL 8192 /* packets up to this are copied out of the large buffer */
#define UPLINK_BURST 16	  /* packets read before the loop looks at something else */
#define UPLINK_MAX_PENDING \
	(4 * 1024 * 1024) /* bytes on the way; twice the largest sensible window */

struct uplink {
	struct ev_loop *loop;
	int fd, status;
	struct ev_io readable;
	struct ev_signal term, interrupt;
	struct ev_timer poll_pending; /* only while reading is stopped */
	struct mailbox *mailbox;
	struct outbox *outbox;
	struct watch *watch;
	struct rpc *rpc;
	struct parcel *scratch;
	_Atomic size_t pending;
	bool closing;

	struct link link; /* gRPC thread */
};

/* ---- to the gRPC thread ---- */

struct uplink_letter {
	struct uplink *uplink;
	struct parcel *parcel;
};

static void uplink_parcel_now(void *data)
{
	struct uplink_letter *letter = data;

	link_on_parcel(&letter->uplink->link, letter->parcel);
	free(letter);
}

static void uplink_close_now(void *data)
{
	link_close(&((struct uplink *)data)->link);
}

static void uplink_files_now(void *data)
{
	link_on_files(&((struct uplink *)data)->link);
}

static void uplink_drained_now(void *data)
{
	link_on_outbox_drained(&((struct uplink *)data)->link);
}

static void uplink_close(struct uplink *uplink)
{
	ev_io_stop(uplink->loop, &uplink->readable);
	if (!uplink->closing)
		rpc_post(uplink->rpc, uplink_close_now, uplink);
	uplink->closing = true;
}

static void uplink_on_changed(void *data)
{
	struct uplink *uplink = data;

	rpc_post(uplink->rpc, uplink_files_now, uplink);
}

static void uplink_on_outbox_drained(void *data)
{
	struct uplink *uplink = data;

	rpc_post(uplink->rpc, uplink_drained_now, uplink);
}

static void uplink_on_outbox_failed(void *data, int error)
{
	struct uplink *uplink = data;

	if (!uplink->closing && error != -EPIPE && error != -ECONNRESET) {
		log_error("the agent cannot be told: %s", log_errno(error));
		uplink->status = 1;
	}
	uplink_close(uplink);
}

/* ---- packets ---- */

/* The packet in the large buffer as a parcel of its own: copied when small, else the buffer itself
 * goes. */
static struct parcel *uplink_wrap(struct uplink *uplink, size_t size)
{
	struct parcel *parcel = uplink->scratch;

	if (size <= UPLINK_SMALL) {
		parcel = parcel_new(size);
		if (!parcel)
			return NULL;
		memcpy(parcel->packet, uplink->scratch->packet, size);
	} else {
		uplink->scratch = NULL;
	}
	parcel->size = size;
	parcel->pending = &uplink->pending;
	atomic_fetch_add_explicit(&uplink->pending, size, memory_order_relaxed);
	return parcel;
}

static int uplink_pass(struct uplink *uplink, size_t size)
{
	struct uplink_letter *letter = malloc(sizeof(*letter));

	if (!letter)
		return -ENOMEM;
	*letter = (struct uplink_letter){ .uplink = uplink, .parcel = uplink_wrap(uplink, size) };
	if (!letter->parcel) {
		free(letter);
		return -ENOMEM;
	}
	rpc_post(uplink->rpc, uplink_parcel_now, letter);
	return 0;
}

/* 0, FRAME_E_AGAIN, -EPIPE: the agent is gone, other -errno. */
static int uplink_read_one(struct uplink *uplink)
{
	ssize_t n;

	if (!uplink->scratch)
		uplink->scratch = parcel_new(FRAME_MAX);
	if (!uplink->scratch)
		return -ENOMEM;
	do {
		n = recv(uplink->fd, uplink->scratch->packet, FRAME_MAX, MSG_DONTWAIT | MSG_TRUNC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? FRAME_E_AGAIN : -errno;
	if (n == 0)
		return -EPIPE;
	if (n > FRAME_MAX)
		return -EMSGSIZE;
	return uplink_pass(uplink, (size_t)n);
}

static bool uplink_is_over(struct uplink *uplink)
{
	return atomic_load_explicit(&uplink->pending, memory_order_relaxed) > UPLINK_MAX_PENDING;
}

static void uplink_on_poll(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct uplink *uplink = timer->data;

	(void)events;
	if (uplink_is_over(uplink) || uplink->closing)
		return;
	ev_timer_stop(loop, timer);
	ev_io_start(loop, &uplink->readable);
}

static void uplink_on_readable(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct uplink *uplink = io->data;
	int r = 0;

	(void)events;
	for (int i = 0; i < UPLINK_BURST && r == 0 && !uplink_is_over(uplink); i++)
		r = uplink_read_one(uplink);
	if (r < 0) {
		if (r != -EPIPE && r != -ECONNRESET) {
			log_error("reading from the agent: %s", log_errno(r));
			uplink->status = 1;
		}
		uplink_close(uplink);
	} else if (uplink_is_over(uplink)) {
		ev_io_stop(loop, io);
		ev_timer_again(loop, &uplink->poll_pending);
	}
}

/* ---- from the gRPC thread ---- */

static void uplink_stopped(void *data)
{
	struct uplink *uplink = data;

	ev_break(uplink->loop, EVBREAK_ALL);
}

static void uplink_on_stopped(void *data)
{
	struct uplink *uplink = data;

	mailbox_post(uplink->mailbox, uplink_stopped, NULL, uplink);
}

struct uplink_paths {
	struct uplink *uplink;
	char *paths[3];
};

static void uplink_paths_free(void *data)
{
	struct uplink_paths *paths = data;

	for (size_t i = 0; i < 3; i++)
		free(paths->paths[i]);
	free(paths);
}

static void uplink_watch(void *data)
{
	struct uplink_paths *paths = data;

	watch_set(paths->uplink->watch, (const char *const *)paths->paths, 3);
	uplink_on_changed(paths->uplink); /* what changed before the watch was there */
	uplink_paths_free(paths);
}

static void uplink_on_configured(void *data)
{
	struct uplink *uplink = data;
	const struct settings *settings = &uplink->link.settings;
	struct uplink_paths *paths = calloc(1, sizeof(*paths));

	if (!paths)
		return;
	paths->uplink = uplink;
	paths->paths[0] = strdup(settings->ca_file);
	paths->paths[1] = strdup(settings->certificate_file);
	paths->paths[2] = strdup(settings->key_file);
	if (!paths->paths[0] || !paths->paths[1] || !paths->paths[2])
		uplink_paths_free(paths);
	else
		mailbox_post(uplink->mailbox, uplink_watch, uplink_paths_free, paths);
}

/* ---- life ---- */

static void uplink_on_signal(struct ev_loop *loop, struct ev_signal *signal, int events)
{
	(void)loop;
	(void)events;
	uplink_close(signal->data);
}

static int uplink_open(struct uplink *uplink)
{
	struct errmsg err = { .line = 0 };
	int r;

	uplink->mailbox = mailbox_new(uplink->loop);
	if (!uplink->mailbox)
		return -ENOMEM;
	uplink->outbox = outbox_new(uplink->loop, uplink->mailbox, uplink->fd,
				    uplink_on_outbox_drained, uplink_on_outbox_failed, uplink);
	if (!uplink->outbox)
		return -ENOMEM;
	r = watch_new(uplink->loop, uplink_on_changed, uplink, &uplink->watch);
	if (r < 0)
		return r;
	r = rpc_start(&uplink->rpc, &err);
	if (r < 0) {
		log_error("%s", err.text);
		return r;
	}
	link_init(&uplink->link, uplink->rpc, uplink->outbox);
	uplink->link.on_stopped = uplink_on_stopped;
	uplink->link.on_configured = uplink_on_configured;
	uplink->link.data = uplink;
	return 0;
}

static void uplink_start_watchers(struct uplink *uplink)
{
	ev_io_init(&uplink->readable, uplink_on_readable, uplink->fd, EV_READ);
	ev_signal_init(&uplink->term, uplink_on_signal, SIGTERM);
	ev_signal_init(&uplink->interrupt, uplink_on_signal, SIGINT);
	ev_init(&uplink->poll_pending, uplink_on_poll);
	uplink->poll_pending.repeat = 0.005;
	uplink->readable.data = uplink->term.data = uplink->interrupt.data =
		uplink->poll_pending.data = uplink;
	ev_io_start(uplink->loop, &uplink->readable);
	ev_signal_start(uplink->loop, &uplink->term);
	ev_signal_start(uplink->loop, &uplink->interrupt);
}

static void uplink_say_hello(struct uplink *uplink)
{
	static const char program[] = "pathbell-uplink " PATHBELL_VERSION;
	struct frame hello = { .type = FRAME_HELLO };

	hello.hello.version = FRAME_VERSION;
	hello.hello.program = (struct frame_text){ program, sizeof(program) - 1 };
	hello.hello.pid = (uint32_t)getpid();
	outbox_send(uplink->outbox, &hello);
}

int uplink_run(int fd)
{
	struct uplink uplink = { .loop = ev_default_loop(EVFLAG_NOENV), .fd = fd };
	int r;

	if (!uplink.loop) {
		log_error("no event loop");
		return 1;
	}
	r = uplink_open(&uplink);
	if (r == 0) {
		uplink_start_watchers(&uplink);
		uplink_say_hello(&uplink);
		ev_run(uplink.loop, 0);
		rpc_stop(uplink.rpc);
		link_deinit(&uplink.link);
	} else {
		log_error("cannot start: %s", log_errno(r));
		uplink.status = 1;
	}
	watch_free(uplink.watch);
	mailbox_free(uplink.mailbox);
	outbox_free(uplink.outbox);
	parcel_free(uplink.scratch);
	parcel_drain();
	ev_loop_destroy(uplink.loop);
	return uplink.status;
}
